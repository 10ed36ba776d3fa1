# SPDX-License-Identifier: GPL-2.0-only
"""The far end of a cluster: what a Dask worker does with a block of boots.

Imported by the worker out of its own checkout, which must be the same as the one that compares.
"""

from __future__ import annotations

import platform
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.experiment.arch import HERE
from harness.results import checksums
from harness.run import engine
from harness.run.cluster.transfer import FileStore, packed
from harness.util import atomic, progress, scratch
from harness.util.errors import HarnessError, InfraError
from harness.util.hostspace import require_space
from harness.util.paths import Cache
from harness.vm import accel, boot, hostfacts
from harness.vm.boot import BootRequest, VmConfig
from harness.vm.guest import Keys
from harness.vm.hostfacts import HostFacts

KERNEL_FILES = (HERE.image, "config", "System.map")
"""What of a kernel travels: what a boot reads."""
_POLL = 0.5
_warm: set[str] = set()


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One worker: its machine, the code that it runs, and why it cannot run guests ("": it can).

    ``code`` is a hash of the harness's sources, ``python`` like 3.11.
    """

    host: HostFacts
    code: str
    python: str
    trouble: str = ""

    def differs(self, other: WorkerFacts) -> str:
        """In what another one cannot stand in for this one, as a clause; "" if it can."""
        for what, mine, its in (
            ("checkout of the harness", self.code, other.code),
            ("Python", self.python, other.python),
            ("QEMU", self.host.qemu, other.host.qemu),
        ):
            if mine != its:
                return f"has another {what} ({its}, here {mine})"
        return other.trouble


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """A block to be run: ``requests`` in their order, all on one machine.

    ``files`` give the SHA-256 by the path that the sender has them at: everything that ``host``
    and the requests' kernels name.  ``asker`` is what the sender itself would say of itself.
    """

    run: str
    requests: tuple[BootRequest, ...]
    host: VmConfig
    files: Mapping[str, str]
    asker: WorkerFacts


Returned = tuple[str, float, bytes]
"""One boot, come back: its place below boots/, its seconds, and its folder as a tar."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a block on ``host`` at ``address``.

    ``lacking`` are files to be sent first; ``refused`` says why this worker must not run it,
    ``failed`` what was wrong with the machine; ``boots`` come at once at the end where a pair must
    not be torn (wall time), else each is sent as it ends.
    """

    host: str
    address: str
    lacking: tuple[str, ...] = ()
    refused: str = ""
    failed: str = ""
    boots: tuple[Returned, ...] = ()


@cache
def describe(accelerator: str) -> WorkerFacts:
    """This process as a worker that runs guests under ``accelerator``; looked at once.

    So a checkout that changes under a running worker is not seen: what it imported does not.
    """
    progress.start()
    trouble = ""
    try:
        cache = Cache.from_environment()
        accel.choose(accelerator, cache=cache)
    except HarnessError as error:
        trouble = f"cannot run guests under {accelerator}: {error}"
    version = ".".join(platform.python_version_tuple()[:2])
    return WorkerFacts(hostfacts.here(), checksums.code_hash(), version, trouble)


def host_name() -> str:
    """What results call this machine."""
    return hostfacts.here().name


def store() -> FileStore:
    """The artefacts of this machine."""
    return FileStore(Cache.from_environment().root / "store")


def lacking(names: Sequence[str]) -> list[str]:
    """Those of the artefacts that this machine does not have."""
    mine = store()
    return [name for name in names if not mine.has(name)]


def put(name: str, piece: bytes, offset: int, total: int, sender: str) -> bool:
    """See `Store.put`."""
    return store().put(name, piece, offset=offset, total=total, sender=sender)


def run_block(block: BlockRequest) -> Reply:
    """Run the boots of a block that the sender does not have yet, and send them back."""
    from distributed import Event, Queue, get_worker  # noqa: PLC0415 (only a cluster needs it)

    worker = get_worker()
    me = describe(block.host.accel)
    refused = block.asker.differs(me)
    missing = tuple(lacking(sorted(set(block.files.values()))))
    if refused or missing:
        return Reply(me.host.name, worker.address, missing, refused)
    streams = block.host.clock == "insn"
    kept: list[Returned] = []

    def is_there(folder: str) -> bool:
        return streams and bool(Event(f"boot-{block.run}-{folder}").is_set())

    try:
        with _wanted(worker) as stop, scratch.folder() as name:
            for item in _boots(block, Path(name), stop, is_there):
                if streams:
                    Queue(f"boots-{block.run}").put(item)
                else:
                    kept.append(item)
    except InfraError as error:
        return Reply(me.host.name, worker.address, failed=str(error))
    return Reply(me.host.name, worker.address, boots=tuple(kept))


def _boots(
    block: BlockRequest, place: Path, stop: threading.Event, is_there: Any
) -> Iterator[Returned]:
    host, requests = placed(block, place)
    # Under wall time a neighbour is in the figures: one guest at a time, whatever the worker's
    # threads, and however many workers there are on this machine.
    alone = atomic.locked(Cache.from_environment().root / "one-guest")
    with alone if host.clock == "wall" else nullcontext():
        for request in requests:
            if is_there(request.folder):
                continue
            if host.disk_for(request.cell) == "host":
                require_space(place, host.swap, "a guest's swap disk")
            if host.clock == "wall" and request.kernel.key not in _warm:
                engine.warm_up(request, host, stop)
                _warm.add(request.kernel.key)
            ended = boot.run(request, host, place / "boots", stop=stop)
            yield request.folder, ended.seconds, packed(ended.folder)
            shutil.rmtree(ended.folder)


def placed(block: BlockRequest, place: Path) -> tuple[VmConfig, tuple[BootRequest, ...]]:
    """The host and requests of a block with the paths that its files have on this machine."""
    mine = store()

    def at(path: Path) -> Path:
        return mine.path(block.files[str(path)])

    host = replace(
        block.host,
        root=at(block.host.root),
        tools=at(block.host.tools),
        plugins={name: at(path) for name, path in block.host.plugins.items()},
        keys=Keys(at(block.host.keys.client), at(block.host.keys.host)),
        variants={names: at(path) for names, path in block.host.variants.items()},
        selftests={key: at(path) for key, path in block.host.selftests.items()},
    )
    requests = []
    for request in block.requests:
        folder = place / "kernels" / request.kernel.key
        folder.mkdir(parents=True, exist_ok=True)
        for name in KERNEL_FILES:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(at(request.kernel.path / name))
        requests.append(replace(request, kernel=replace(request.kernel, path=folder)))
    return host, tuple(requests)


@contextmanager
def _wanted(worker: Any) -> Iterator[threading.Event]:
    """An event that is set when nobody waits for this task any more: its guest is ended then."""
    key = worker.get_current_task()
    over, stop = threading.Event(), threading.Event()

    def look() -> None:
        while not over.wait(_POLL):
            task = worker.state.tasks.get(key)
            if task is None or task.state not in ("executing", "long-running"):
                stop.set()
                return

    thread = threading.Thread(target=look, name="wanted", daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        over.set()
        thread.join()
