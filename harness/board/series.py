# SPDX-License-Identifier: GPL-2.0-only
"""The page of a series: revisions, claims, what was measured, verdicts, why, nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.board import chunks, history, pages, tables
from harness.board.claims import AGREE, DIFFERS, UNTOLD, JudgedTable
from harness.board.history import Nights
from harness.board.moved import Moved, of_series
from harness.board.pages import Board, Placed
from harness.board.record import BoardComparison
from harness.board.site import BoardSite
from harness.report.table import Table, columns
from harness.results import address
from harness.series.registry import Entry

_MOST_ROWS = 200
_MOST_TRENDS = 24
_MOST_MOVES = 24


def write(
    site: BoardSite, board: Board, entries: Mapping[str, Entry], past: Nights,
    claimed: Sequence[JudgedTable], moves: Sequence[Moved],
) -> None:  # fmt: skip
    """The pages of all series that were measured, or whose authors published figures."""
    names = {many[-1].patch.series for many in board.series.values()}
    for name in sorted(names | {one.series for one in claimed}):
        mine = [one for one in claimed if one.series == name]
        said = list(of_series(moves, name))[:_MOST_MOVES]
        _write(site, board, name, entries.get(name), past, mine, said)


def _write(
    site: BoardSite, board: Board, name: str, entry: Entry | None, past: Nights,
    claimed: Sequence[JudgedTable], moves: Sequence[str],
) -> None:  # fmt: skip
    place = address.slug(name)
    found = board.series.get(place, [])
    title = (entry.title if entry else "") or (found[-1].patch.title if found else name)
    measured = newest(found)
    shown = measured[:_MOST_ROWS]
    lines = past.of(name)[:_MOST_TRENDS]
    revisions = _revisions(found, entry)
    why = _why(found)
    more = chunks.links(len(found))
    front = list(reversed(found[-chunks.SIZE :]))[:25]
    inputs = [
        title, entry.description if entry else "", revisions.rows,
        [(one.address, one.sums, row.cell, row.metric) for one, row in shown],
        board.bars(row for _, row in shown), len(measured), [history.data(line) for line in lines],
        board.inputs(front), [one.address for one in why], len(more), list(map(_claims, claimed)),
        moves,
    ]  # fmt: skip
    site.html(
        f"series/{place}/index.html", "series.html.j2", inputs,
        lambda: {
            "title": title if title == name else f"{title} ({name})",
            "description": entry.description if entry else "",
            "revisions": revisions,
            "claims": [(one, one.table("../../")) for one in claimed],
            "measured": tables.of_series(shown, "../../", board.fences),
            "left_out": max(len(measured) - _MOST_ROWS, 0),
            "why": [tables.functions(one, f"{one.patch.label} on {one.base.label}") for one in why],
            "moves": moves,
            "trends": [(line.title, history.figure(line), history.notes(line)) for line in lines],
            "comparisons": tables.comparisons(front, "../../", board.fences),
            "chunks": more,
        },
    )  # fmt: skip
    site.json(
        f"series/{place}/index.json", inputs,
        lambda: {
            "series": name, "title": title, "revisions": revisions.rows,
            "comparisons": [pages.brief(one) for one in front],
            "measured": [_data(one, row) for one, row in shown],
            "claims": list(map(_claims, claimed)),
            "nights": [history.data(line) for line in lines],
        },
    )  # fmt: skip
    if more:
        pages.comparison_list(site, board, f"series/{place}/", title, found, skip_front=True)


def newest(found: Sequence[BoardComparison]) -> list[Placed]:
    """The newest figure of each revision, arm, base, cell and metric, newest revision first.

    One with a verdict stands before a newer one without.
    """
    last: dict[tuple[str, ...], Placed] = {}
    for one in sorted(found, key=lambda one: one.is_judged):
        for row in one.rows:
            arms = (one.patch.revision, one.patch.switch, one.base.tree)
            last[*arms, row.address, row.metric] = (one, row)
    return sorted(last.values(), key=_order)


def _order(placed: Placed) -> tuple[Any, ...]:
    one, row = placed
    number = one.patch.revision.rpartition("v")[2]
    return (-int(number) if number.isdigit() else 0, one.patch.switch, one.base.label, row.metric,
            row.cell)  # fmt: skip


def _revisions(found: Sequence[BoardComparison], entry: Entry | None) -> Table:
    """Those of the registry and those that were measured."""
    measured: dict[str, list[BoardComparison]] = {}
    for one in sorted(found, key=lambda one: one.is_judged):
        measured.setdefault(one.patch.revision, []).append(one)
    listed = {one.name: one for one in entry.revisions} if entry else {}
    rows = []
    for name in dict.fromkeys([*listed, *measured]):
        posting, many = listed.get(name), measured.get(name, [])
        rows.append((
            name or "-",
            str(posting.date or "-") if posting else "-",
            str(many[-1].patch.patches) if many else "-",
            posting.message_id if posting else (many[-1].patch.message_id if many else "") or "-",
            str(len(many)) if many else "not measured",
            tables.verdicts(many[-1]) if many else "-",
        ))  # fmt: skip
    heads = (*columns("revision", "sent", names=2), *columns("patches", names=0),
             *columns("message-id", "comparisons", "newest verdicts", names=3))  # fmt: skip
    return Table("", heads, tuple(rows))


def _why(found: Sequence[BoardComparison]) -> list[BoardComparison]:
    """Of each revision and arm the newest comparison that was profiled."""
    last = {(one.patch.revision, one.patch.switch): one for one in found if one.why}
    return list(reversed(last.values()))[:6]


def _data(one: BoardComparison, row: Any) -> dict[str, Any]:
    return {
        "revision": one.patch.revision, "arm": one.patch.switch, "base": one.base.label,
        "cell": row.cell, "address": f"cell/{row.address}/", "metric": row.metric,
        "unit": row.unit, "n": row.n, "change_pct": row.change, "low_pct": row.low,
        "high_pct": row.high, "verdict": row.verdict, "comparison": f"comparison/{one.address}/",
    }  # fmt: skip


def _claims(one: JudgedTable) -> dict[str, Any]:
    """As plain values."""
    rows = [
        {"claim": each.what, "on": each.conditions, "claimed": each.claimed,
         "nearest": each.nearest, "measured": each.measured, "verdict": each.verdict,
         "why": each.why,
         "comparison": f"comparison/{each.comparison.address}/" if each.comparison else ""}
        for each in one.claims
    ]  # fmt: skip
    return {"title": one.title, "revision": one.revision, "source": one.source, "rows": rows}


def summary(claimed: Sequence[JudgedTable]) -> Table:
    """The front page's table: how many figures of each publication agree."""
    rows = tuple(
        (tables.link(f"series/{address.slug(one.series)}/", one.title), one.revision,
         *map(str, one.counts.values()))
        for one in claimed
    )  # fmt: skip
    heads = (*columns("published", "revision", names=2), *columns(AGREE, DIFFERS, UNTOLD, names=0))
    return Table("", heads, rows)
