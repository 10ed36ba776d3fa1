# SPDX-License-Identifier: GPL-2.0-only
"""report.html: one file that needs nothing else, no script and no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.report import model, numbers, phrases
from harness.report.canvas import COLOURS, GRID, INK, Plot
from harness.report.model import Estimate, Report, WorkloadReport
from harness.util import escape

_TEMPLATES = Path(__file__).parent / "templates"
_TOP_COUNTERS = 40
_MOST_BLOCKS = 1000
# Drawn in fixed colours; on the page they follow the reader's light or dark setting.
_THEME = {INK: "currentColor", GRID: "var(--line)"} | {
    colour: f"var(--{arm})" for arm, colour in COLOURS.items()
}


def environment() -> Environment:
    """What every page of ours is rendered with: text from outside is escaped.

    Known to all templates: ``style``, the sheet, and ``inline``, a figure for the page.
    """
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Escapes by name would let a control character of a guest's console through.
        finalize=_harmless,
    )
    made.globals |= {
        "style": Markup((_TEMPLATES / "style.css").read_text("utf-8")),
        "inline": inline,
    }
    made.filters |= {
        "number": numbers.number,
        "percent": numbers.percent,
        "change": numbers.change,
        "interval": numbers.interval,
        "fine": numbers.fine,
        "fine_interval": numbers.fine_interval,
    }
    return made


def render(report: Report, plots: Sequence[Plot]) -> str:
    """The whole page. Everything that came from a guest, a mail or a file is escaped."""
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            plots=plots,
            opening=model.opening(report),
            caution=model.caution(report),
            headlines=[phrases.headline(row) for row in report.primary],
            tables={part.workload: _tables(part) for part in report.parts},
            method=phrases.METHOD,
            counters=phrases.COUNTERS,
            top=_TOP_COUNTERS,
            most_blocks=_MOST_BLOCKS,
            command=dict(report.facts.repeat)["Command"],
        )
    )


def _harmless(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape.harmless(value)
    return value


def _tables(part: WorkloadReport) -> list[tuple[str, str, list[Estimate], list[str]]]:
    """(title, label of the first column, rows, notes on verdict and method) of each table."""
    tables = []
    margin = "" if part.margin == "unknown" else f"; declared margin {part.margin}"
    for name, rows in phrases.by_metric(part.primary):
        notes = [*phrases.reasons(rows), *_notes(rows), *phrases.scatters(rows)]
        title = f"{name} (primary), {phrases.unit(rows)}{margin}"
        tables.append((title, "back-end", rows, notes))
    for name, rows in phrases.by_metric(part.secondary):
        title = f"{name} (secondary), {phrases.unit(rows)}"
        tables.append((title, "back-end", rows, _notes(rows)))
    for name, rows in phrases.by_histogram(part.percentiles):
        title = f"Latency of {name}, {phrases.unit(rows)}"
        tables.append((title, "percentile", rows, _notes(rows)))
    return tables


def _notes(rows: list[Estimate]) -> list[str]:
    return [*phrases.methods(rows), *phrases.skews(rows)]


def inline(plot: Plot) -> Markup:
    """A figure's SVG for the page: no prolog, own ids, the page's colours, and its words."""
    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # Two figures may use one id for different things.
    svg = re.sub(r'id="([^"]+)"', rf'id="{plot.slug}.\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{plot.slug}.\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{plot.slug}.\1"', svg)
    for fixed, themed in _THEME.items():
        svg = svg.replace(fixed, themed)
    # matplotlib leaves plain text in the default colour.
    head = Markup('<svg role="img" aria-label="{}" fill="currentColor"').format(plot.alt)
    return Markup(svg.replace("<svg", str(head), 1))
