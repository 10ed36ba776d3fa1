# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix: each row run on real guests, and held against what must hold."""

from __future__ import annotations

import datetime
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.util import atomic, progress
from harness.util.errors import Exit, HarnessError, InfraError
from tests.faults import ends, guests, happened, hosts, same, stores
from tests.faults.happened import VERDICTS, Happened, Reference
from tests.faults.room import Ground, Room
from tests.faults.table import Fault

_log = logging.getLogger("harness.faults")

WAYS: Mapping[str, Callable[[Fault, Room, Reference], Happened]] = {
    "guest": guests.guest,
    "refused": hosts.refused,
    "signal": ends.signals,
    "grow": ends.grow,
    "kills": ends.kills,
    "full": hosts.full,
    "second": ends.second,
    "cache": stores.cache,
    "no-ccache": stores.no_ccache,
    "half": stores.half,
    "clock": hosts.clock,
}
_PAIRS = {"pairs": 2}
_ABOUT = 72
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class FaultResult:
    """One fault, what was expected, what happened, and what of it does not hold.

    ``happened`` is None where the fault could not be brought about; ``faults`` then says why.
    """

    fault: Fault
    happened: Happened | None
    faults: tuple[str, ...]
    took: float

    @property
    def held(self) -> str:
        """yes, NO, or "not run"."""
        if self.happened is None:
            return "not run"
        return "NO" if self.faults else "yes"


@dataclass(frozen=True, slots=True)
class Matrix:
    """All rows, and the folder with their evidence."""

    folder: Path
    rows: tuple[FaultResult, ...]

    @property
    def status(self) -> Exit:
        """OK if every row held, UNDECIDED if one could not be run, else INFRA."""
        words = {row.held for row in self.rows}
        return Exit.INFRA if "NO" in words else Exit.UNDECIDED if "not run" in words else Exit.OK


def run(faults: Sequence[Fault], ground: Ground, results: Path) -> Matrix:
    """Run the rows one after the other; the table is written after each of them.

    Raises InfraError when the undisturbed run, which all else is held against, does not complete.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    folder = results.resolve() / f"faults-{now}"
    _log.info(f"{len(faults)} faults on {ground.base}; results go to {folder}")
    with progress.stage("undisturbed run"):
        reference = undisturbed(folder / "undisturbed", ground)
    rows: list[FaultResult] = []
    for number, fault in enumerate(faults, 1):
        _log.info(f"fault {number}/{len(faults)} {fault.name}: {fault.what}")
        row = run_row(fault, folder / fault.name, ground, reference)
        rows.append(row)
        seen = f", noticed in {row.happened.seconds:.1f} s" if row.happened else ""
        _log.info(f"  held: {row.held}{seen} ({row.took:.0f} s in all)")
        for sentence in row.faults:
            _log.info(f"  {sentence}")
        write(Matrix(folder, tuple(rows)))
    return Matrix(folder, tuple(rows))


def undisturbed(folder: Path, ground: Ground) -> Reference:
    """The comparison that nobody disturbs.  Raises InfraError if it does not complete."""
    with Room(folder, ground) as room:
        command = room.compare(settings=_PAIRS)
        command.until(lambda: bool(room.guests()), 7200, "the first guest")
        start = time.monotonic()
        status = command.wait(happened.LIMIT)
        seconds = time.monotonic() - start + _GRACE
        bad = [text for text in happened.other_outcomes(room.cell).values() if text != "ok"]
        if status not in VERDICTS or bad:
            raise InfraError(
                f"the undisturbed run ended with {status}, so nothing can be held against it: "
                f"{_last(command.said())}"
            )
        left = room.left_over()
        if left:
            raise InfraError(f"the undisturbed run left something behind: {left[0]}")
        return Reference(room.cell, seconds)


def run_row(fault: Fault, folder: Path, ground: Ground, reference: Reference) -> FaultResult:
    """Bring one fault about and judge what came of it."""
    start = time.monotonic()
    try:
        with Room(folder, ground) as room:
            found = WAYS[fault.by](fault, room, reference)
            happened.wait_until_quiet(room, _GRACE)  # what was killed takes a moment to go
            faults = [*judge(fault, found), *room.left_over()]
            if found.status in (*VERDICTS, Exit.KERNEL) and not _has_report(room):
                faults.append("there is no report")
            if fault.expect.again and not faults:
                note, wrong = _again(fault, room, reference)
                found = replace(found, notes=(*found.notes, *note))
                faults += wrong
    except (HarnessError, OSError) as error:
        return FaultResult(fault, None, (str(error),), time.monotonic() - start)
    return FaultResult(fault, found, tuple(faults), time.monotonic() - start)


def judge(fault: Fault, found: Happened) -> Iterator[str]:
    """What of the row's expectation does not hold, a sentence each.  Pure."""
    expected = fault.expect
    if found.status not in expected.status:
        yield f"the command ended with {found.status}: {_last(found.words)}"
    if found.outcome != expected.outcome and (expected.outcome or fault.by in {"guest", "signal"}):
        yield f"the boot's outcome is '{found.outcome or 'none'}': {found.detail or 'no detail'}"
    if not re.search(expected.says, f"{found.words}\n{found.detail}"):
        yield f"nothing says '{expected.says}'; the last word: {_last(found.words)}"
    if "Traceback" in found.words:
        yield "the command's words have a traceback"
    if found.seconds > expected.within:
        yield f"it was noticed after {found.seconds:.1f} s, not {expected.within:.0f} s"
    for name in expected.keeps:
        if name not in found.kept:
            yield f"{name} was not kept"
    yield from found.faults


