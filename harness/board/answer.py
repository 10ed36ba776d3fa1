# SPDX-License-Identifier: GPL-2.0-only
"""What was measured of the series that a mail belongs to, as b4 takes it: JSON in its form.

b4 pipes a cover letter or a patch into ``review-series-check-cmd`` and shows what comes back: a
list of objects with tool, status (pass, warn or fail), summary, url and details.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.board import collect, record, tables
from harness.board.record import BoardComparison, Known
from harness.results import manifest as manifests
from harness.series.mail import cover
from harness.util.errors import UserError

TOOL = "swap-harness"
_FAIL, _WARN, _PASS = "fail", "warn", "pass"
_MOST_ROWS = 30


def check(raw: bytes, results: Path, kernels: Known, board: str = "") -> list[dict[str, str]]:
    """One object for all comparisons of the mail's series; none if nothing was measured.

    Status: fail where a kernel failed or something is worse, warn where something is undecided or
    has no verdict, else pass.  board: the URL of the board, "" for no link
    UserError for what is no mail, or has no message-id.
    """
    wanted = _message_id(raw)
    found = list(_newest(_of(wanted, results, kernels)))
    if not found:
        return []
    status = min(map(_status, found), key=(_FAIL, _WARN, _PASS).index)
    told = {
        "tool": TOOL,
        "status": status,
        "summary": "; ".join(_summary(one) for one in found),
        "details": "\n\n".join("\n".join(_details(one, board)) for one in found),
    }
    return [told | ({"url": f"{board}comparison/{found[0].address}/"} if board else {})]


def _message_id(raw: bytes) -> str:
    ids = cover.ids(raw)
    if not ids:
        raise UserError("standard input is no mail with a Message-ID: pipe a mail into it")
    return ids[0]


def _of(wanted: str, results: Path, kernels: Known) -> Iterator[BoardComparison]:
    """The finished comparisons of a series that was mailed with this id, whole as recorded."""
    for name, folder in collect.folders(results, results / "board", []):
        # Of ten thousand results one or two are parsed.
        manifest = folder / manifests.NAME
        if not manifest.is_file() or wanted.encode() not in manifest.read_bytes():
            continue
        found = collect.FoundResults()
        place = collect.read_one(folder, name, kernels, found)
        if place and wanted in record.message_ids(folder):
            yield found.comparisons[place]


def _newest(found: Iterator[BoardComparison]) -> Sequence[BoardComparison]:
    """The newest of each revision, arm, base and set of cells, the newest first."""
    last: dict[tuple[object, ...], BoardComparison] = {}
    for one in sorted(found, key=lambda one: one.ended):
        cells = tuple(sorted({row.address for row in one.rows}))
        last[one.patch.revision, one.patch.switch, one.base.tree, cells] = one
    return sorted(last.values(), key=lambda one: one.ended, reverse=True)


def _status(one: BoardComparison) -> str:
    if one.failed or "worse" in one.verdicts:
        return _FAIL
    return _WARN if not one.rows or {"undecided", "none"} & one.verdicts.keys() else _PASS


def _summary(one: BoardComparison) -> str:
    return f"{tables.verdicts(one) or 'no verdict'} on {one.base.label}"


def _details(one: BoardComparison, board: str) -> Iterator[str]:
    clock = "instructions, not time" if one.clock == "insn" else "wall time"
    yield f"{one.patch.label} on {one.base.label}, {one.pairs} pairs of boots ({clock}):"
    for row in one.rows[:_MOST_ROWS]:
        said = f"{row.verdict} {tables.change(row)} {tables.interval(row)}"
        link = f" {board}cell/{row.address}/" if board else ""
        yield f"{row.cell} {row.metric}: {said}{link}"
    for why in one.why[:3]:
        yield f"{why.cell}: {why.function} {why.change:+.1f} {why.unit}"
