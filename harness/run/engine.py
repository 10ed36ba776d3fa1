# SPDX-License-Identifier: GPL-2.0-only
"""Where blocks of boots run: on this machine, or (see ``cluster``) on many."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.util import scratch
from harness.vm import boot
from harness.vm.boot import BootEnd, BootRequest, VmConfig

_log = logging.getLogger(__name__)

Note = Callable[[BootEnd], None]
"""Told of each boot when its folder is published; may be called from any thread."""


class Engine(Protocol):
    """What runs blocks."""

    @property
    def workers(self) -> int:
        """Blocks side by side."""

    def run(
        self, blocks: Sequence[Sequence[BootRequest]], host: VmConfig, boots: Path, *, note: Note
    ) -> None:
        """Run the boots of each block in their order, all on one machine; publish each in boots/.

        On an exception, an interrupt among them, running guests are ended, and what is published
        stays.
        """


@dataclass(frozen=True, slots=True)
class Local:
    """This machine: ``workers`` guests side by side, a thread for each.

    Under the instruction clock no guest feels another one: the boots of a pair need not wait.
    """

    workers: int

    def run(
        self, blocks: Sequence[Sequence[BootRequest]], host: VmConfig, boots: Path, *, note: Note
    ) -> None:
        """See `Engine.run`."""
        stop = threading.Event()
        _warm_up(blocks, host, stop)
        with concurrent.futures.ThreadPoolExecutor(
            self.workers, thread_name_prefix="block"
        ) as pool:
            units = blocks
            if host.clock == "insn":
                units = [[one] for block in blocks for one in block]
            futures = [pool.submit(_run_block, one, host, boots, stop, note) for one in units]
            try:
                for future in concurrent.futures.as_completed(futures):
                    future.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def warm_up(request: BootRequest, host: VmConfig, stop: threading.Event) -> None:
    """Boot a kernel and throw the result away: the host has then read all files."""
    with scratch.folder() as name:
        ended = boot.run(request, host, Path(name), stop=stop)
    _log.info(
        f"warm-up of {request.kernel.release} ({request.arm}), not counted: "
        f"{ended.outcome} ({ended.seconds:.0f} s)"
    )


def _warm_up(
    blocks: Sequence[Sequence[BootRequest]], host: VmConfig, stop: threading.Event
) -> None:
    """Each kernel once.

    Under the instruction clock the host cannot be seen, and three boots with one seed gave the
    same figures from the first one on; so nothing is warmed up there.
    """
    if host.clock == "insn":
        return
    requests = {request.kernel.key: request for block in blocks for request in block}
    for request in requests.values():
        warm_up(request, host, stop)


def _run_block(
    block: Sequence[BootRequest], host: VmConfig, boots: Path, stop: threading.Event, note: Note
) -> None:
    for request in block:
        if stop.is_set():
            return
        note(boot.run(request, host, boots, stop=stop))
