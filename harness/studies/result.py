# SPDX-License-Identifier: GPL-2.0-only
"""What every study returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.results import checksums
from harness.results.manifest import ResultKind
from harness.util.errors import Exit


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A finished study, or its report made again.

    text: the whole report; page: the file to look at, with the plots if there are any
    summary: the first screen of the text; "" where the text is no longer than that
    done: boots that this call ran; of a night, comparisons
    """

    kind: ResultKind
    folder: Path
    text: str
    page: Path
    status: Exit
    summary: str = ""
    done: int = 0

    @property
    def screen(self) -> str:
        """What a terminal shows after a run."""
        return self.summary or self.text


def sealed(folder: Path, make: Callable[[Path], StudyResult]) -> StudyResult:
    """Seal what a study recorded, make its report, seal that, too."""
    checksums.raw(folder)
    made = make(folder)
    checksums.report(folder)
    return made
