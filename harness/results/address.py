# SPDX-License-Identifier: GPL-2.0-only
"""The addresses of the board's pages, and what they are made of: docs/board.md states the rules.

An address has a readable part and, where that alone could come to mean something else, digits of
a hash.  It goes by what was measured, never by when the board was built or what else is on it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

EXAMPLE = "https://board.example/swap/"
_DIGITS = 8
_LONGEST = 80
_METHOD = ("clock", "disk", "accel", "qemu", "image", "images", "tools")
_APART = ("base", "patch", "upto", "head", "head_config", "head_guest", "arms", "backends",
          "workloads", "suite", "preset", "pairs", "aa", "parallel", "name")  # fmt: skip
"""Settings that kernels and cells say themselves, or that no figure depends on."""
_NEVER = ("clock", "disk", "memory", "swap", "cpus")
"""Where one of these differs, the figures of a cell mean something else."""


def slug(text: str) -> str:
    """A name as one part of a path: letters, digits, dots and dashes; never empty or hidden."""
    made = re.sub(r"[^A-Za-z0-9.+_-]+", "-", text.replace("/", ".")).strip("-.")
    return made[:_LONGEST].rstrip("-.") or "x"


def board(text: str) -> str:
    """The URL of a board, with a slash at its end.  ValueError for what is none."""
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError(f"a URL like {EXAMPLE}")
    return text.rstrip("/") + "/"


def comparison(name: str, identity: Mapping[str, Any]) -> str:
    """Of a comparison: its place below the results, and a hash of what boots what.

    Pairs and cells that are added, and reports that are made again, leave it as it is.  A name that
    is used again for other kernels gives another one.  identity: experiment.json, or what it lacks
    """
    fixed = {key: identity.get(key) for key in ("kernels", "clock", "disk", "accel", "tools")}
    return f"{slug(name)}-{_hash(fixed)}"


def cell(name: str, definition: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """Of a cell: its name, and a hash of its settings and of what figures can never be compared
    across: clock, disk, the guest's memory, swap and CPUs."""
    parts = method(identity)
    return f"{slug(name)}-{_hash({'cell': definition, **{key: parts.get(key) for key in _NEVER}})}"


def kernel(version: str, tree: str) -> str:
    """Of a kernel without a series: its version and the first digits of its tree's id."""
    return slug(f"{version}-{tree[:7]}")


def method(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but kernels and cell that a figure may depend on, as far as it was recorded."""
    given = identity.get("experiment") or {}
    found = {key: identity.get(key) for key in _METHOD}
    found |= {key: value for key, value in given.items() if key not in _APART}
    # A setting that came later is at its default in older results, which do not have it.
    return {key: value for key, value in found.items() if value}


def method_hash(parts: Mapping[str, Any]) -> str:
    """A short name of a method."""
    return _hash(parts)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
