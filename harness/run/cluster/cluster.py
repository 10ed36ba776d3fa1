# SPDX-License-Identifier: GPL-2.0-only
"""Blocks of boots on the workers of a Dask cluster; the near end of ``worker``.

A block runs on one machine. What its guests need travels there once, by its SHA-256; boots come
back one by one and are published as if they had been run here. A worker that dies loses the boot
in hand: Dask gives its block to another one, which runs what has not come back.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.run.cluster import start, transfer, worker
from harness.run.cluster.scheduler import Dispatch, Supply
from harness.run.cluster.worker import KERNEL_FILES, BlockRequest, WorkerFacts
from harness.run.engine import Note
from harness.util.errors import InfraError, UserError
from harness.vm.boot import BootRequest, VmConfig

_log = logging.getLogger(__name__)

_CONNECT = 15.0


@contextmanager
def connected(asked: str, accelerator: str) -> Iterator[Cluster]:
    """The cluster that SCHEDULER= asks for, every worker looked at.

    Raises UserError when distributed is not installed, nobody answers there, there is no worker,
    or one of them is not as this machine is; what `start.started` raises, too.
    """
    try:
        import distributed  # noqa: PLC0415 (only a cluster needs it)
    except ImportError as error:
        raise UserError(
            "SCHEDULER= needs Dask: install requirements-cluster.txt into the virtual environment"
        ) from error
    with start.started(asked) as found, ExitStack() as stack:
        try:
            client = distributed.Client(
                found.target, security=found.security, timeout=_CONNECT, set_as_default=False
            )
        except (OSError, ValueError) as error:  # TimeoutError is one
            raise UserError(
                f"no Dask scheduler answers at '{asked}': start one with 'dask scheduler', or give "
                "SCHEDULER= the address that it prints"
            ) from error
        stack.enter_context(client)
        found.ready(client)
        asker = replace(worker.describe(accelerator), trouble="")
        by_address = _workers(client, asker, accelerator)
        names = sorted({one.host.name for one in by_address.values()})
        known = client.scheduler_info(n_workers=-1)["workers"].values()
        threads = sum(int(one["nthreads"]) for one in known)
        _log.info(
            f"{len(by_address)} workers with {threads} guests side by side on {len(names)} hosts: "
            f"{', '.join(names)}"
        )
        yield Cluster(client, asker, by_address, threads)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An `Engine` of many machines; ``by_address`` are its workers, at the start."""

    client: Any
    asker: WorkerFacts
    by_address: Mapping[str, WorkerFacts]
    workers: int

    def run(
        self, blocks: Sequence[Sequence[BootRequest]], host: VmConfig, boots: Path, *, note: Note
    ) -> None:
        """See `Engine.run`.

        Raises InfraError when a block fails on several machines, or no worker is left; UserError
        when a worker that joined later is not as this machine is.
        """
        if not blocks:
            return
        run = secrets.token_hex(8)
        block_requests = [
            BlockRequest(run, tuple(requests), host, _files(requests, host), self.asker)
            for requests in blocks
        ]
        files = {name: path for one in block_requests for path, name in one.files.items()}
        supply = Supply(self.client, run, files)
        supply.send(list({one.host.name: at for at, one in self.by_address.items()}.values()))
        with Dispatch(self.client, run, boots, note=note, supply=supply) as sent:
            sent.give(block_requests)
            sent.wait()


def _workers(client: Any, asker: WorkerFacts, accelerator: str) -> dict[str, WorkerFacts]:
    """Each worker's own words, by address."""
    try:
        found: dict[str, Any] = client.run(worker.describe, accelerator, on_error="return")
    except Exception as error:
        raise InfraError(f"the cluster's workers cannot be asked: {error}") from error
    if not found:
        raise UserError("the Dask scheduler has no worker: start one on each host, 'dask worker'")
    for address, one in found.items():
        if isinstance(one, ImportError):
            raise UserError(
                f"the worker at {address} cannot import the harness ({one}): start it in the same "
                "checkout as this one, with the same virtual environment"
            )
        if not isinstance(one, WorkerFacts):
            raise InfraError(f"the worker at {address} cannot say what it is: {one}")
        difference = asker.differs(one)
        if difference:
            raise UserError(
                f"host {one.host.name} ({address}) {difference}: figures of both would not belong "
                "together; make it the same, or stop that worker"
            )
    return found


def _files(requests: Sequence[BootRequest], host: VmConfig) -> dict[str, str]:
    """By path here, the SHA-256 of every file that these boots read."""
    paths = {host.keys.client, host.keys.host}
    for request in requests:
        paths |= {host.root_for(request.cell), host.tools_for(request)}
        paths |= {request.kernel.path / name for name in KERNEL_FILES}
    paths |= {host.root, host.tools, *host.variants.values(), *host.selftests.values()}
    paths |= set(host.plugins.values())
    return {str(path): transfer.name_of(path) for path in paths}
