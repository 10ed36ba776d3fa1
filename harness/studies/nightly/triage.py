# SPDX-License-Identifier: GPL-2.0-only
"""``make triage``: what moved, and what people said of it.  Runs nothing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report import layout
from harness.report.layout import paragraphs, section, wrap
from harness.report.numbers import percent
from harness.report.table import Table, columns
from harness.studies.nightly import moves, store, trend, words
from harness.studies.nightly.moves import Move
from harness.studies.nightly.words import TriageWord
from harness.util.errors import UserError
from harness.util.escape import visible
from harness.util.yamlfile import near

OPEN = "not explained"
_WEEK = datetime.timedelta(days=7)
_MOST = 10
_HOW = "make triage MOVE=<id> WORD=expected|culprit|noise BY='<your name>' NOTE='...' says why."
RULE = (
    "A line moved where its change differs from that of the point before (the first point: from "
    "none) by more than the margin of its workload and the higher bar of its cell's noise, and the "
    "intervals of both do not meet (the first: its verdict is worse or better)."
)


@dataclass(frozen=True, slots=True)
class Triage:
    """What moved in one history, newest first, and the words by the id of their move."""

    moves: tuple[Move, ...]
    words: Mapping[str, TriageWord]

    def word(self, move: Move) -> str:
        """What somebody said of it, or that nobody did."""
        said = self.words.get(move.id)
        return said.word if said else OPEN

    @property
    def unexplained(self) -> tuple[Move, ...]:
        """Those of which nobody said anything."""
        return tuple(one for one in self.moves if one.id not in self.words)

    def stale(self, now: datetime.datetime) -> tuple[Move, ...]:
        """Those that nobody explained within a week, the oldest first."""
        late = (now - _WEEK).isoformat()
        return tuple(one for one in reversed(self.unexplained) if one.since < late)


def read(root: Path, said: Path | None = None) -> Triage:
    """Of a folder of `make nightly`; ``said``: the file of words, the folder's copy if None.

    UserError where there is no history, or the file is damaged.
    """
    with store.reading(root / store.NAME) as history:
        if not history.nights():
            return Triage((), {})
        lines = trend.read(history, name=root.name).lines
        found = moves.find(history, lines)
    return Triage(found, words.read(said or root / words.COPY))


def say(
    found: Triage, path: Path, *, move: str, word: str, by: str, note: str, day: str
) -> TriageWord:
    """Write a word on a move into the file; it takes the place of an older one.

    UserError for a move that there is not.  Words on moves that are no longer there stay.
    """
    ids = [one.id for one in found.moves]
    named = [one for one in found.moves if one.id == move]
    if not named:
        there = f"{near(move, ids)}; 'make triage' lists them" if ids else ": nothing moved"
        raise UserError(f"there is no move '{move}'{there}")
    one = named[0]
    said = TriageWord(one.id, one.line.title, one.at.label, words.WORDS[word], by, day, note)
    kept = {**found.words, said.move: said}
    words.write(path, list(kept.values()))
    return said


def render(found: Triage) -> str:
    """The list, ASCII; commands are on one line each, to be copied."""
    if not found.moves:
        return "Nothing moved.\n"
    open_ones = found.unexplained
    head = [f"{len(found.moves)} moved, {len(open_ones)} of them not explained yet."]
    head += [_HOW] if open_ones else []
    blocks = [paragraphs(head), *(_entry(found, one) for one in found.moves)]
    return layout.page((*blocks, section("How to read this", paragraphs([RULE]))))


def entries(found: Triage) -> list[str]:
    """What is not explained, as lines of a report; of many the newest."""
    shown = found.unexplained[:_MOST]
    more = len(found.unexplained) - len(shown)
    lines = [line for one in shown for line in _entry(found, one, command=False)]
    return [*lines, *([f"and {more} more: make triage"] if more else [])]


def _entry(found: Triage, one: Move, *, command: bool = True) -> list[str]:
    said = found.words.get(one.id)
    size = f"{one.size}, " if one.size else ""
    lines = [
        *wrap(f"{one.id}  {one.line.title}, at {one.at.label}:", rest="  "),
        *wrap(f"{one.verdict} {percent(one.change_pct)}%, {size}since the night of "
              f"{one.since[:10]}; {found.word(one)}", "  "),
    ]  # fmt: skip
    if said:
        return [*lines, *wrap(f"{said.by}, {said.date}: {said.note or said.word}", "  ")]
    lines += wrap(one.answer, "  ") if one.answer else []
    is_open = command and one.command and not one.search
    return [*lines, *([f"  {visible(one.command)}"] if is_open else [])]


def listing(found: Triage, only: Sequence[Move] | None = None) -> Table:
    """All moves as a table, or some."""
    rows = tuple(
        (one.id, one.since[:10], one.line.title, one.at.label, f"{percent(one.change_pct)}%",
         one.size or "-", found.word(one))
        for one in (found.moves if only is None else only)
    )  # fmt: skip
    heads = (*columns("move", "night", "line", "at", names=4), *columns("change", names=0),
             *columns("beyond noise", "word", names=2))  # fmt: skip
    return Table("", heads, rows)