def _again(fault: Fault, room: Room, reference: Reference) -> tuple[list[str], list[str]]:
    """The same command without the fault: notes, and what does not hold."""
    room.plan({})
    pairs = _PAIRS if fault.by == "half" else {}
    command = room.compare(settings={**pairs, **fault.settings.get("settings", {})})
    status = command.wait(happened.LIMIT)
    if status not in VERDICTS:
        return [], [f"the same command again ended with {status}: {_last(command.said())}"]
    faults = room.left_over()
    if fault.expect.again == "complete":
        return ["completed by the same command"], faults
    like = same.compare(room.cell, reference.folder)
    note = f"{like.boots} boots, {like.figures} figures as undisturbed, to {like.largest:.2g}"
    return [note], [*faults, *like.faults]


def _has_report(room: Room) -> bool:
    return (room.cell / "report" / "report.txt").is_file()


def _last(words: str) -> str:
    return (words.strip().splitlines() or ["no word"])[-1]


def write(matrix: Matrix) -> None:
    """faults.txt and faults.json in the matrix's folder."""
    atomic.text(matrix.folder / "faults.txt", text(matrix))
    data = {"schema": 1, "held": matrix.status is Exit.OK, "rows": [_plain(r) for r in matrix.rows]}
    atomic.text(matrix.folder / "faults.json", atomic.json_text(data))


def _plain(row: FaultResult) -> dict[str, object]:
    found = row.happened
    return {
        "name": row.fault.name,
        "what": row.fault.what,
        "expected": asdict(row.fault.expect),
        "status": found and found.status,
        "outcome": found and found.outcome,
        "detail": found and found.detail,
        "noticed_s": found and round(found.seconds, 2),
        "kept": found and list(found.kept),
        "notes": found and list(found.notes),
        "held": row.held,
        "faults": list(row.faults),
        "took_s": round(row.took, 1),
    }


def text(matrix: Matrix) -> str:
    """The table as plain text: two lines a row, and what does not hold."""
    held = sum(row.held == "yes" for row in matrix.rows)
    lines = [f"{held} of {len(matrix.rows)} faults ended as they must; evidence in "
             f"{matrix.folder}", ""]  # fmt: skip
    lines.append(f"{'fault':<22} {'held':<8} {'expected':<22} {'happened':<22} {'noticed':>18}")
    for row in matrix.rows:
        expected, found = row.fault.expect, row.happened
        wanted = expected.outcome or f"status {'|'.join(map(str, expected.status))}"
        got = noticed = "-"
        if found:
            got = (expected.outcome and found.outcome) or f"status {found.status}"
            noticed = f"{found.seconds:.1f} of {expected.within:.0f} s"
        lines.append(f"{row.fault.name:<22} {row.held:<8} {wanted:<22} {got:<22} {noticed:>18}")
        lines.append(f"    {row.fault.what}")
        if found and found.detail:
            lines.append(f"    said: {found.detail.splitlines()[0][:_ABOUT]}")
        if found and found.kept:
            lines.append(f"    kept: {' '.join(found.kept)}")
        lines += [f"    {sentence}" for sentence in found.notes] if found else []
        lines += [f"    DOES NOT HOLD: {sentence}" for sentence in row.faults]
    return "\n".join(lines) + "\n"
