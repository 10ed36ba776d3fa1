# SPDX-License-Identifier: GPL-2.0-only
"""An overhead report in the format that another program, a web page or a CI system reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.report import formats, layout
from harness.report.formats import JunitCase
from harness.report.table import Table, markdown, marked
from harness.studies.overhead import phrases, tables, text
from harness.studies.overhead.analysis import FoundWeight, Overhead


def render(report: Overhead, name: str) -> str:
    """A result of `make overhead` in the format called `name`."""
    if name == "text":
        return text.render(report)
    if name == "csv":
        return tables.structures(report)
    opening = [phrases.title(report), *phrases.warnings(report)]
    answer = tables.answer(report)
    parts = [
        (backend.name, table)
        for backend in report.backends
        for table in (*tables.of(report, backend), *tables.details(backend))
    ]
    if name == "json":
        return formats.json_text(
            {
                "schema": formats.SCHEMA, "name": report.name, "opening": opening,
                "answer": [_data(table) for table in answer],
                "tables": [{"backend": backend, **_data(table)} for backend, table in parts],
                "failed": list(report.failed), "command": report.command,
            }
        )  # fmt: skip
    if name == "junit":
        return formats.junit(report.name, list(_claims(report)))
    blocks = [[f"# {marked(report.name)}"], [f"- {marked(line)}" for line in opening]]
    for title, table in (
        *((table.title, table) for table in answer),
        *((f"{backend}: {table.title}", table) for backend, table in parts),
    ):
        blocks += [[f"### {marked(title)}"], markdown(table)]
    return layout.page(blocks)


def _data(table: Table) -> dict[str, Any]:
    columns = [column.title for column in table.columns]
    return {"title": table.title, "columns": columns, "rows": table.rows}


def _claims(report: Overhead) -> Iterator[JunitCase]:
    """A claimed figure outside the measured interval is a failure; without one it is skipped."""
    for backend in report.backends:
        for row in backend.rows:
            for arm, cell in row.cells.items():
                if cell.claimed is None:
                    continue
                measured = cell.measured
                mib = phrases.mib
                said = f"claimed {mib(cell.claimed)} MiB, measured " + (
                    f"{mib(measured.value)} {phrases.span(measured)}" if measured else "not"
                )
                bad = "skipped" if cell.outside is None else "failure" if cell.outside else ""
                name = f"{arm} at {row.usage:g} %"
                yield JunitCase(f"{backend.name} claim", name, bad, said)
        for known in backend.known:
            bad = {True: "", False: "failure", None: "skipped"}[known.holds]
            yield JunitCase(f"{backend.name} known weight", known.weight.site, bad, _known(known))
    for line in report.failed:
        yield JunitCase("boots", line.partition(": ")[0], "error", line)


def _known(one: FoundWeight) -> str:
    weight, found = one.weight, one.measured
    measured = "not measured" if found is None else f"measured {found.value:.4g}"
    return f"known {weight.amount:.4g} bytes a {weight.per}, {measured}"
