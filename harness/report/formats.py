"""A report in the format that another program, a web page or a CI system reads.  Pure."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from harness.escape import harmless
from harness.overhead import sheet as overhead_sheet
from harness.overhead import tables as overhead_tables
from harness.overhead import text as overhead_text
from harness.overhead import words as overhead_words
from harness.overhead.analysis import Known, Overhead
from harness.report import model, tables, text, words
from harness.report.model import Report, Row
from harness.report.text import judged, numbers
from harness.report.units import change, fine, fine_interval, interval, number
from harness.verdict import Kind

NAMES = ("text", "markdown", "csv", "json", "junit")
_SCHEMA = 1
_TOP_COUNTERS = 20


def comparison(report: Report, name: str) -> str:
    """A comparison in the format called `name`."""
    if name == "text":
        return text.render(report)
    if name == "csv":
        return tables.estimates(report)
    if name == "json":
        return _json(_data(report))
    if name == "junit":
        return junit(report.name, list(_cases(report)))
    return "\n\n".join("\n".join(block) for block in _markdown(report)) + "\n"


def overhead(report: Overhead, name: str) -> str:
    """A result of `make overhead` in the format called `name`."""
    if name == "text":
        return overhead_text.render(report)
    if name == "csv":
        return overhead_sheet.render(report)
    found = [
        (backend.name, table)
        for backend in report.backends
        for table in overhead_tables.of(report, backend)
    ]
    opening = list(overhead_words.opening(report))
    if name == "json":
        shown = [{"backend": backend, **dataclasses.asdict(table)} for backend, table in found]
        return _json(
            {
                "schema": _SCHEMA, "name": report.name, "opening": opening, "tables": shown,
                "failed": list(report.failed), "command": report.command,
            }
        )  # fmt: skip
    if name == "junit":
        return junit(report.name, list(_claims(report)))
    blocks = [[f"# {_marked(report.name)}"], [f"- {_marked(line)}" for line in opening]]
    for backend, table in found:
        title = f"### {_marked(backend)}: {_marked(table.title)}"
        blocks += [[title], _table(table.columns, table.rows)]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


# Markdown


def _markdown(report: Report) -> Iterator[list[str]]:
    yield [f"# {_marked(report.name)}"]
    yield [f"**{_marked(line)}**  " for line in model.opening(report)]
    yield [_marked(f"Clock: {report.facts.clock}")]
    yield [f"- {arm}: {_marked(said)}" for arm, said in report.facts.compared]
    for part in report.parts:
        yield [f"## {_marked(part.workload)}"]
        yield [_marked(part.description), _marked(f"Parameters: {part.parameters}")]
        for name, rows in words.by_metric(part.primary):
            yield [f"### {_marked(name)} (primary), {_marked(words.unit(rows))}"]
            yield _table(_JUDGED, [_judged(row) for row in rows])
            yield [f"- {_marked(line)}" for line in words.reasons(rows)]
        others = [*words.by_metric(part.secondary), *words.by_histogram(part.percentiles)]
        for name, rows in others:
            yield [f"### {_marked(name)}, {_marked(words.unit(rows))}"]
            yield _table(_PLAIN, [(_label(row), *numbers(row)) for row in rows])
        if part.counters:
            yield ["### Counters"]
            said = words.COUNTERS.format(moved=len(part.counters), tested=part.tested)
            yield [_marked(said)]
            yield _table(_COUNTED, [_counter(row) for row in part.counters[:_TOP_COUNTERS]])
    yield from _tested(report)
    yield ["## What this clock cannot see"]
    yield [f"- {_marked(line)}" for line in report.facts.blind]
    yield ["## To repeat it"]
    yield ["    " + dict(report.facts.repeat)["Command"].replace("\n", " ")]


def _tested(report: Report) -> Iterator[list[str]]:
    if not report.tested:
        return
    yield ["## The kernel's own tests"]
    for part in report.tested:
        yield [f"- {_marked(f'{part.cell} {arm}: {counts}')}" for arm, counts in part.counts]
        yield [f"- **{_marked(item.sentence)}**" for item in part.regressions]
        yield [f"- {_marked(text)}" for text in (*part.changes, *part.unbuilt)]


_JUDGED = (
    "back-end", "base", "patch", "change", "95 % interval", "n", "verdict", "A/A, %",
    "A/A 95 % interval", "detects, %",
)  # fmt: skip
_PLAIN = ("back-end", "base", "+-", "patch", "change", "95 % interval", "n")
_COUNTED = ("counter", "back-end", "phase", "base", "patch", "change", "95 % interval", "q")


def _judged(row: Row) -> tuple[str, ...]:
    noise: tuple[str, ...] = ("-", "none", "-")
    if row.noise is not None:
        aa = row.noise.change
        noise = (
            fine(aa.estimate_pct, sign=True), fine_interval(aa), fine(row.noise.detectable_pct),
        )  # fmt: skip
    return (row.backend, *judged(row), *noise)


def _label(row: Row) -> str:
    last = row.name.rpartition(" ")[2]
    return f"{last} {row.backend}" if row.role == "percentile" else row.backend


def _counter(row: Row) -> tuple[str, ...]:
    return (
        row.name, row.backend, row.phase, number(row.base.median),
        f"{number(row.patch.median)} {row.unit}", change(row.change), interval(row.change),
        "-" if row.q is None else f"{row.q:.2g}",
    )  # fmt: skip


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)], *rows]
    return [
        f"| {' | '.join(cell if place == 1 else _marked(cell) for cell in line)} |"
        for place, line in enumerate(lines)
    ]


def _marked(said: str) -> str:
    """Text that is no mark-up of Markdown or HTML."""
    one_line = harmless(" ".join(said.split()))
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in one_line)


# JSON


def _data(report: Report) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
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


def _row(row: Row) -> dict[str, Any]:
    data = dataclasses.asdict(row)
    # The verdict repeats change and noise, which are there already.
    one = row.verdict
    data["verdict"] = one and {
        "kind": str(one.kind), "reason": one.reason, "margin_pct": one.margin_pct, "more": one.more,
    }  # fmt: skip
    return data


def _json(value: Any) -> str:
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
class Case:
    """A test case of JUnit.

    group: the class name; bad: "failure", "error", "skipped" or "" if it passed
    """

    group: str
    name: str
    bad: str
    message: str
    detail: str = ""


def _cases(report: Report) -> Iterator[Case]:
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
        yield Case(row.cell, row.name, bad, said, row.verdict.reason)
    for part in report.parts:
        for backend, name in part.unmeasured:
            place = f"{backend}.{part.workload}"
            yield Case(place, name, "skipped", "none: no complete pair of boots has it")
    for item in report.regressions:
        yield Case(item.cell, item.test, "failure", item.sentence, "\n".join(item.log))
    if report.failing is not None and report.failing.more == "patch":
        yield Case("boots", "failures of either kernel", "failure", report.failing.sentence)
    for lost in report.failures:
        place = f"boot {lost.pair:02d}-{lost.arm}"
        bad = "skipped" if lost.outcome == "missing" else "error"
        yield Case(lost.cell, place, bad, f"{lost.outcome}: {lost.detail}", lost.console)


def _claims(report: Overhead) -> Iterator[Case]:
    """A claimed figure outside the measured interval is a failure; without one it is skipped."""
    for backend in report.backends:
        for row in backend.rows:
            for arm, cell in row.cells.items():
                if cell.claimed is None:
                    continue
                measured = cell.measured
                mib = overhead_words.mib
                said = f"claimed {mib(cell.claimed)} MiB, measured " + (
                    f"{mib(measured.value)} {overhead_words.span(measured)}" if measured else "not"
                )
                bad = "skipped" if cell.outside is None else "failure" if cell.outside else ""
                name = f"{overhead_words.ARMS[arm]} at {row.usage:g} %"
                yield Case(f"{backend.name} claim", name, bad, said)
        for known in backend.known:
            bad = {True: "", False: "failure", None: "skipped"}[known.holds]
            yield Case(f"{backend.name} known weight", known.weight.site, bad, _known(known))
    for line in report.failed:
        yield Case("boots", line.partition(": ")[0], "error", line)


def _known(one: Known) -> str:
    weight, found = one.weight, one.measured
    measured = "not measured" if found is None else f"measured {found.value:.4g}"
    return f"known {weight.amount:.4g} bytes a {weight.per}, {measured}"


def junit(name: str, cases: Sequence[Case]) -> str:
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
