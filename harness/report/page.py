# SPDX-License-Identifier: GPL-2.0-only
"""report.html: one file that needs nothing else, no script and no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.report import bloat, counters, model, phrases, scaling, table, tables, waits
from harness.report.canvas import COLOURS, GRID, INK, Plot
from harness.report.model import BootPair, Report, WorkloadReport
from harness.report.profile import coststables, flame
from harness.report.profile import tables as profile
from harness.report.table import Table, columns
from harness.util import escape

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_BLOCKS = 1000
_KINDS = ("change", "cost", "order", "scaling", "latency", "timeline")
"""Of the figures of a comparison: each has its place on the page."""
# Drawn in fixed colours; on the page they follow the reader's light or dark setting.
_THEME = {INK: "currentColor", GRID: "var(--line)"} | {
    colour: f"var(--{arm})" for arm, colour in COLOURS.items()
}


def environment() -> Environment:
    """What every page of ours is rendered with: text from outside is escaped.

    Known to all templates: ``style``, the sheet; ``inline``, a figure for the page; and the filter
    ``table``, which makes a `Table` HTML.
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
    made.filters["table"] = table.region
    return made


def rendered(template: str, **values: object) -> str:
    """One of our templates with its values."""
    return environment().get_template(template).render(values)


def render(report: Report, plots: Sequence[Plot]) -> str:
    """The whole page. Everything that came from a guest, a mail or a file is escaped."""
    return rendered(
        "page.html.j2",
        report=report,
        drawn={kind: [plot for plot in plots if plot.kind == kind] for kind in _KINDS},
        opening=model.opening(report),
        caution=model.caution(report),
        verdicts=tables.verdicts(report),
        pmu=tables.pmu(report),
        clock_line=phrases.clock_line(report),
        tables={part.workload: _tables(report, part) for part in report.parts},
        unchanged={p.workload: tables.unchanged(p.secondary) for p in report.parts},
        counted={part.workload: phrases.counted(part) for part in report.parts},
        scaling=scaling.of(report),
        waits=waits.of(report.waits, whole=True),
        boots=_boots(report.blocks[:_MOST_BLOCKS]),
        method=list(phrases.method(report)),
        sizes=replace(bloat.table(report.sizes), title="") if report.sizes else None,
        unsized=bloat.NOT_RECORDED,
        profiled=_profiled(report),
        costs=coststables.brief(report.costs) if report.costs else [],
        most_blocks=_MOST_BLOCKS,
        command=dict(report.facts.repeat)["Command"],
    )


def _profiled(report: Report) -> list[tuple[str, Table, Markup]]:
    """Of each cell's primary metric: a sentence, the functions, and the flame graph."""
    found = report.profile.primary if report.profile else ()
    return [
        (profile.summary(one), profile.functions(one), Markup(flame.draw(one))) for one in found
    ]


def _harmless(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return escape.harmless(value)
    return value


def _tables(report: Report, part: WorkloadReport) -> dict[str, Table]:
    """The tables of a workload by the place that the page has for them."""
    aa = report.has_control
    return {
        "primary": tables.primary(part, aa=aa),
        "secondary": tables.secondary(part, aa=aa),
        "background": tables.background(part),
        "percentiles": tables.percentiles(part, aa=aa),
        "always": tables.always(part),
        "counters": tables.counters(counters.relevant(part.counters), whole=True),
    }


def _boots(blocks: Sequence[BootPair]) -> Table:
    """Every pair; each boot links to its console."""
    heads = columns("cell", "pair", "begun", "counts", "boots in their order")
    rows = tuple(
        (
            block.cell, str(block.pair), block.started or "-", "yes" if block.counts else "no",
            Markup(", ").join(_boot(*boot) for boot in block.boots),
        )
        for block in blocks
    )  # fmt: skip
    return Table("All boots", (*heads[:-1], replace(heads[-1], name=True)), rows)


def _boot(arm: str, outcome: str, folder: str) -> Markup:
    if outcome == "missing":
        return Markup("{} not run").format(escape.harmless(arm))
    bad = Markup("" if outcome == "ok" else ' class="bad"')
    link = Markup('<a href="../{}/console.log"{}>{} {}</a>')
    return link.format(quote(folder), bad, escape.harmless(arm), escape.harmless(outcome))


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
