# SPDX-License-Identifier: GPL-2.0-only
"""How the results of each kind are read: one table for `report`, `verify` and `bundle`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report import files, formats
from harness.results import checksums
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.studies import bench, compare
from harness.studies.arms import analysis
from harness.studies.arms import formats as arms_formats
from harness.studies.arms import report as arms
from harness.studies.bisect import outcome
from harness.studies.calibrate import report as calibrate
from harness.studies.cases import report as cases
from harness.studies.nightly import report as nightly
from harness.studies.overhead import analysis as overheads
from harness.studies.overhead import formats as overhead_formats
from harness.studies.overhead import report as overhead
from harness.studies.result import StudyResult
from harness.studies.revisions import table as revisions
from harness.studies.walk import report as walk
from harness.util.errors import UserError


@dataclass(frozen=True, slots=True)
class StudyKind:
    """How one kind is read.

    make: writes the report of a results folder again, from its raw files; runs nothing
    render: the report in one of `defaults.FORMATS`; None where it has no other format
    parts: the results that it is made of, in the folder or beside it
    notes: what a check of it is to say beside
    """

    make: Callable[[Path], StudyResult]
    render: Callable[[Path, str], str] | None = None
    parts: Callable[[Path], Sequence[Path]] = checksums.results_below
    notes: Callable[[Path], Sequence[str]] = lambda _: ()


def _overhead(folder: Path, name: str) -> str:
    return overhead_formats.render(overheads.analyse(folder), name)


def _arms(folder: Path, name: str) -> str:
    return arms_formats.render(analysis.analyse(folder), name)


def _compare(folder: Path, name: str) -> str:
    return formats.comparison(files.read(folder), name)


KINDS = {
    ResultKind.COMPARE: StudyKind(compare.report, _compare),
    ResultKind.OVERHEAD: StudyKind(overhead.make, _overhead),
    ResultKind.BENCH: StudyKind(bench.make),
    ResultKind.WALK: StudyKind(walk.make),
    ResultKind.BISECT: StudyKind(outcome.make),
    ResultKind.REVISIONS: StudyKind(revisions.make, parts=revisions.beside),
    ResultKind.CALIBRATE: StudyKind(calibrate.make),
    ResultKind.NIGHTLY: StudyKind(nightly.make),
    ResultKind.CASES: StudyKind(cases.make),
    ResultKind.ARMS: StudyKind(arms.make, _arms, notes=analysis.compilers),
}


def of(folder: Path) -> StudyKind:
    """How a results folder is read.  UserError if it is none."""
    return KINDS[kind_of(folder)]


def report(folder: Path) -> StudyResult:
    """Write the report of a results folder again, and renew its hashes.

    UserError if a raw file is not as it was recorded.
    """
    kind = of(folder)
    checksums.guard(folder)
    made = kind.make(folder)
    checksums.report(folder)
    return made


def against(folder: Path, reference: str) -> str:
    """The report of several arms with another one for reference; writes nothing.

    UserError where there are no arms, or not that one.
    """
    if kind_of(folder) is not ResultKind.ARMS:
        raise UserError(f"'{folder}' has no arms: REFERENCE= is of make compare with ARMS=")
    checksums.guard(folder)
    return arms.against(folder, reference)


def render(folder: Path, name: str) -> str:
    """The report in another format; writes nothing.  UserError where there is none."""
    kind = of(folder)
    if kind.render is None:
        raise UserError(f"'{folder}' is of the kind {kind_of(folder)}: its report has one format")
    checksums.guard(folder)
    return kind.render(folder, name)
