# SPDX-License-Identifier: GPL-2.0-only
"""An empty figure in the report's style, and both formats of a drawn one, kept as files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe-Ito blue and vermillion: told apart with any colour vision; line style and marker
# differ as well. The page replaces exactly these four by its own light and dark colours.
INK, GRID = "#1b1f23", "#d0d4d8"
COLOURS = {"base": "#0072b2", "patch": "#d55e00"}
STYLES = {"base": "-", "patch": (0, (4, 1.5))}
MARKERS = {"base": "o", "patch": "s"}

_RC: Any = {
    # A name from a workload may hold a "$".
    "text.parse_math": False,
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.0,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "axes.formatter.useoffset": False,
}
_WIDTH = 4.4


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure: its file name without suffix, both formats, and words for those who cannot see.

    kind: "change", "cost", "order", "scaling", "latency", "timeline", "overhead",
        "waterfall" or "trend"
    """

    slug: str
    kind: str
    title: str
    alt: str
    caption: str
    svg: str
    png: bytes


@contextmanager
def style() -> Iterator[None]:
    """Not the user's own matplotlibrc: the same input gives the same bytes for everyone."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def figure(height: float, rows: int = 1, **options: Any) -> tuple[Figure, Any]:
    """An empty figure of the report's width, and its axes."""
    canvas = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(rows, 1, **options)


def plot(figure: Figure, slug: str, kind: str, words: tuple[str, str, str]) -> Plot:
    """Both formats of a figure. words: title, what it shows for those who cannot see, caption."""
    _settle(figure)
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in slug)
    return Plot(safe, kind, *words, svg.getvalue(), png.getvalue())


def save(plots: Sequence[Plot], folder: Path) -> None:
    """Write each plot in both formats; what an earlier report left in ``folder`` goes."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    for one in plots:
        (folder / f"{one.slug}.svg").write_text(one.svg, "utf-8")
        (folder / f"{one.slug}.png").write_bytes(one.png)


def _settle(figure: Figure) -> None:
    """Fix the layout, rounded.

    The solver of constrained layouts goes by memory addresses: its last digits, and with them the
    names of clip paths, differ from one process to the next.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        box = axes.get_position()
        axes.set_position((round(box.x0, 4), round(box.y0, 4), *(round(v, 4) for v in box.size)))
