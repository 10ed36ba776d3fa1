"""Results folder -> report: text, page, plots and CSV files."""

from __future__ import annotations

from pathlib import Path

from harness import frames, publish
from harness.report import analysis, manifest, page, plots, tables, text


def write(results: Path) -> Path:
    """Write results/<name>/report/ anew and return it.

    Reads manifest.json and boots/ of the results folder, runs nothing. The same input gives
    byte-identical files. UserError if there is no boot, or if two clocks are mixed.
    """
    data = frames.load(results)
    report = analysis.analyse(data, manifest.load(results), results)
    figures = plots.draw(report, data)
    target = results / "report"
    folder = target / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    for figure in figures:
        (folder / f"{figure.slug}.svg").write_text(figure.svg, "utf-8")
        (folder / f"{figure.slug}.png").write_bytes(figure.png)
    publish.text(target / "metrics.csv", tables.metrics(data))
    publish.text(target / "estimates.csv", tables.estimates(report))
    publish.text(target / "report.html", page.render(report, figures))
    publish.text(target / "report.txt", text.render(report))
    return target


__all__ = ["write"]
