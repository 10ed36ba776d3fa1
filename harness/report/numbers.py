# SPDX-License-Identifier: GPL-2.0-only
"""How numbers are printed: the same digits in text, page and plots."""

from __future__ import annotations

import math
from typing import Protocol


class Change(Protocol):
    """A change in per cent with its interval; None where there is none."""

    @property
    def estimate_pct(self) -> float | None: ...
    @property
    def low_pct(self) -> float | None: ...
    @property
    def high_pct(self) -> float | None: ...


_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
_SHORT = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_DIGITS = 6


def number(value: float | None) -> str:
    """Four to six significant digits, three below a thousandth; at most 9 characters for all but
    extreme values; "-" for None.
    """
    if value is None or not math.isfinite(value):
        return _no_number(value)
    size, suffix = abs(value), ""
    for scale, letter in _SUFFIXES:
        if size >= scale:
            value, size, suffix = value / scale, size / scale, letter
            break
    if size == 0:
        return "0"
    whole = int(math.log10(size)) + 1 if size >= 1 else 1
    if size < 1e-3 or whole > 9:
        return f"{value:.3g}"
    decimals = 6 if size < 0.01 else max(_DIGITS - whole, 0)
    return f"{value:.{decimals}f}{suffix}"


def exact(value: float | None, *, sign: bool = False) -> str:
    """A count with all its digits, and one decimal where it is the mean of counts; "-" for None."""
    if value is None or not math.isfinite(value):
        return _no_number(value)
    if not value:
        return "0"
    return f"{value:{'+' if sign else ''}.{0 if value == int(value) else 1}f}"


def short(value: float) -> str:
    """A number for a tick of an axis: "500k"."""
    for scale, letter in _SHORT:
        if value >= scale:
            return f"{value / scale:g}{letter}"
    return f"{value:g}"


def percent(value: float | None, *, sign: bool = True) -> str:
    """A change or a spread without its "%" sign: three decimals below 0.1, fewer above,
    a power of ten from a million on.
    """
    if value is None or not math.isfinite(value):
        return _no_number(value)
    size = abs(value)
    if size >= 999_999:  # says only that nothing is known; it must still fit a column
        return f"{value:{'+' if sign else ''}.0e}"
    decimals = 3 if 0 < size < 0.0995 else 2 if size < 99.95 else 1 if size < 9999 else 0
    text = f"{value:{'+' if sign else ''}.{decimals}f}"
    # Rounded to nothing is no direction: neither "+0.000" nor "-0.000".
    if not any(digit in "123456789" for digit in text):
        return "0.00"
    return text


def _no_number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.0f}"


def change(one: Change) -> str:
    """The estimate, "+10.00%"; "-" if there is none."""
    text = percent(one.estimate_pct)
    return text if text == "-" else f"{text}%"


def interval(one: Change) -> str:
    """The interval in per cent, "[+9.98, +10.02]"; "none" if there is none."""
    if one.low_pct is None:
        return "none"
    return f"[{percent(one.low_pct)}, {percent(one.high_pct)}]"


def fine(value: float | None, *, sign: bool = False) -> str:
    """A share in per cent to two digits however small it is: noise may be a millionth."""
    if value is None or not math.isfinite(value):
        return percent(value, sign=sign)
    if value == 0:
        return "0"
    if abs(value) >= 9.95:
        return percent(value, sign=sign)
    return f"{value:{'+' if sign else ''}.2g}"


def fine_interval(one: Change) -> str:
    """The interval in per cent as `fine` numbers; "none" if there is none."""
    if one.low_pct is None:
        return "none"
    return f"[{fine(one.low_pct, sign=True)}, {fine(one.high_pct, sign=True)}]"
