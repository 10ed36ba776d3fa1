# SPDX-License-Identifier: GPL-2.0-only
"""A report in the format that another program, a web page or a CI system reads.  Pure."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from harness.report import model, phrases, tables, text
from harness.report.model import Estimate, Report
from harness.report.numbers import change, fine, fine_interval, interval, number
from harness.report.text import judged, numbers
from harness.stats.verdict import Kind
from harness.util.escape import harmless

SCHEMA = 1
_TOP_COUNTERS = 20


def comparison(report: Report, name: str) -> str:
    """A comparison in the format called `name`."""
    if name == "text":
        return text.render(report)
    if name == "csv":
        return tables.estimates(report)
    if name == "json":
        return json_text(_data(report))
    if name == "junit":
        return junit(report.name, list(_cases(report)))
    return "\n\n".join("\n".join(block) for block in _markdown(report)) + "\n"


# Markdown


def _markdown(report: Report) -> Iterator[list[str]]:
    yield [f"# {marked(report.name)}"]
    yield [f"**{marked(line)}**  " for line in model.opening(report)]
    yield [marked(f"Clock: {report.facts.clock}")]
    yield [f"- {arm}: {marked(said)}" for arm, said in report.facts.compared]
    for part in report.parts:
        yield [f"## {marked(part.workload)}"]
        yield [marked(part.description), marked(f"Parameters: {part.parameters}")]
        for name, rows in phrases.by_metric(part.primary):
            yield [f"### {marked(name)} (primary), {marked(phrases.unit(rows))}"]
            yield markdown_table(_JUDGED, [_judged(row) for row in rows])
            yield [f"- {marked(line)}" for line in phrases.reasons(rows)]
        others = [*phrases.by_metric(part.secondary), *phrases.by_histogram(part.percentiles)]
        for name, rows in others:
            yield [f"### {marked(name)}, {marked(phrases.unit(rows))}"]
            yield markdown_table(_PLAIN, [(_label(row), *numbers(row)) for row in rows])
        if part.counters:
            yield ["### Counters"]
            said = phrases.COUNTERS.format(moved=len(part.counters), tested=part.tested)
            yield [marked(said)]
            yield markdown_table(_COUNTED, [_counter(row) for row in part.counters[:_TOP_COUNTERS]])
    yield from _tested(report)
    yield ["## What this clock cannot see"]
    yield [f"- {marked(line)}" for line in report.facts.blind]
    yield ["## To repeat it"]
    yield ["    " + dict(report.facts.repeat)["Command"].replace("\n", " ")]


def _tested(report: Report) -> Iterator[list[str]]:
    if not report.tested:
        return
    yield ["## The kernel's own tests"]
    for part in report.tested:
        yield [f"- {marked(f'{part.cell} {arm}: {counts}')}" for arm, counts in part.counts]
        yield [f"- **{marked(item.sentence)}**" for item in part.regressions]
        yield [f"- {marked(text)}" for text in (*part.changes, *part.unbuilt)]


_JUDGED = (
    "back-end", "base", "patch", "change", "95 % interval", "n", "verdict", "A/A, %",
    "A/A 95 % interval", "detects, %",
)  # fmt: skip
_PLAIN = ("back-end", "base", "+-", "patch", "change", "95 % interval", "n")
_COUNTED = ("counter", "back-end", "phase", "base", "patch", "change", "95 % interval", "q")


def _judged(row: Estimate) -> tuple[str, ...]:
    noise: tuple[str, ...] = ("-", "none", "-")
    if row.noise is not None:
        aa = row.noise.change
        noise = (
            fine(aa.estimate_pct, sign=True), fine_interval(aa), fine(row.noise.detectable_pct),
        )  # fmt: skip
    return (row.backend, *judged(row), *noise)


def _label(row: Estimate) -> str:
    last = row.name.rpartition(" ")[2]
    return f"{last} {row.backend}" if row.role == "percentile" else row.backend


def _counter(row: Estimate) -> tuple[str, ...]:
    return (
        row.name, row.backend, row.phase, number(row.base.median),
        f"{number(row.patch.median)} {row.unit}", change(row.change), interval(row.change),
        "-" if row.q is None else f"{row.q:.2g}",
    )  # fmt: skip


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *rows]
    return [
        f"| {' | '.join(cell if place == 1 else marked(cell) for cell in line)} |"
        for place, line in enumerate(lines)
    ]


def marked(said: str) -> str:
    """Text that is no mark-up of Markdown or HTML."""
    one_line = harmless(" ".join(said.split()))
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in one_line)


# JSON


def _data(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": report.name,
        "clock": report.clock,
        "opening": list(model.opening(report)),
        "boots": {"planned": report.planned, "usable": report.usable},
        "rows": [_row(row) for row in report.rows],
        "selftests": [dataclasses.asdict(one) for one in report.tested],
        "failures": [dataclasses.asdict(one) for one in report.failures],
        "failing": report.failing and dataclasses.asdict(report.failing),
        "defects": list(report.defects),
        "facts": dataclasses.asdict(report.facts),
    }


def _row(row: Estimate) -> dict[str, Any]:
    data = dataclasses.asdict(row)
    # The verdict repeats change and noise, which are there already.
    one = row.verdict
    data["verdict"] = one and {
        "kind": str(one.kind), "reason": one.reason, "margin_pct": one.margin_pct, "more": one.more,
    }  # fmt: skip
    return data


def json_text(value: Any) -> str:
    return json.dumps(_finite(value), indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value


# JUnit


@dataclasses.dataclass(frozen=True, slots=True)
class JunitCase:
    """A test case of JUnit.

    group: the class name; bad: "failure", "error", "skipped" or "" if it passed
    """

    group: str
    name: str
    bad: str
    message: str
    detail: str = ""


def _cases(report: Report) -> Iterator[JunitCase]:
    """Worse is a failure, so is a broken test of the kernel's own; a lost boot is an error.

    What is undecided, has no verdict or was not run yet is skipped: it has not passed.
    """
    for row in report.primary:
        if row.verdict is None:
            continue
        kind = row.verdict.kind
        bad = "failure" if kind is Kind.WORSE else ""
        bad = "skipped" if kind in (Kind.UNDECIDED, Kind.NONE) else bad
        said = f"{kind}: {change(row.change)} {interval(row.change)}, n = {row.change.n}"
        yield JunitCase(row.cell, row.name, bad, said, row.verdict.reason)
    for part in report.parts:
        for backend, name in part.unmeasured:
            place = f"{backend}.{part.workload}"
            yield JunitCase(place, name, "skipped", "none: no complete pair of boots has it")
    for item in report.regressions:
        yield JunitCase(item.cell, item.test, "failure", item.sentence, "\n".join(item.log))
    if report.failing is not None and report.failing.more == "patch":
        yield JunitCase("boots", "failures of either kernel", "failure", report.failing.sentence)
    for lost in report.failures:
        place = f"boot {lost.pair:02d}-{lost.arm}"
        bad = "skipped" if lost.outcome == "missing" else "error"
        yield JunitCase(lost.cell, place, bad, f"{lost.outcome}: {lost.detail}", lost.console)


def junit(name: str, cases: Sequence[JunitCase]) -> str:
    """JUnit's XML: one suite called `name`."""
    counts = {
        f"{bad}s" if bad != "skipped" else bad: str(sum(case.bad == bad for case in cases))
        for bad in ("failure", "error", "skipped")
    }
    total = {"name": harmless(name), "tests": str(len(cases)), **counts}
    root = ElementTree.Element("testsuites", total)
    suite = ElementTree.SubElement(root, "testsuite", total)
    for case in cases:
        fields = {"classname": harmless(case.group), "name": harmless(case.name)}
        one = ElementTree.SubElement(suite, "testcase", fields)
        if case.bad:
            bad = ElementTree.SubElement(one, case.bad, {"message": harmless(case.message)})
            bad.text = harmless(case.detail)
        else:
            ElementTree.SubElement(one, "system-out").text = harmless(case.message)
    ElementTree.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + ElementTree.tostring(root, encoding="unicode")
        + "\n"
    )
