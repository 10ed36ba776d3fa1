# SPDX-License-Identifier: GPL-2.0-only
"""Results -> board.  Runs nothing; the same results give the same files."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.board import claims, collect, moved, pages, series, significance, tables
from harness.board.claims import JudgedTable
from harness.board.collect import FoundResults
from harness.board.feed import MOST, feed
from harness.board.history import nights
from harness.board.moved import Moved
from harness.board.pages import Board
from harness.board.record import BoardComparison
from harness.board.site import BoardSite, compact, script, style
from harness.report.table import Table
from harness.stats import fence
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.paths import REPO

STATE, LINES, OPEN = ".board.json", ".board.lines", ".board.open"
"""What the next build takes for known, its comparisons one a line, the mark of a build under way.

One text of all comparisons would take more memory, to write and to read, than they do."""
_SCHEMA, _KNOWN = 2, (1, 2)
_MOST = 40
"""Rows of each list of the front page."""
_PUBLISHED = ("report.txt", "estimates.csv", "metrics.csv", "profile.txt")
_LISTS = {"series": "Series", "base": "Base kernels", "cell": "Cells"}
_METHOD = (
    "Each comparison measures its base and its patched kernel in pairs of boots, and its base "
    "against itself. A verdict is the comparison's own, by its report's rule.",
    "Beyond noise: of each cell, the changes of base against base in all comparisons give a bar, "
    f"Q3 + {fence.TRY:g} (Q3 - Q1) of their sizes, from {fence.LEAST} on. Worse and "
    "better count where the change lies beyond it; they are never taken off each other. Small, "
    "medium, large: beyond the bar, 3 times it, 10 times it. What nobody asked for, a night, has "
    f"the higher bar, with {fence.NIGHTLY:g} for {fence.TRY:g}.",
    "Figures under the instruction clock are instructions, not time: caches, TLBs, lock contention "
    "and device time are not in them.",
)


@dataclass(frozen=True, slots=True)
class BuiltBoard:
    """What a build did. read: comparisons that were new or changed; files: of the board."""

    page: Path
    comparisons: int
    read: int
    files: int
    written: int
    removed: int


def make(
    results: Path, target: Path | None = None, *, now: datetime.datetime | None = None
) -> BuiltBoard:
    """Build the board of a folder of results below it, or in ``target``.

    now: by which a move that nobody explained is old; None for the time of the call
    Raises UserError where there is no such folder, or the target is something else's.
    """
    if not results.is_dir():
        raise UserError(f"there is no folder of results '{results}': 'make compare' makes one")
    root = target or results / "board"
    with atomic.locked(root.parent / f".{root.name}.lock"):
        state = _state(root)
        root.mkdir(parents=True, exist_ok=True)
        (root / OPEN).touch()
        made = _make(results, root, state, now or datetime.datetime.now(datetime.UTC))
        (root / OPEN).unlink()
        return made


def _make(results: Path, root: Path, state: dict[str, Any], now: datetime.datetime) -> BuiltBoard:
    known, entries = collect.registered(REPO / "kernels" / "series")
    site = BoardSite(root, state.pop("pages", {}))
    old = state.pop("collected", {})
    lines = old.pop("comparisons", None) or _lines(root)  # version 1 has them in the state
    before = collect.of_data(old, lines)
    found = collect.collect(results, root, before, known, partial(_record, site))
    ordered = sorted(found.comparisons.values(), key=lambda one: (one.ended, one.address))
    board = Board(ordered, significance.fences(ordered), frozenset(found.gone))
    _records(site, board, found)
    for one in ordered:
        pages.comparison(site, board, one)
    for place, many in board.cells.items():
        pages.cell(site, board, place, many)
    for place, those in board.bases.items():
        title = f"Base kernel {pages.arm_at(those[-1], place).label}"
        pages.comparison_list(site, board, f"base/{place}/", title, those)
    past = nights(results, found.histories)
    claimed = claims.judged(board, root, found.memory)
    moves = moved.moved(past.triages, ordered)
    series.write(site, board, entries, past, claimed, moves)
    moved.write(site, moves)
    pages.comparison_list(site, board, "comparison/", "Comparisons", ordered)
    pages.kernels(site, board)
    _front(site, board, claimed, _MovedOnFront(moves, moved.stale(moves, now),
                                               moved.fresh(moves, now)))  # fmt: skip
    removed = site.prune()
    data = {"schema": _SCHEMA, "pages": site.after, "collected": collect.as_data(found)}
    rows = (f"{compact(one.as_data())}\n".encode() for one in ordered)
    atomic.pieces(root / LINES, rows)
    atomic.text(root / STATE, compact(data))
    return BuiltBoard(
        root / "index.html", len(ordered), len(found.fresh), len(site.after), site.written, removed
    )


def _state(root: Path) -> dict[str, Any]:
    """What the last build left; nothing before the first.  UserError for somebody else's folder."""
    path = root / STATE
    is_cut_off = (root / OPEN).exists()
    if not path.exists():
        if root.is_dir() and any(root.iterdir()) and not is_cut_off:
            raise UserError(f"'{root}' is not empty and no board: name another with OUTPUT=")
        return {}
    state = atomic.json_file(path)
    if state is None or state.get("schema") not in _KNOWN:
        raise _damaged(path)
    # Of what a build that was killed has written nothing is known: all of it is written again.
    return {**state, "pages": {}} if is_cut_off else state


