# SPDX-License-Identifier: GPL-2.0-only
"""The live view of a comparison on a terminal: stage, boots, guests, time left, running verdicts.

It reads what is on disk and is told nothing: a boot with a boot.json is done, a folder whose name
begins with a dot is a guest under way. So it cannot disturb what it shows, and a comparison without
a terminal is the same one. Running estimates are made every half minute at most, and in less than a
twentieth of the time; under wall time, where whatever runs beside a guest is in its figures, never.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.report import analysis
from harness.report.model import Estimate
from harness.report.numbers import change, interval
from harness.report.summary import COLOURS
from harness.results import frames
from harness.results.manifest import Manifest
from harness.stats.verdict import MIN_PAIRS
from harness.util import atomic, progress
from harness.util.escape import visible

_log = logging.getLogger(__name__)

_TICK = {"insn": 1.0, "wall": 5.0}
_EVERY = 30.0
_SHARE = 20.0
_MOST_ROWS = 12
_LOOKS = "running estimates: to stop when they look good is a second try, see the report's method"
_NO_LOOKS = "verdicts come at the end: under wall time nothing runs beside a guest"


@dataclass(frozen=True, slots=True)
class State:
    """What the view shows. seconds: in this stage; left: None where nothing is known yet.

    running: (boot, seconds since it was first seen); rows: primary metrics with enough pairs
    """

    stage: str
    seconds: float
    boots: int = 0
    planned: int = 0
    pairs: int = 0
    planned_pairs: int = 0
    failed: int = 0
    running: tuple[tuple[str, float], ...] = ()
    left: float | None = None
    rows: tuple[Estimate, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Survey:
    """The boots of a plan as they appear below ``boots``, ``workers`` pairs at a time.

    planned: of each pair, the folders of its boots below ``boots``
    """

    planned: Sequence[Sequence[str]]
    boots: Path
    workers: int = 1
    _took: dict[str, float] = field(default_factory=dict)
    _kept: set[str] = field(default_factory=set)
    _failed: int = 0
    _seen: dict[str, float] = field(default_factory=dict)

    def look(self, stage: str, seconds: float, *, now: float) -> State:
        """The state now (``now`` in seconds of a clock that never goes back)."""
        pending = []
        pairs = 0
        for block in self.planned:
            lacking = [one for one in block if not self._is_done(one)]
            pairs += not lacking
            pending += lacking
        running = tuple(self._running(now))
        total = sum(len(block) for block in self.planned)
        left = self._left(pending, dict(running))
        return State(
            stage, seconds, total - len(pending), total, pairs, len(self.planned), self._failed,
            running, left,
        )  # fmt: skip

    def _is_done(self, folder: str) -> bool:
        if folder in self._kept:
            return True
        facts = atomic.json_file(self.boots / folder / "boot.json")
        if facts is None:
            return False
        self._kept.add(folder)
        self._failed += facts.get("outcome") != "ok"
        took = sum((facts.get("wall_s") or {}).values())
        if took > 0:
            self._took[folder] = took
        return True

    def _running(self, now: float) -> Iterator[tuple[str, float]]:
        """Boots under way: `publish.folder` names them .<boot>.<random> until they are whole."""
        there = set()
        homes = sorted({str(PurePath(one).parent) for block in self.planned for one in block})
        for path in (path for home in homes for path in sorted((self.boots / home).glob(".*.*"))):
            home = path.parent.relative_to(self.boots).as_posix()
            boot = f"{home}/{path.name[1:].rpartition('.')[0]}"
            there.add(boot)
            yield boot, now - self._seen.setdefault(boot, now)
        for gone in self._seen.keys() - there:
            del self._seen[gone]

    def _left(self, pending: Sequence[str], running: Mapping[str, float]) -> float | None:
        """Seconds that the pending boots take, by what finished ones of their cells took."""
        if not self._took or not pending:
            return 0.0 if not pending else None
        by_cell: dict[str, list[float]] = {}
        for folder, took in self._took.items():
            by_cell.setdefault(PurePath(folder).parent.name, []).append(took)
        mean = sum(self._took.values()) / len(self._took)
        total = 0.0
        for folder in pending:
            mine = by_cell.get(PurePath(folder).parent.name)
            usual = sum(mine) / len(mine) if mine else mean
            total += max(0.0, usual - running.get(folder, 0.0))
        return total / self.workers


class View:
    """One live region below what is logged; on anything but a terminal, nothing."""

    def __init__(self) -> None:
        self._survey: Survey | None = None
        self._judge: Callable[[], tuple[Estimate, ...]] | None = None
        self._rows: tuple[Estimate, ...] = ()
        self._next = 0.0
        self._tick = _TICK["insn"]
        self._note = ""

    def boots(self, survey: Survey, folder: Path | None, facts: Manifest, clock: str) -> None:
        """From now on show these boots, and estimates of the comparison that ``facts`` describe.

        ``folder`` is its own; None for no estimates.
        """
        self._survey, self._tick = survey, _TICK[clock]
        self._note = _LOOKS if clock == "insn" else _NO_LOOKS
        if clock == "insn" and folder is not None:
            self._judge = lambda: estimates(folder, facts)

    def state(self, *, now: float) -> State:
        """What to show now; makes the running estimates when it is time for them."""
        stage, seconds = progress.current() or ("", 0.0)
        if self._survey is None:
            return State(stage, seconds)
        found = self._survey.look(stage, seconds, now=now)
        if self._judge is not None and found.pairs >= MIN_PAIRS and now >= self._next:
            begun = time.monotonic()
            self._rows = self._judge()
            cost = time.monotonic() - begun
            self._next = now + max(_EVERY, _SHARE * cost)
        note = self._note if self._rows or self._judge is None else ""
        return replace(found, rows=self._rows, note=note)

    def run(self, shown: Live, stop: threading.Event) -> None:
        """Draw until told to stop.  What goes wrong here must not end a night of measuring."""
        while not stop.wait(self._tick):
            try:
                shown.update(render(self.state(now=time.monotonic())), refresh=True)
            except Exception as error:
                _log.warning(f"the live view ends: {error}")
                shown.update(Text(""), refresh=True)
                return


@contextmanager
def view() -> Iterator[View]:
    """A view below what is logged, for the block."""
    made = View()
    if not progress.console.is_terminal:
        yield made
        return
    # What goes to stdout is a report for a file or a pipe: it stays what it is.
    shown = Live(
        console=progress.console, auto_refresh=False, transient=True,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(shown, stop), name="view", daemon=True)
    with shown:
        thread.start()
        try:
            yield made
        finally:
            stop.set()
            thread.join()


def estimates(folder: Path, facts: Manifest) -> tuple[Estimate, ...]:
    """The primary metrics of what is there so far, those with enough pairs for an interval."""
    data = frames.load(folder, counters=False)
    found = analysis.analyse(data, facts, folder).primary
    return tuple(row for row in found if row.change.n >= MIN_PAIRS)


def render(state: State) -> RenderableType:
    """The view as rich draws it."""
    lines: list[RenderableType] = [Text(_headline(state), style="bold")]
    if state.running:
        guests = ", ".join(f"{name} {_time(seconds)}" for name, seconds in state.running)
        lines.append(Text(f"guests: {guests}"))
    if state.rows:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for head in ("cell", "metric", "change", "95 % interval", "n", "so far"):
            right = head in ("change", "95 % interval", "n")
            table.add_column(head, justify="right" if right else "left", header_style="dim")
        for row in state.rows[:_MOST_ROWS]:
            kind = str(row.verdict.kind) if row.verdict else ""
            cells = (visible(row.cell), visible(row.name), change(row.change))
            table.add_row(
                *map(Text, (*cells, interval(row.change), str(row.change.n))),
                Text(kind, style=COLOURS.get(kind, "")),
            )
        lines.append(table)
        if len(state.rows) > _MOST_ROWS:
            lines.append(Text(f"and {len(state.rows) - _MOST_ROWS} more", style="dim"))
    if state.note:
        lines.append(Text(state.note, style="dim"))
    return Group(*lines)


def _headline(state: State) -> str:
    parts = [f"{state.stage} {_time(state.seconds)}"] if state.stage else []
    if state.planned:
        parts.append(f"pairs {state.pairs} of {state.planned_pairs}")
        parts.append(f"boots {state.boots} of {state.planned}")
        if state.failed:
            parts.append(f"{state.failed} failed")
        if state.left:
            parts.append(f"about {_time(state.left)} left")
    return " | ".join(parts)


def _time(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
