# SPDX-License-Identifier: GPL-2.0-only
"""The differential flame graph of an operation: a static SVG, and text to search in.

A box is a function with all that it calls; what it is called by lies below it.  Its width is what
it costs in the dearer of both kernels, its colour what the patch changes: warm more, cold less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from markupsafe import escape

from harness.report.profile.model import Cost, Operation
from harness.util.escape import visible

_WIDTH, _ROW, _CHAR = 1200.0, 16, 6.2
_LEAST = 0.6
"""Units of width below which nothing is drawn."""
_MARGIN = 24
_STRONG = 0.25
"""The change, as a share of the box, that has the full colour."""


@dataclass(slots=True)
class _Box:
    name: str
    base: float = 0.0
    patch: float = 0.0
    inner: dict[str, _Box] = field(default_factory=dict)

    @property
    def width(self) -> float:
        """The dearer kernel's, and at least as much as the boxes on top need."""
        return max(self.base, self.patch, sum(one.width for one in self.inner.values()))


def draw(one: Operation) -> str:
    """The picture; the same operation gives the same bytes."""
    whole = _grown(one)
    scale = _WIDTH / whole.width if whole.width else 0.0
    boxes = list(_placed(whole, 0.0, 0, scale))
    height = (max((level for _, _, level in boxes), default=0) + 1) * _ROW + _MARGIN
    total = _told(Cost(whole.base, whole.patch))
    title = f"{one.cell} {one.metric}, instructions for each {one.unit}"
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height}" role="img" '
        f'aria-label="{_text(title)}" font-family="monospace" font-size="10">',
        f"<title>{_text(title)}</title>",
        f'<text x="2" y="14" font-size="12">{_text(f"{title}: {total}")}</text>',
    ]
    rows += [_drawn(box, x, height - (level + 1) * _ROW, scale) for box, x, level in boxes]
    return "\n".join([*rows, "</svg>"]) + "\n"


def _grown(one: Operation) -> _Box:
    whole = _Box("all")
    for chain in one.chains:
        at, base, patch = whole, chain.own.base or 0.0, chain.own.patch or 0.0
        for name in (chain.root.words, *chain.names):
            at.base, at.patch = at.base + base, at.patch + patch
            at = at.inner.setdefault(name, _Box(name))
        at.base, at.patch = at.base + base, at.patch + patch
    return whole


def _placed(box: _Box, x: float, level: int, scale: float) -> Iterator[tuple[_Box, float, int]]:
    if box.width * scale < _LEAST:
        return
    yield box, x, level
    for name in sorted(box.inner):
        yield from _placed(box.inner[name], x, level + 1, scale)
        x += box.inner[name].width * scale


def _drawn(box: _Box, x: float, y: float, scale: float) -> str:
    width = box.width * scale
    room = int((width - 4) / _CHAR)
    name = visible(box.name)
    label = name if len(name) <= room else name[: max(room - 1, 0)] + "." if room > 3 else ""
    said = f'<text x="{x + 2:.1f}" y="{y + 11}">{_text(label)}</text>' if label else ""
    told = _text(f"{name}: {_told(Cost(box.base, box.patch))}")
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{_ROW - 1}" fill="{_colour(box)}"/>{said}</g>'
    )


def _told(cost: Cost) -> str:
    return f"{cost.base or 0:.1f} -> {cost.patch or 0:.1f}, {cost.change:+.1f}"


def _colour(box: _Box) -> str:
    """From pale grey to orange or blue, which any colour vision tells apart."""
    size = max(box.base, box.patch)
    share = (box.patch - box.base) / size if size else 0.0
    strength = min(abs(share) / _STRONG, 1.0)
    pale, full = (232, 232, 232), (230, 140, 60) if share > 0 else (90, 155, 215)
    mixed = (round(a + (b - a) * strength) for a, b in zip(pale, full, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _text(said: str) -> str:
    return str(escape(said))
