# SPDX-License-Identifier: GPL-2.0-only
"""A report in the format that another program, a web page or a CI system reads.  Pure."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

from harness.report import (
    bloat,
    counters,
    layout,
    model,
    phrases,
    scaling,
    table,
    tables,
    text,
    waits,
)
from harness.report.model import Estimate, Report
from harness.report.numbers import change, interval
from harness.report.profile import brief, export
from harness.report.table import Table, marked
from harness.stats.verdict import Kind
from harness.util.escape import harmless

SCHEMA = 1


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
    return layout.page(_comment(report) if name == "comment" else _markdown(report))


# Markdown


def _comment(report: Report) -> Iterator[list[str]]:
    """What fits under a pull request: verdicts, both kernels, how to repeat it."""
    yield from _summary(report)
    yield ["    " + dict(report.facts.repeat)["Command"].replace("\n", " ")]


def _summary(report: Report) -> Iterator[list[str]]:
    yield [f"# {marked(report.name)}"]
    yield [f"**{marked(line)}**  " for line in model.opening(report)]
    yield table.markdown(tables.verdicts(report))
    yield from _titled(tables.pmu(report))
    yield [marked(f"Clock: {report.facts.clock}")]
    yield [f"- {arm}: {marked(said)}" for arm, said in report.facts.compared]


def _markdown(report: Report) -> Iterator[list[str]]:
    yield from _summary(report)
    said = brief.section(report.profile, report.costs)
    if said:
        yield [f"## {marked(said[0].rstrip(':'))}"]
        yield [marked(line) for line in said[1:]]
    for part in report.parts:
        yield [f"## {marked(part.workload)}"]
        yield [marked(part.description), marked(f"Parameters: {part.parameters}")]
        aa = report.has_control
        for one in (
            tables.primary(part, aa=aa),
            tables.secondary(part, aa=aa),
            tables.background(part),
            tables.percentiles(part, aa=aa),
        ):
            yield from _titled(one)
        if same := tables.unchanged(part.secondary):
            yield [marked(f"Unchanged in all pairs: {', '.join(same)}.")]
        yield from _titled(tables.always(part))
        if part.tested:
            yield [marked(phrases.counted(part))]
        shown = tables.counters(counters.relevant(part.counters), whole=True)
        if shown.rows:
            yield table.markdown(shown)
    yield from _titled(replace(scaling.of(report), title=scaling.TITLE))
    yield from _titled(replace(waits.of(report.waits), title=waits.TITLE))
    yield from _tested(report)
    if report.sizes:
        yield from _titled(bloat.table(report.sizes))
    else:
        yield [bloat.NOT_RECORDED]
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


def _titled(one: Table) -> Iterator[list[str]]:
    """The title as a heading, the table, its notes; nothing for a table without rows."""
    if one.rows:
        yield [f"### {marked(one.title)}"]
        yield table.markdown(one)
        yield [f"- {marked(note)}" for note in one.notes]


# JSON


def _data(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": report.name,
        "clock": report.clock,
        "opening": list(model.opening(report)),
        "boots": {"planned": report.planned, "usable": report.usable},
        "rows": [_row(row) for row in report.rows],
        "counters": [
            {"workload": part.workload, **dataclasses.asdict(row)}
            for part in report.parts
            for row in part.counts
        ],
        "profile": report.profile and export.profile(report.profile),
        "costs": report.costs and export.costs(report.costs),
        "waits": [dataclasses.asdict(one) for one in report.waits],
        "processes": scaling.export(report),
        "sizes": report.sizes and dataclasses.asdict(report.sizes),
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
    found = report.failing
    if found is not None and found.patch and (found.more == "patch" or not found.base):
        said = "\n".join(found.first)
        yield JunitCase("boots", "failures of either kernel", "failure", found.sentence, said)
    for lost in report.failures:
        place = f"boot {lost.pair:02d}-{lost.arm}"
        bad = "skipped" if lost.outcome == "missing" else "error"
        known = f" (known: {lost.known})" if lost.known else ""
        said = f"{lost.outcome}: {lost.detail}{known}"
        yield JunitCase(lost.cell, place, bad, said, lost.console)
    for one in report.profile_failures:
        place = f"profile boot {one.pair:02d}-{one.arm}.{one.plugin}"
        yield JunitCase(one.cell, place, "error", f"{one.outcome}: {one.detail}")


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
