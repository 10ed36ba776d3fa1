# SPDX-License-Identifier: GPL-2.0-only
"""What nightly's histories say: the line of each cell of a series, and where it moved."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from harness.board import drawing
from harness.studies.nightly import moves, store, text, trend, words
from harness.studies.nightly.trend import TrendLine
from harness.studies.nightly.triage import Triage
from harness.studies.nightly.words import TriageWord
from harness.util.errors import UserError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Nights:
    """The lines of all histories below a folder of results; triages: what moved, by folder."""

    lines: tuple[TrendLine, ...]
    triages: tuple[tuple[str, Triage], ...] = ()

    def of(self, series: str) -> list[TrendLine]:
        """The lines of a series: its name is what nightly.yaml calls it."""
        return [line for line in self.lines if line.subject == series]


def nights(results: Path, histories: Sequence[Path]) -> Nights:
    """Read every history; one without a night says nothing yet."""
    lines: list[TrendLine] = []
    triages = []
    for path in histories:
        with store.reading(path) as history:
            if history.nights():
                name = path.parent.relative_to(results).as_posix()
                found = trend.read(history, name=name).lines
                lines += found
                triages.append((name, Triage(moves.find(history, found), _said(path.parent))))
    return Nights(tuple(lines), tuple(triages))


def _said(folder: Path) -> dict[str, TriageWord]:
    try:
        return words.read(folder / words.COPY)
    except UserError as error:
        _log.warning(f"the words on what moved are left out: {error}")
        return {}


def figure(line: TrendLine) -> Markup:
    """A line's points, oldest first."""
    points = [
        (mark.label, one.estimate_pct, one.low_pct, one.high_pct, mark.shift is not None)
        for mark in line.marks
        if (one := mark.estimate).estimate_pct is not None
    ]
    return drawing.trend(points, line.margin, line.title)


def notes(line: TrendLine) -> list[str]:
    """Where its level moved, in sentences."""
    return [f"At {mark.label} the {text.moved(mark)}." for mark in line.shifts]


def data(line: TrendLine) -> list[Any]:
    """The line as plain values."""
    return [line.title, line.margin, [
        [mark.label, mark.comparison.night, mark.estimate.estimate_pct, mark.estimate.low_pct,
         mark.estimate.high_pct, mark.estimate.verdict, text.moved(mark)]
        for mark in line.marks
    ]]  # fmt: skip
