# SPDX-License-Identifier: GPL-2.0-only
"""Version texts and ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.util.errors import UserError
from harness.util.versions import in_range, major_minor

NUMBERS = st.integers(0, 99)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6.12.117", (6, 12)), ("7.0-rc1", (7, 0)), ("6.1", (6, 1)), ("6.12.0-harness", (6, 12))],
)
def test_major_minor(text: str, expected: tuple[int, int]) -> None:
    assert major_minor(text) == expected


@pytest.mark.parametrize("text", ["", "v6.12", "six", "6"])
def test_what_is_no_version_is_refused_by_name(text: str) -> None:
    with pytest.raises(UserError, match="is not a kernel version"):
        major_minor(text)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_ranges_order_as_numbers_do(major: int, minor: int, other: int, less: int) -> None:
    have, limit = f"{major}.{minor}.3", f"{other}.{less}"
    assert in_range(have, f"<{limit}") == ((major, minor) < (other, less))
    assert in_range(have, f"<{limit}") != in_range(have, f">={limit}")
    assert in_range(have, f">{limit}") != in_range(have, f"<={limit}")
    assert in_range(have, f">={limit},<={limit}") == ((major, minor) == (other, less))


@given(NUMBERS, NUMBERS)
def test_the_empty_range_holds_always(major: int, minor: int) -> None:
    assert in_range(f"{major}.{minor}", "")


def test_two_digit_minors_are_not_decimals() -> None:
    assert in_range("6.12", ">=6.2")
    assert not in_range("6.1", ">=6.10")


@pytest.mark.parametrize("conditions", ["=6.1", ">=6", ">= six", "6.1", ">=6.1 <7.0"])
def test_an_unreadable_condition_is_named(conditions: str) -> None:
    with pytest.raises(UserError, match="is not a version condition"):
        in_range("6.12", conditions)
