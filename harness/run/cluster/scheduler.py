# SPDX-License-Identifier: GPL-2.0-only
"""Blocks given to the workers of a cluster, artefacts sent there, boots taken back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.results.console import Outcome
from harness.run.cluster import transfer, worker
from harness.run.cluster.worker import BlockRequest, Reply
from harness.run.engine import Note
from harness.util.errors import HarnessError, InfraError, UserError
from harness.vm.boot import BootEnd, BootRequest

_log = logging.getLogger(__name__)

_POLL = 0.2
_PATIENCE = 600.0
"""Seconds that a run waits without any worker before it gives up."""
_ATTEMPTS = 4
"""Times that a block is given out before somebody has to look."""
_SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Supply:
    """Sends ``files`` (path by SHA-256) to machines that lack them, several side by side."""

    client: Any
    run: str
    files: Mapping[str, str]

    def send(self, addresses: Sequence[str]) -> None:
        """What each of these workers' machines lacks."""
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(addresses))) as pool:
            list(pool.map(self._send, addresses))

    def _send(self, address: str) -> None:
        begun, size = time.monotonic(), 0
        sender = f"{self.run}-{threading.get_ident()}"
        try:
            lacking = self._ask(address, worker.lacking, sorted(self.files))
            for name in lacking:
                path = Path(self.files[name])
                total = path.stat().st_size
                for offset, piece in transfer.pieces(path):
                    size += len(piece)
                    self._ask(address, worker.put, name, piece, offset, total, sender)
        except (OSError, KeyError, ValueError) as error:  # it left; another one may come
            _log.warning(f"the worker at {address} was not sent what it lacks: {error}")
            return
        if size:
            _log.info(
                f"{len(lacking)} files, {size / (1 << 20):.0f} MiB compressed, sent to {address} "
                f"in {time.monotonic() - begun:.0f} s"
            )

    def _ask(self, address: str, what: Any, *args: Any) -> Any:
        return self.client.run(what, *args, workers=[address])[address]


class Dispatch:
    """The blocks of one run: given out, waited for, given again where that helps.

    As a context manager: what still runs when its block ends is not waited for any more, and its
    worker ends the guest by itself.
    """

    def __init__(self, client: Any, run: str, boots: Path, *, note: Note, supply: Supply) -> None:
        from distributed import Queue  # noqa: PLC0415 (only a cluster needs it)

        self._client, self._run, self._boots, self._note = client, run, boots, note
        self._supply = supply
        self._queue = Queue(f"boots-{run}", client=client)
        self._requests: dict[str, BootRequest] = {}
        self._pending: dict[Any, BlockRequest] = {}
        self._tries: dict[str, int] = {}
        self._left_out: set[str] = set()
        self._seen = time.monotonic()
        self._looked = 0.0

    def __enter__(self) -> Dispatch:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pending:
            self._client.cancel(list(self._pending), force=True)
        self._queue.close()

    def give(self, blocks: Sequence[BlockRequest], *, trouble: str = "") -> None:
        """Submit blocks, in the order of the plan, to whoever is free and not left out.

        ``trouble`` is why they are given again, if they are.
        """
        allowed = None
        if self._left_out:
            allowed = [one for one in self._workers() if self._host(one) not in self._left_out]
            if not allowed:
                raise InfraError(f"no host of the cluster is left to run boots: {trouble}")
        for block in blocks:
            first = block.requests[0].folder
            self._tries[first] = self._tries.get(first, 0) + 1
            if self._tries[first] > _ATTEMPTS:
                raise InfraError(f"{first} was given out {_ATTEMPTS} times in vain: {trouble}")
            self._requests |= {request.folder: request for request in block.requests}
            future = self._client.submit(worker.run_block, block, pure=False, workers=allowed)
            self._pending[future] = block

    def wait(self) -> None:
        """Take boots as they come until every block is done."""
        while self._pending:
            if not self._take():
                time.sleep(_POLL)
            for future in [one for one in self._pending if one.done()]:
                while self._take():
                    pass  # what it sent before it ended
                self._judge(self._pending.pop(future), future)
            self._look()

    def _take(self) -> bool:
        """Publish the next boot that came back; False if there is none.

        Asked for without a timeout: Dask's scheduler logs a traceback for each that runs out.
        """
        if not self._queue.qsize():
            return False
        self._keep(*self._queue.get())
        return True

    def _keep(self, folder: str, seconds: float, tar: bytes) -> None:
        from distributed import Event  # noqa: PLC0415 (see above)

        request, target = self._requests.get(folder), self._boots / folder
        if request is None:
            raise InfraError(f"a worker sent a boot that nobody asked for: {folder!r}")
        if transfer.unpack(tar, target):
            facts = json.loads((target / "boot.json").read_text(encoding="utf-8"))
            outcome, detail = Outcome(facts["outcome"]), str(facts["detail"])
            self._note(BootEnd(request, outcome, detail, seconds, target))
        Event(f"boot-{self._run}-{folder}", client=self._client).set()

    def _judge(self, block: BlockRequest, future: Any) -> None:
        """What a block that ended came to."""
        first = block.requests[0].folder
        if future.status != "finished":
            error = future.exception() if future.status == "error" else None
            if isinstance(error, HarnessError):
                raise error
            raise InfraError(f"the block of {first} was lost: {error or future.status}")
        reply: Reply = future.result()
        if reply.refused:
            raise UserError(
                f"host {reply.host} ({reply.address}), which joined later, {reply.refused}: stop "
                "its worker, or make it the same"
            )
        if reply.failed:
            if reply.host not in self._left_out:
                _log.warning(f"host {reply.host} is left out from now on: {reply.failed}")
            self._left_out.add(reply.host)
            return self.give([block], trouble=reply.failed)
        if reply.lacking:
            self._supply.send([reply.address])
            return self.give([block], trouble=f"host {reply.host} lost what it was sent")
        for item in reply.boots:
            self._keep(*item)
        if not all((self._boots / one.folder / "boot.json").is_file() for one in block.requests):
            self.give([block], trouble="not all of its boots came back")

    def _look(self) -> None:
        """Say when no worker is left, and give up when none comes."""
        now = time.monotonic()
        if now - self._looked < 5:
            return
        self._looked = now
        if self._workers():
            self._seen = now
        elif now - self._seen > _PATIENCE:
            raise InfraError(
                f"the cluster has had no worker for {_PATIENCE / 60:.0f} minutes; run the same "
                "command again when there is one"
            )
        elif now - self._seen > 10:
            _log.warning("the cluster has no worker left; waiting for one")

    def _workers(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return found

    def _host(self, address: str) -> str:
        name: str = self._client.run(worker.host_name, workers=[address])[address]
        return name
