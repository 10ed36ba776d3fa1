# SPDX-License-Identifier: GPL-2.0-only
"""Sizes as people write them."""

from __future__ import annotations

import re

from harness.util.errors import UserError

_SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str | int) -> int:
    """``"512M"`` -> bytes; suffixes K, M, G, T are powers of 1024.  Raises UserError."""
    match = re.fullmatch(r"(\d+)([KMGT]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if not match:
        raise UserError(f"'{text}' is not a size (expected e.g. 512M or 2G)")
    return int(match[1]) * _SUFFIX[match[2].upper()]


def format_size(count: int) -> str:
    """Bytes -> the shortest exact text, e.g. ``"512M"``."""
    for suffix in ("T", "G", "M", "K"):
        if count and count % _SUFFIX[suffix] == 0:
            return f"{count // _SUFFIX[suffix]}{suffix}"
    return str(count)
