"""A walk's folder -> walk.txt, walk.html, walk.csv and the waterfalls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness import publish, verdict
from harness.errors import Exit
from harness.report import page, units
from harness.report.canvas import Plot
from harness.walk import analysis, plots, sheet, text
from harness.walk.analysis import Walk

_TEMPLATES = Path(page.__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was written. folder: results/<name>/report; walk: its numbers."""

    folder: Path
    walk: Walk
    text: str

    @property
    def status(self) -> Exit:
        """KERNEL if anything did not build or survive; else what the verdicts come to."""
        hurt = self.walk.lost or any(stop.failure or stop.lost for stop in self.walk.stops)
        return Exit.KERNEL if hurt else verdict.worst(self.walk.verdicts)


def make(folder: Path) -> Made:
    """Write results/<name>/report/ of a walk anew, from its record and the results below it.

    Runs nothing; the same input gives byte-identical files.  UserError as `analysis.analyse`.
    """
    walk = analysis.analyse(folder)
    figures = plots.draw(walk)
    target = folder / "report"
    (target / "plots").mkdir(parents=True, exist_ok=True)
    for stale in (target / "plots").iterdir():
        stale.unlink()
    for figure in figures:
        (target / "plots" / f"{figure.slug}.svg").write_text(figure.svg, "utf-8")
        (target / "plots" / f"{figure.slug}.png").write_bytes(figure.png)
    words = text.render(walk)
    publish.text(target / "walk.csv", sheet.render(walk))
    if walk.memory:
        publish.text(target / "walk-memory.csv", sheet.memory(walk))
    publish.text(target / "walk.html", _page(walk, words, figures))
    publish.text(target / "walk.txt", words)
    return Made(target, walk, words)


def _page(walk: Walk, words: str, figures: Sequence[Plot]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("text-page.html.j2").render(
        title=units.harmless(f"{walk.name}: {walk.series} patch by patch"),
        text=words,
        plots=figures,
        style=Markup((_TEMPLATES / "style.css").read_text("utf-8")),
        inline=page.inline,
    )
