# SPDX-License-Identifier: GPL-2.0-only
"""The overhead report as HTML: a fragment for a page, and a page of its own."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from harness.report import page
from harness.report.canvas import Plot
from harness.studies.overhead import phrases, tables
from harness.studies.overhead.analysis import BackendOverhead, Overhead


def fragment(report: Overhead, plots: Sequence[Plot]) -> Markup:
    """Sections for the body of a page; headings begin at h2. Everything from outside is escaped."""
    return Markup(_render("overhead.html.j2", report, plots))


def render(report: Overhead, plots: Sequence[Plot]) -> str:
    """overhead.html: one file that needs nothing else, no script and no network."""
    return _render("overhead-page.html.j2", report, plots, body=fragment(report, plots))


def _render(template: str, report: Overhead, plots: Sequence[Plot], **more: object) -> str:
    return (
        page.environment()
        .get_template(template)
        .render(
            report=report,
            parts=[_part(report, backend, plots) for backend in report.backends],
            opening=list(phrases.opening(report)),
            arms=phrases.ARMS,
            method=phrases.METHOD,
            **more,
        )
    )


def _part(report: Overhead, backend: BackendOverhead, plots: Sequence[Plot]) -> dict[str, object]:
    sides = list(backend.sides.values())
    mine = {f"structures-{backend.name}", f"claim-{backend.name}"}
    return {
        "name": backend.name,
        "makers": list(phrases.makers(backend)),
        "crossings": list(phrases.crossings(backend)),
        "weights": list(phrases.weights(backend)),
        "tables": list(tables.of(report, backend)),
        "plots": [one for one in plots if one.slug in mine],
        "notes": [
            *(phrases.source(side) for side in sides),
            *(phrases.reach(backend, side) for side in sides),
            *(text for side in sides for text in phrases.sparse(side)),
            *phrases.limits(backend),
            *(
                text
                for side in sides
                for name, fit in side.fits.items()
                if (text := phrases.shape(f"{phrases.ARMS[side.kernel.arm]}: {name}", fit))
            ),
            *(text for side in sides for text in phrases.stays(side)),
            *(text for side in sides for text in phrases.gaps(side)),
            *phrases.worth(sides),
        ],
    }
