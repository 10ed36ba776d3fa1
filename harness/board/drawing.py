# SPDX-License-Identifier: GPL-2.0-only
"""Small figures as SVG in the page: they need no script and take the page's colours."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT = 120.0, 14.0
_TREND = (560.0, 140.0)
_PAD = 8.0
_BOUND = 200.0
"""Per cent beyond which a figure is cut off: its number stands beside it."""


def scale(ends: Sequence[float | None]) -> float:
    """What the half of a figure stands for, in per cent, so that all ends fit."""
    return max([1.0, *(min(abs(end), _BOUND) for end in ends if end is not None)])


def interval(
    change: float | None, low: float | None, high: float | None, verdict: str, span: float
) -> Markup:
    """A change and its interval around a line for no change; "" without a change.

    Hidden from what reads a page aloud: the numbers stand beside it.
    """
    if change is None:
        return Markup()
    ends = Markup('<path d="M{:.1f} 7H{:.1f}"/>').format(_x(low, span), _x(high, span))
    return Markup(
        '<svg class="iv {}" viewBox="0 0 120 14" aria-hidden="true"><path class="zero" '
        'd="M60 0V14"/>{}<circle cx="{:.1f}" cy="7" r="3"/></svg>'
    ).format(verdict, ends if low is not None and high is not None else "", _x(change, span))


def _x(value: float | None, span: float) -> float:
    share = max(-1.0, min(1.0, (value or 0.0) / span))
    return _WIDTH / 2 + share * (_WIDTH / 2 - 4)


def trend(
    points: Sequence[tuple[str, float, float | None, float | None, bool]],
    margin: float | None,
    title: str,
) -> Markup:
    """Changes in per cent, oldest first, with intervals; (label, change, low, high, moved).

    A point where the level moved is a square.
    """
    if not points:
        return Markup()
    ends = [value for _, *values, _ in points for value in values if value is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends, margin or 0.0])
    width, height = _TREND
    step = (width - 60) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return _PAD + (high - value) / ((high - low) or 1.0) * (height - 2 * _PAD)

    parts = [Markup('<path class="zero" d="M48 {:.1f}H{:.0f}"/>').format(y(0.0), width)]
    for text, value in ((f"{high:+.3g} %", high), (f"{low:+.3g} %", low)):
        parts.append(Markup('<text x="0" y="{:.1f}">{}</text>').format(y(value) + 4, text))
    for place, (label, change, under, over, moved) in enumerate(points):
        x = 54 + place * step
        if under is not None and over is not None:
            parts.append(
                Markup('<path d="M{0:.1f} {1:.1f}V{2:.1f}"/>').format(x, y(under), y(over))
            )
        told = Markup("<title>{} {:+.3g} %</title>").format(label, change)
        if moved:
            mark = '<rect x="{:.1f}" y="{:.1f}" width="8" height="8">{}</rect>'
            parts.append(Markup(mark).format(x - 4, y(change) - 4, told))
        else:
            mark = '<circle cx="{:.1f}" cy="{:.1f}" r="3">{}</circle>'
            parts.append(Markup(mark).format(x, y(change), told))
    head = Markup('<svg class="trend" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">')
    return head.format(width, height, title) + Markup().join(parts) + Markup("</svg>")
