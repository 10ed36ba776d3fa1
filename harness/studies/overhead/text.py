# SPDX-License-Identifier: GPL-2.0-only
"""overhead.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.report import layout, table
from harness.report.layout import capped, listed, paragraphs, section, wrap
from harness.studies.overhead import phrases, tables
from harness.studies.overhead.analysis import BackendOverhead, Overhead


def render(report: Overhead) -> str:
    """The whole text: the answer, each back-end, the boots that do not count, the method."""
    blocks, more = _answer(report)
    blocks += [
        section("More warnings", listed(more)),
        section("What was compared", _compared(report)),
    ]
    for backend in report.backends:
        blocks += _backend(report, backend)
    blocks += [
        section("Excluded boots", listed(report.failed)),
        section("Notes", listed(report.notes)),
        section("How to read this", listed(phrases.METHOD)),
        section("Where the rest is", _rest(report)),
    ]
    return layout.page(blocks)


def summary(report: Overhead) -> str:
    """The answer on one screen: what is wrong first, then bytes a slot, an entry and in all."""
    return layout.page(_answer(report)[0])


def _answer(report: Overhead) -> tuple[list[Iterable[str]], list[str]]:
    """The blocks of the screen, and the warnings that did not fit it."""
    head = wrap(phrases.title(report), rest="  ")
    shown = [table.text(one) for one in tables.answer(report)]
    # The figures come whole; warnings get the lines that are left of a screen.
    left = layout.SCREEN - sum(map(len, (head, *shown))) - len(shown)
    warnings = list(phrases.warnings(report))
    for count in range(len(warnings), -1, -1):
        lines = list(listed(capped(warnings, count, " below")))
        if len(lines) <= left:
            break
    return [[*head, *lines], *shown], warnings[count:]


def _compared(report: Overhead) -> Iterator[str]:
    lines = [f"Report: {report.name}"]
    for arm, kernel in report.kernels.items():
        series = f", series {kernel.series}" if kernel.series else ""
        lines.append(f"{arm}: {kernel.name} ({kernel.version}{series}); {kernel.note}")
    lines.append(f"Filled with: {report.parameters}")
    if report.claim:
        lines.append(f"Claim: {report.claim.title}; {report.claim.source}")
    return paragraphs(lines)


def _backend(report: Overhead, backend: BackendOverhead) -> Iterator[Iterable[str]]:
    yield [*layout.heading(f"Back-end {backend.name}"), *listed(phrases.makers(backend))]
    yield _titled("Where patch needs more memory than base:", phrases.crossings(backend))
    yield _titled("Known weights:", phrases.weights(backend))
    yield from (table.text(one) for one in tables.of(report, backend))
    yield listed(phrases.notes(backend))


def _titled(title: str, items: Iterable[str]) -> list[str]:
    found = list(listed(items))
    return [title, *found] if found else []


def _rest(report: Overhead) -> Iterator[str]:
    return paragraphs(
        (
            "Each structure at each mark of each boot: overhead.csv",
            "Bytes before the first page, all metadata at each mark with the residual, allocinfo "
            "against its stand-in, and plots: overhead.html",
            f"To repeat it: {report.command}",
        )
    )
