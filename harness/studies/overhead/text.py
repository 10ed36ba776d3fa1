# SPDX-License-Identifier: GPL-2.0-only
"""overhead.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from harness.studies.overhead import phrases, tables
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.util.escape import visible

WIDTH = 72


def render(report: Overhead) -> str:
    """The whole text."""
    blocks: list[Iterable[str]] = [_head(report), _compared(report)]
    for backend in report.backends:
        blocks += _backend(report, backend)
    blocks += [_failures(report), _method(), _run(report)]
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"


def wrap(text: str, first: str = "", rest: str = "  ") -> list[str]:
    """Printable ASCII in lines of at most 72 columns."""
    return textwrap.wrap(
        visible(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )


def _listed(items: Iterable[str]) -> Iterator[str]:
    for item in items:
        yield from wrap(item, "- ")


def _head(report: Overhead) -> Iterator[str]:
    for line in phrases.opening(report):
        yield from wrap(line)
    if report.failed:
        count = len(report.failed)
        said = "A boot does" if count == 1 else f"{count} boots do"
        yield from wrap(f"{said} not count: see below.")


def _compared(report: Overhead) -> Iterator[str]:
    yield visible(f"Report: {report.name}")[:WIDTH]
    for arm, kernel in report.kernels.items():
        series = f", series {kernel.series}" if kernel.series else ""
        text = f"{phrases.ARMS[arm].capitalize()}: {kernel.name} ({kernel.version}{series})"
        yield from wrap(f"{text}; {kernel.note}")
    yield from wrap(report.parameters, "Filled with: ")
    claim = report.claim
    if claim:
        yield from wrap(f"Claim: {claim.title}; {claim.source}")
    if claim and not report.claim_fits:
        yield from wrap(
            f"The claim is about {claim.models.old} and {claim.models.new}, which are not "
            "the two kernels here: read its columns as of other kernels."
        )


def _backend(report: Overhead, backend: BackendOverhead) -> Iterator[Iterable[str]]:
    title = f"Back-end {visible(backend.name)}"[:WIDTH]
    sides = list(backend.sides.values())
    yield [title, "=" * len(title)]
    yield _listed(phrases.makers(backend))
    yield _titled("The new design becomes dearer:", phrases.crossings(backend))
    yield _titled("Known weights:", phrases.weights(backend))
    for table in tables.of(report, backend):
        yield [visible(table.title), *map(visible, tables.lines(table, WIDTH))]
    shapes = (
        text
        for side in sides
        for name, fit in side.fits.items()
        if (text := phrases.shape(f"{phrases.ARMS[side.kernel.arm]}: {name}", fit))
    )
    yield _listed(shapes)
    yield _listed(
        (
            *(phrases.source(side) for side in sides),
            *(phrases.reach(backend, side) for side in sides),
            *(text for side in sides for text in phrases.sparse(side)),
            *phrases.limits(backend),
            *(text for side in sides for text in phrases.stays(side)),
            *(text for side in sides for text in phrases.gaps(side)),
            *phrases.worth(sides),
        )
    )


def _titled(title: str, items: Iterable[str]) -> list[str]:
    found = list(_listed(items))
    return [title, *found] if found else []


def _failures(report: Overhead) -> Iterator[str]:
    if report.failed:
        yield "Boots that do not count"
        yield from _listed(report.failed)
    if report.notes:
        yield "Notes"
        yield from _listed(report.notes)


def _method() -> Iterator[str]:
    yield "How to read this"
    for sentence in phrases.METHOD:
        yield from wrap(sentence, "- ")


def _run(report: Overhead) -> Iterator[str]:
    yield from wrap(f"To repeat it: {report.command}")
    yield "Every number by structure and mark: overhead.csv"
