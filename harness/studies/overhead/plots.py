# SPDX-License-Identifier: GPL-2.0-only
"""Figures: structures stacked over the fill, and the claim against the measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from harness.report.canvas import COLOURS, MARKERS, STYLES, Plot, figure, plot, style
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.overhead.phrases import mib
from harness.studies.overhead.projection import KernelOverhead
from harness.util.escape import visible
from harness.util.units import format_size

# Okabe and Ito's colours; hatches as well, so that they are told apart without any colour.
_FILLS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")
_HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
_SHOWN = 7
_MIB = 1 << 20


def draw(report: Overhead) -> list[Plot]:
    """All figures, in the order of the page."""
    with style():
        found = []
        for backend in report.backends:
            found += [*_stacked(backend, report.projected), *_claimed(report, backend)]
        return found


def _stacked(backend: BackendOverhead, size: int) -> Iterator[Plot]:
    """Projected bytes by structure over the usage, both kernels with one scale."""
    sides = [side for side in backend.sides.values() if side.fits]
    if not sides:
        return
    names = _largest(backend, sides)
    usages = np.linspace(0, 100, 5)
    canvas, found = figure(2.0 + 1.5 * len(sides), rows=len(sides), sharex=True, sharey=True)
    highest = 0.0
    for axes, side in zip(np.atleast_1d(found), sides, strict=True):
        floor = np.zeros(len(usages))
        for name, colour, hatch in zip(names, _FILLS, _HATCHES, strict=False):
            top = floor + _values(backend, side, name, names, usages)
            axes.fill_between(
                usages, floor, top, facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0.3
            )
            floor = top
        axes.set_title(visible(f"{side.kernel.arm}: {side.kernel.name}")[:60], loc="left")
        axes.set_ylabel("MiB")
        highest = max(highest, float(floor.max()))
    # Once for all: the axes are shared, and the first kernel's limit would cut the second.
    axes.set_ylim(0, 1.05 * highest or 1)
    axes.set_xlabel("used, %")
    axes.set_xlim(0, 100)
    handles = [
        Patch(facecolor=c, hatch=h, edgecolor="white", linewidth=0.3, label=n)
        for n, c, h in zip(names, _FILLS, _HATCHES, strict=False)
    ]
    canvas.legend(handles=handles[::-1], loc="outside lower center", ncols=2)
    words = "; ".join(_described(backend, side) for side in sides)
    yield plot(
        canvas,
        f"structures-{backend.name}",
        "overhead",
        (
            f"Metadata by structure, {backend.name}",
            f"Measured metadata projected to {format_size(size)} of swap: {words}.",
            f"From the fits, projected to {format_size(size)} of swap. The same scale for both.",
        ),
    )


def _largest(backend: BackendOverhead, sides: Sequence[KernelOverhead]) -> list[str]:
    sizes: dict[str, float] = {}
    for side in sides:
        for name, fit in side.fits.items():
            value = fit.predict(backend.slots, backend.slots).value
            sizes[name] = max(sizes.get(name, 0.0), value)
    ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
    return [*ranked[:_SHOWN], "rest"] if len(ranked) > _SHOWN else ranked


def _values(
    backend: BackendOverhead, side: KernelOverhead, name: str, names: Sequence[str], usages: Any
) -> Any:
    wanted = [n for n in side.fits if n not in names] if name == "rest" else [name]
    return np.array(
        [
            sum(
                max(side.fits[n].predict(backend.slots, backend.slots * u / 100).value, 0.0)
                for n in wanted
                if n in side.fits
            )
            / _MIB
            for u in usages
        ]
    )


def _described(backend: BackendOverhead, side: KernelOverhead) -> str:
    if side.total is None:
        return side.kernel.arm
    ends = [mib(side.total.predict(backend.slots, e).value) for e in (0, backend.slots)]
    return f"{side.kernel.arm} {ends[0]} MiB empty, {ends[1]} MiB full"


def _claimed(report: Overhead, backend: BackendOverhead) -> Iterator[Plot]:
    """Claim as open markers, measurement of the same terms as a line with its interval."""
    rows = backend.rows
    has_claim = any(cell.claimed is not None for row in rows for cell in row.cells.values())
    if not has_claim or not any(side.claimed for side in backend.sides.values()):
        return
    canvas, axes = figure(3.2)
    usages = [row.usage for row in rows]
    for arm in backend.sides:
        cells = [row.cells[arm] for row in rows]
        line = {"color": COLOURS[arm], "linestyle": STYLES[arm]}
        measured = [cell.measured for cell in cells if cell.measured]
        if len(measured) == len(rows):
            values = [one.value / _MIB for one in measured]
            axes.plot(usages, values, label=f"{arm}, measured", linewidth=1.8, **line)
            ends = [(one.low, one.high) for one in measured]
            if all(low is not None and high is not None for low, high in ends):
                low, high = ([(v or 0.0) / _MIB for v in side] for side in zip(*ends, strict=True))
                axes.fill_between(usages, low, high, color=COLOURS[arm], alpha=0.2, linewidth=0)
        rounded = [(u, c.rounded / _MIB) for u, c in zip(usages, cells, strict=True) if c.rounded]
        if rounded:
            axes.plot(
                *zip(*rounded, strict=True),
                "+" if arm == "base" else "x",
                color=COLOURS[arm],
                markersize=6,
                label=f"{arm}, modelled as allocated",
            )
        said = [
            (u, c.claimed / _MIB)
            for u, c in zip(usages, cells, strict=True)
            if c.claimed is not None
        ]
        axes.plot(
            *zip(*said, strict=True),
            MARKERS[arm],
            color=COLOURS[arm],
            markerfacecolor="none",
            markersize=7,
            label=f"{arm}, claimed",
        )
    axes.set_xlabel("used, %")
    axes.set_ylabel("MiB, the claim's terms")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    outside = sum(bool(cell.outside) for row in rows for cell in row.cells.values())
    yield plot(
        canvas,
        f"claim-{backend.name}",
        "overhead",
        (
            f"Claimed and measured, {backend.name}",
            f"Claimed and measured metadata of {format_size(report.projected)} of swap over its "
            f"usage; {outside} claimed figures lie outside the measured interval.",
            "Open markers: the published table. Crosses: the model as it is allocated. Lines: the "
            "measurement of the structures that the table counts, with its 95 % prediction "
            "interval.",
        ),
    )
