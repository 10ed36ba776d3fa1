# SPDX-License-Identifier: GPL-2.0-only
"""The comparisons of ``make cases`` -> report/cases.txt and cases.csv.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiment import case
from harness.experiment.case import Sign
from harness.report import layout, table
from harness.report.layout import listed, paragraphs, wrap
from harness.report.table import Table, columns
from harness.results import record
from harness.results.manifest import ResultKind
from harness.studies.cases.finding import Finding, Seen, find
from harness.studies.result import StudyResult
from harness.util import atomic, yamlfile
from harness.util.errors import Exit

TEXT, TABLE = "report/cases.txt", "report/cases.csv"

_METHOD = (
    "Seen: one of the signs of the case (below: 'seen if') showed in a boot of the kernel, or in "
    "the median of its boots. Not seen: all boots ended well, and none showed.",
    "Failed: a boot ended in another way than the case asks for, so that nothing can be said.",
    "Cannot: the kernel, or this harness, lacks what the case needs; the reason is below.",
    "Each case is written from the public report, and scaled down where that is said.",
)


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """A case and what it comes to, by kernel; facts: as the record has them.

    bases: what it comes to on the base that each series was booted beside
    """

    name: str
    facts: Mapping[str, Any]
    signs: Sequence[Sign]
    found: Mapping[str, Finding]
    bases: Mapping[str, Finding]


def make(folder: Path) -> StudyResult:
    """Write `TEXT` and `TABLE` again, from the comparisons below ``folder``.

    The status is 3 where a series shows what its base does not, 5 where a kernel failed.
    """
    told = record.read(folder, ResultKind.CASES)
    kernels = [str(name) for name in told["kernels"]]
    every = [_judged(folder, one, kernels, told["failures"]) for one in told["cases"]]
    words = render(str(told["name"]), str(told["command"]), kernels, every)
    (folder / TEXT).parent.mkdir(exist_ok=True)
    atomic.text(folder / TEXT, words)
    heads = ("case", "kernel", "result", "said", "comparison")
    lines = [
        (one.name, name, str(found.seen), found.said, found.folder)
        for one in every
        for name, found in one.found.items()
    ]
    atomic.text(folder / TABLE, table.sheet(heads, lines))
    return StudyResult(ResultKind.CASES, folder, words, folder / TEXT, _status(told, every))


def _judged(
    folder: Path, facts: Mapping[str, Any], kernels: Sequence[str], failures: Mapping[str, str]
) -> JudgedCase:
    name = str(facts["name"])
    signs = [yamlfile.check(one, Sign, f"{name}: seen") for one in facts["seen"]]
    trials = {kernel: ran for ran in facts["trials"] for kernel in ran["kernels"]}
    found = {}
    for kernel in kernels:
        if facts["cannot"]:
            found[kernel] = Finding(Seen.CANNOT, str(facts["cannot"]))
        elif kernel in failures:
            found[kernel] = Finding(Seen.FAILED, failures[kernel])
        else:
            found[kernel] = find(folder, trials[kernel], kernel, signs)
    bases = {
        kernel: find(folder, {**ran, "kernels": {kernel: "base"}}, kernel, signs)
        for ran in facts["trials"]
        for kernel, arm in ran["kernels"].items()
        if ran["has_series"] and arm == "patch"
    }
    return JudgedCase(name, facts, signs, found, bases)


def _status(told: Mapping[str, Any], every: Sequence[JudgedCase]) -> Exit:
    if any(_worse(every)):
        return Exit.WORSE
    failed = any(found.seen is Seen.FAILED for one in every for found in one.found.values())
    return Exit.KERNEL if failed or told["failures"] else Exit.OK


def _worse(every: Sequence[JudgedCase]) -> Iterator[tuple[str, str]]:
    """(kernel, case) of each series that shows what the base beside it does not."""
    for one in every:
        for kernel, base in one.bases.items():
            if one.found[kernel].seen is Seen.SEEN and base.seen is not Seen.SEEN:
                yield kernel, one.name


def render(name: str, command: str, kernels: Sequence[str], every: Sequence[JudgedCase]) -> str:
    """The whole text: the table first, each case after it, the method last."""
    return layout.page(
        (
            paragraphs([*_outcome(every), f"Cases '{name}' on {', '.join(kernels)}", command]),
            table.text(overview(kernels, every)),
            *(_case(one) for one in every),
            layout.section("How to read this", listed(_METHOD)),
        )
    )


def _outcome(every: Sequence[JudgedCase]) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for kernel, name in _worse(every):
        found.setdefault(kernel, []).append(name)
    if not found:
        yield "No series shows a case that its base does not show."
    for kernel, names in found.items():
        yield f"{kernel} shows what its base does not: {', '.join(names)}."


def overview(kernels: Sequence[str], every: Sequence[JudgedCase]) -> Table:
    """One case a row, one kernel a column."""
    rows = [(one.name, *(one.found[name].seen.value for name in kernels)) for one in every]
    return Table("", columns("case", *kernels, names=1 + len(kernels)), tuple(rows))


def _case(one: JudgedCase) -> Iterator[str]:
    facts = one.facts
    yield from layout.heading(one.name, "-")
    yield from wrap(f"{facts['title']}. Reported of {facts['kernels']}: {facts['reported']}")
    for report in facts["report"]:
        yield case.address(report)
    if facts["scaled"]:
        yield from wrap(f"Here: {facts['scaled']}")
    if one.signs:
        yield from wrap(f"Seen if: {'; or '.join(sign.shown for sign in one.signs)}")
    for said, names in _same(one.found):
        yield from wrap(f"{', '.join(names)}: {said}", "- ")


def _same(found: Mapping[str, Finding]) -> Iterator[tuple[str, list[str]]]:
    """What is said, with the kernels that it is said of."""
    by_text: dict[str, list[str]] = {}
    for name, one in found.items():
        text = f"{one.seen}: {one.said}" if one.said else str(one.seen)
        by_text.setdefault(text, []).append(name)
    yield from by_text.items()
