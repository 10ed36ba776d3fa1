# SPDX-License-Identifier: GPL-2.0-only
"""What moved at night on the board: its page, its rows on the front page, what people said."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.board import tables
from harness.board.record import BoardComparison
from harness.board.site import BoardSite
from harness.report.numbers import percent
from harness.report.table import Table, columns
from harness.studies.nightly.moves import Move
from harness.studies.nightly.triage import OPEN, RULE, Triage

PAGE = "triage/"
_MOST = 300
_WEEK = datetime.timedelta(days=7)
_NONE = "Nothing moved, as far as the histories of nightly runs tell."


@dataclass(frozen=True, slots=True)
class Moved:
    """A move of one history.

    name: of the history's folder below the results; address: of the comparison's page, "" for none
    word, by, day, note: what somebody said; word is `triage.OPEN` where nobody did
    """

    name: str
    move: Move
    word: str
    by: str = ""
    day: str = ""
    note: str = ""
    address: str = ""

    @property
    def anchor(self) -> str:
        """Of its entry on the page of all moves."""
        return f"move-{self.move.id}"

    @property
    def is_open(self) -> bool:
        """Whether nobody explained it."""
        return self.word == OPEN

    @property
    def said(self) -> str:
        """The word with who said it, and why."""
        if self.is_open:
            return self.word
        return f"{self.word}, says {self.by}, {self.day}{': ' if self.note else ''}{self.note}"

    @property
    def updated(self) -> str:
        """ISO: when somebody said something, else when it moved."""
        return f"{self.day}T00:00:00+00:00" if self.day else self.move.since

    @property
    def title(self) -> str:
        """In one line."""
        change = f"{self.move.verdict} {percent(self.move.change_pct)}%"
        return f"{self.move.line.title} moved at {self.move.at.label}: {change}, {self.word}"


def moved(
    triages: Iterable[tuple[str, Triage]], comparisons: Iterable[BoardComparison]
) -> tuple[Moved, ...]:
    """All moves of all histories, newest first."""
    places = {one.name: one.address for one in comparisons}
    found = [
        _moved(name, found, one, places) for name, found in triages for one in found.moves
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.move.since, reverse=True))


def _moved(name: str, found: Triage, one: Move, places: Mapping[str, str]) -> Moved:
    said = found.words.get(one.id)
    address = places.get(f"{name}/{one.at.comparison.folder}", "")
    if said is None:
        return Moved(name, one, OPEN, address=address)
    return Moved(name, one, said.word, said.by, said.date, said.note, address)


def stale(found: Sequence[Moved], now: datetime.datetime) -> list[Moved]:
    """What nobody explained within a week, the oldest first."""
    late = (now - _WEEK).isoformat()
    return [one for one in reversed(found) if one.is_open and one.move.since < late]


def fresh(found: Sequence[Moved], now: datetime.datetime) -> list[Moved]:
    """What moved within the last week."""
    late = (now - _WEEK).isoformat()
    return [one for one in found if one.move.since >= late]


def table(found: Sequence[Moved], up: str) -> Table:
    """Some moves, each with a link to its entry."""
    heads = (*columns("night", "line", "at", names=3), *columns("change", names=0),
             *columns("word", "verdict", "beyond noise", names=3))  # fmt: skip
    rows = tuple(
        (
            one.move.since[:10], tables.link(f"{up}{PAGE}#{one.anchor}", one.move.line.title),
            one.move.at.label, f"{percent(one.move.change_pct)}%", one.word, one.move.verdict,
            one.move.size or "-",
        )
        for one in found
    )  # fmt: skip
    return Table("", heads, rows)


def write(site: BoardSite, found: Sequence[Moved]) -> None:
    """The page of all moves and its JSON; of many the newest."""
    shown = found[:_MOST]
    inputs = [as_data(shown), len(found)]
    count = sum(one.is_open for one in found)
    opening = f"{len(found)} moved, {count} of them not explained yet." if found else _NONE
    site.html(
        f"{PAGE}index.html", "triage.html.j2", inputs,
        lambda: {
            "opening": opening,
            "made": table(shown, "../"),
            "moves": [(one, _command(one), _links(one)) for one in shown],
            "left_out": len(found) - len(shown),
            "rule": RULE,
        },
    )  # fmt: skip
    site.json(f"{PAGE}index.json", inputs, lambda: as_data(shown))


def _command(one: Moved) -> str:
    return one.move.command if one.is_open and not one.move.search else ""


def _links(one: Moved) -> Any:
    return tables.link(f"../comparison/{one.address}/", "comparison") if one.address else ""


def as_data(found: Sequence[Moved]) -> list[dict[str, Any]]:
    """As plain values."""
    return [
        {
            "move": one.move.id, "history": one.name, "line": one.move.line.title,
            "at": one.move.at.label, "since": one.move.since, "change_pct": one.move.change_pct,
            "verdict": one.move.verdict, "size": one.move.size, "word": one.word, "by": one.by,
            "date": one.day, "note": one.note, "answer": one.move.answer,
            "command": one.move.command, "bar_pct": one.move.bar.high if one.move.bar else None,
            "comparison": f"comparison/{one.address}/" if one.address else "",
        }
        for one in found
    ]  # fmt: skip


def of_series(found: Iterable[Moved], series: str) -> Iterator[str]:
    """What moved of a series, a sentence each."""
    return (f"{one.title}." for one in found if one.move.line.subject == series)
