# SPDX-License-Identifier: GPL-2.0-only
"""The overhead report as HTML: one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from harness.report import page, table
from harness.report.canvas import Plot
from harness.report.table import Table
from harness.studies.overhead import phrases, tables
from harness.studies.overhead.analysis import BackendOverhead, Overhead


def render(report: Overhead, plots: Sequence[Plot]) -> str:
    """overhead.html, without a script or an address outside; text from outside is escaped."""
    return (
        page.environment()
        .get_template("overhead.html.j2")
        .render(
            report=report,
            title=phrases.title(report),
            warnings=list(phrases.warnings(report)),
            answer=_markup(tables.answer(report)),
            parts=[_part(report, backend, plots) for backend in report.backends],
            method=phrases.METHOD,
        )
    )


def _part(report: Overhead, backend: BackendOverhead, plots: Sequence[Plot]) -> dict[str, object]:
    mine = {f"structures-{backend.name}", f"claim-{backend.name}"}
    return {
        "name": backend.name,
        "lists": [
            ("What makes the difference", list(phrases.makers(backend))),
            ("Where patch needs more memory than base", list(phrases.crossings(backend))),
            ("Known weights", phrases.weights(backend)),
        ],
        "plots": [one for one in plots if one.slug in mine],
        "tables": _markup(tables.of(report, backend)),
        "details": _markup(tables.details(backend)),
        "notes": list(phrases.notes(backend)),
    }


def _markup(found: Iterable[Table]) -> list[Markup]:
    return [Markup(table.region(one)) for one in found]