def _lines(root: Path) -> Iterator[dict[str, Any]]:
    """The comparisons that the last build knew.  UserError where the file is damaged."""
    path = root / LINES
    if not path.exists():
        return
    try:
        with path.open("rb") as lines:
            yield from map(json.loads, lines)
    except ValueError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> UserError:
    return UserError(
        f"'{path}' is damaged or of another version: remove '{path.parent}', which is made again "
        "from the results that are there"
    )


def _records(site: BoardSite, board: Board, found: FoundResults) -> None:
    """Keep the files of each comparison that was not read anew; the bundles of all."""
    site.keep({f"comparison/{one.address}" for one in board.comparisons
               if one.address not in found.fresh})  # fmt: skip
    for one in board.comparisons:
        _bundle(site, one, found)


def _record(site: BoardSite, one: BoardComparison, folder: Path, data: dict[str, Any]) -> None:
    """The record of a comparison that was read, and the files of its report."""
    place = f"comparison/{one.address}/"
    site.json(f"{place}index.json", one.sums, lambda: data)
    files = [name for name in _PUBLISHED if (folder / "report" / name).is_file()]
    for name in files:
        site.linked(f"{place}{name}", folder / "report" / name, one.sums)
    report = folder / "report" / "report.html"
    site.file(
        f"{place}report.html",
        [one.sums, files],
        lambda: unlinked(report.read_text("utf-8"), files),
    )


def _bundle(site: BoardSite, one: BoardComparison, found: FoundResults) -> None:
    folder = found.folders.get(one.address)
    if one.bundle and folder:
        source = folder.with_name(one.bundle)
        stamp = source.stat()
        key = f"{stamp.st_mtime_ns} {stamp.st_size}"
        site.linked(f"comparison/{one.address}/{one.bundle}", source, key)


def unlinked(text: str, there: list[str]) -> str:
    """A report without its links to files that are not beside it; they are in the bundle."""
    return re.sub(
        r'<a href="(?!#|https?:)([^"]*)"[^>]*>(.*?)</a>',
        lambda found: found[0] if found[1] in there else found[2],
        text,
        flags=re.DOTALL,
    )


@dataclass(frozen=True, slots=True)
class _MovedOnFront:
    """All moves; stale: not explained for a week; fresh: of the last week."""

    moves: Sequence[Moved]
    stale: Sequence[Moved]
    fresh: Sequence[Moved]

    def as_data(self) -> dict[str, Any]:
        return {"stale": moved.as_data(self.stale), "fresh": moved.as_data(self.fresh)}


def _front(
    site: BoardSite, board: Board, claimed: Sequence[JudgedTable], moves: _MovedOnFront
) -> None:
    newest = list(reversed(board.comparisons[-MOST:]))
    site.file("board.css", "", style)
    site.file("board.js", "", script)
    news = moves.moves[:MOST]
    inputs: list[Any] = [[(one.address, one.sums) for one in newest], moved.as_data(news)]
    site.file("feed.xml", inputs, lambda: feed(newest, news))
    for name, made in pages.overview(board, "../").items():
        _list(site, name, made)
    entries = [
        *([name, f"series/{name}/", many[-1].patch.title] for name, many in board.series.items()),
        *([pages.arm_at(many[-1], name).label, f"base/{name}/", "base kernel"]
          for name, many in board.bases.items()),
        *([many[-1][1].cell, f"cell/{name}/", "cell"] for name, many in board.cells.items()),
        *([one.name, f"comparison/{one.address}/", f"{one.patch.label} on {one.base.label}"]
          for one in reversed(board.comparisons)),
    ]  # fmt: skip
    site.json("search.json", entries, lambda: entries)
    lists = pages.overview(board, "")
    summed = series.summary(claimed)
    counts = {"comparison": len(board.comparisons), "series": len(board.series),
              "base kernel": len(board.bases), "cell": len(board.cells)}  # fmt: skip
    opening = ", ".join(f"{count} {name}{'s' if count != 1 and name[-1] != 's' else ''}"
                        for name, count in counts.items()) + "."  # fmt: skip
    shown = newest[:_MOST]
    inputs = [opening, board.inputs(shown), _first(lists["series"]).rows,
              _first(lists["base"]).rows, summed.rows, moves.as_data()]  # fmt: skip
    site.html(
        "index.html", "front.html.j2", inputs,
        lambda: {
            "opening": opening,
            "stale": moved.table(moves.stale[:_MOST], ""),
            "moved": moved.table(moves.fresh[:_MOST], ""),
            "fresh": tables.comparisons(shown, "", board.fences),
            "series": _first(lists["series"]), "more_series": len(board.series) > _MOST,
            "claims": summed,
            "bases": _first(lists["base"]), "more_bases": len(board.bases) > _MOST,
            "method": _METHOD,
        },
    )  # fmt: skip
    site.json("index.json", inputs, lambda: {
        "counts": counts, "newest": [pages.brief(one) for one in shown],
        "moved": moves.as_data(), "claims": summed.rows,
    })  # fmt: skip


def _list(site: BoardSite, name: str, made: Table) -> None:
    values = {"title": _LISTS[name], "opening": [], "made": made, "chunks": []}
    site.html(f"{name}/index.html", "list.html.j2", made.rows, lambda: values)


def _first(made: Table) -> Table:
    return Table(made.title, made.columns, made.rows[:_MOST])
