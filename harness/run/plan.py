# SPDX-License-Identifier: GPL-2.0-only
"""The order of boots, and running them: pairs, random inside, interleaved, resumable."""

from __future__ import annotations

import json
import logging
import random
import shutil
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.build.kbuild import Kernel
from harness.experiment.cell import Cell
from harness.results.console import Outcome
from harness.run.engine import Engine
from harness.util.errors import InfraError
from harness.vm import instrument
from harness.vm.boot import BootEnd, BootRequest, VmConfig

_log = logging.getLogger(__name__)

ARMS = ("base", "patch", "control")
"""The boots of a pair; "control" is the base once more: what it differs by is the noise."""


Block = tuple[BootRequest, ...]
"""The boots of one pair of a cell, in the order in which they run, on one host."""


@dataclass(frozen=True, slots=True)
class Run:
    """What running a plan came to; ``qemu_seconds`` is the time in which any guest was running."""

    done: int
    kept: int
    failed: tuple[str, ...]
    qemu_seconds: float


def blocks(
    cells: Sequence[Cell], kernels: Mapping[str, Kernel], *, pairs: int, seed: int
) -> tuple[Block, ...]:
    """Every pair of every cell, with the arms that ``kernels`` has.  Pure: same seed, same plan.

    Cells are interleaved (all cells' first pairs, then the second ones), so that a drift of the
    host meets all cells alike; the order of the arms is drawn for each pair.  All boots of a pair
    get the same guest seed: what varies between pairs does not vary inside one.
    """
    planned = []
    for pair in range(pairs):
        for cell in cells:
            draw = random.Random(f"{seed}/{cell.name}/{pair}")
            order = [arm for arm in ARMS if arm in kernels]
            draw.shuffle(order)
            guest_seed = draw.getrandbits(31)
            requests = (
                BootRequest(cell, arm, pair, position, guest_seed, kernels[arm])
                for position, arm in enumerate(order)
            )
            planned.append(tuple(requests))
    return tuple(planned)


def instrumented(planned: Sequence[Block], instruments: Sequence[str]) -> list[Block]:
    """The first pair of each cell once more under each of ``instruments``, without its control.

    Only what looks on differs, so the same instructions are executed under the instruction clock.
    A cell that an instrument cannot look at has no such boots.
    """
    return [
        tuple(replace(one, instrument=name) for one in block if one.arm in ARMS[:2])
        for name in instruments
        for block in planned
        if block
        and block[0].pair == 0
        and not (name in instrument.ONE_NODE and block[0].cell.splits_memory)
    ]


def interleaved(
    plans: Mapping[str, Sequence[Block]], bases: Mapping[str, str], *, seed: int
) -> tuple[Block, ...]:
    """The blocks of a study of several arms: each has every arm once, in random order.  Pure.

    ``plans`` are each arm's own comparison with its base, all of one seed; ``bases`` the name of
    that base for all arms, also for those that have no kernel, so that the places of the others do
    not depend on it.  Boots of a base are those of the first arm that asks for them.
    """
    asked: dict[tuple[int, str], dict[tuple[str, str], BootRequest]] = {}
    for name in (one for one in bases if one in plans):
        for request in (one for block in plans[name] for one in block if not one.instrument):
            is_own = request.arm == "patch"
            mine = asked.setdefault((request.pair, request.cell.name), {})
            who = (name, "patch") if is_own else (bases[name], request.arm)
            mine.setdefault(who, replace(request, home=name))
    shared = [(base, arm) for base in dict.fromkeys(bases.values()) for arm in ("base", "control")]
    places = [*shared, *((name, "patch") for name in bases)]
    made = []
    for (pair, cell), mine in sorted(asked.items(), key=lambda item: item[0][0]):
        order = list(places)
        random.Random(f"{seed}/{cell}/{pair}/arms").shuffle(order)
        made.append(
            tuple(
                replace(mine[who], position=position)
                for position, who in enumerate(order)
                if who in mine
            )
        )
    return tuple(made)


def of_arm(
    planned: Sequence[Block], name: str, own: Sequence[Block], bases: Mapping[str, str]
) -> tuple[Block, ...]:
    """The comparison of one arm in a study: its boots, and those of the base that it shares.

    ``own`` is its own comparison, ``bases`` is as `interleaved` had it.
    """
    wanted = {request.folder for block in own for request in block}
    return tuple(
        tuple(
            replace(request, home="")
            for request in block
            if (
                request.home == name
                if request.arm == "patch"
                else bases[request.home] == bases[name]
            )
            and replace(request, home="").folder in wanted
        )
        for block in planned
    )


def failures(planned: Sequence[Block], boots: Path) -> tuple[str, ...]:
    """One sentence for each boot of the plan whose result is not "ok", kept ones included."""
    found = []
    for block in planned:
        for request in block:
            text = (boots / request.folder / "boot.json").read_text(encoding="utf-8")
            facts = json.loads(text)
            if facts["outcome"] != Outcome.OK:
                found.append(f"{request.folder}: {facts['outcome']}: {facts['detail']}")
    return tuple(found)


def run(planned: Sequence[Block], host: VmConfig, boots: Path, *, engine: Engine) -> Run:
    """Run the boots that have no result yet on an engine.

    Boots with a result are kept.  On an interrupt the running guests are ended, and the next call
    goes on with them.
    """
    _sweep({(boots / one.folder).parent.parent for block in planned for one in block})
    missing = [
        [one for one in block if not (boots / one.folder / "boot.json").is_file()]
        for block in planned
    ]
    todo = [block for block in missing if block]
    total = sum(len(block) for block in planned)
    kept = total - sum(len(block) for block in todo)
    if kept:
        _log.info(f"{kept} of {total} boots have their result already")
    meter = _Meter(total=total, finished=kept)
    engine.run(todo, host, boots, note=meter.note)
    samples = [tuple(one for one in block if not one.instrument) for block in planned]
    return Run(len(meter.ended), kept, failures(samples, boots), meter.busy_seconds())


class _Meter:
    """Counts boots and the time in which guests ran; says each result as it comes."""

    def __init__(self, *, total: int, finished: int) -> None:
        self._lock = threading.Lock()
        self._total, self._finished = total, finished
        self._spans: list[tuple[float, float]] = []
        self.ended: list[BootEnd] = []

    def note(self, ended: BootEnd) -> None:
        now = time.monotonic()
        with self._lock:
            self._finished += 1
            self.ended.append(ended)
            self._spans.append((now - ended.seconds, now))
            count = f"{self._finished}/{self._total}"
        detail = f": {ended.detail}" if ended.detail else ""
        if ended.request.pair == 0 and ended.request.position == 0:
            line = (ended.folder / "qemu.txt").read_text(encoding="utf-8")
            _log.info(f"QEMU's command line of {ended.request.cell.name}:\n{line.rstrip()}")
        _log.info(
            f"boot {count} {ended.request.folder}: {ended.outcome}{detail} ({ended.seconds:.0f} s)"
        )

    def busy_seconds(self) -> float:
        """The length of the union of all spans."""
        busy, reached = 0.0, float("-inf")
        for start, end in sorted(self._spans):
            busy += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return busy


def _sweep(homes: Iterable[Path]) -> None:
    """Remove what a killed run left half-done; whole results never start with a dot."""
    for left in (left for home in homes for left in home.glob("*/.*")):
        shutil.rmtree(left, ignore_errors=True)
        if left.exists():
            raise InfraError(
                f"cannot remove '{left}', left by an interrupted run; remove it by hand"
            )
