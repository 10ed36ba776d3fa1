# SPDX-License-Identifier: GPL-2.0-only
"""Kernel versions and the ranges that configuration lines and series are limited to."""

from __future__ import annotations

import operator
import re

from harness.util.errors import UserError

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_CONDITION = re.compile(r"\s*(<=|>=|<|>)\s*(\d+\.\d+)\s*")


def major_minor(version: str) -> tuple[int, int]:
    """``"6.12.117"`` or ``"7.0-rc1"`` -> ``(6, 12)``, ``(7, 0)``.

    Raises UserError for text that does not start like a kernel version.
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    if not match:
        raise UserError(f"'{version}' is not a kernel version (expected e.g. 6.12 or 7.0-rc1)")
    return int(match[1]), int(match[2])


def in_range(version: str, conditions: str) -> bool:
    """Whether ``version`` meets all of e.g. ``">=6.10,<7.3"``; an empty range holds always.

    Raises UserError for a condition that cannot be read.
    """
    have = major_minor(version)
    for condition in filter(None, conditions.split(",")):
        match = _CONDITION.fullmatch(condition)
        if not match:
            raise UserError(f"'{condition}' is not a version condition (expected e.g. >=6.10)")
        if not _COMPARE[match[1]](have, major_minor(match[2])):
            return False
    return True
