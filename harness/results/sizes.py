# SPDX-License-Identifier: GPL-2.0-only
"""How large both kernels of a result are: the sums, and each function that is not the same size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.util import atomic

NAME = "sizes.json"
"""In the results folder; older results have none."""
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class KernelSize:
    """Bytes of one kernel: the sums over its symbols, and each function's size by its name."""

    text: int
    data: int
    bss: int
    functions: Mapping[str, int] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """A function in bytes; None in a kernel that does not have it."""

    name: str
    base: int | None
    patch: int | None

    @property
    def change(self) -> int:
        """Bytes more in the patched kernel."""
        return (self.patch or 0) - (self.base or 0)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Both kernels.  changed: the functions that differ, the one that grew most first."""

    base: KernelSize
    patch: KernelSize
    changed: tuple[FunctionSize, ...]

    @classmethod
    def of(cls, base: KernelSize, patch: KernelSize) -> Sizes:
        """Two kernels compared function by function."""
        names = base.functions.keys() | patch.functions.keys()
        every = (
            FunctionSize(name, base.functions.get(name), patch.functions.get(name))
            for name in names
        )
        found = sorted(
            (one for one in every if one.change), key=lambda one: (-one.change, one.name)
        )
        old, new = (KernelSize(one.text, one.data, one.bss) for one in (base, patch))
        return cls(old, new, tuple(found))


def write(results: Path, found: Sizes) -> None:
    """Write sizes.json."""
    data: dict[str, Any] = {"schema": _SCHEMA}
    for arm in ("base", "patch"):
        one: KernelSize = getattr(found, arm)
        data[arm] = {"text": one.text, "data": one.data, "bss": one.bss}
    data["changed"] = [[one.name, one.base, one.patch] for one in found.changed]
    atomic.text(results / NAME, atomic.json_text(data))


def read(results: Path) -> Sizes | None:
    """The sizes of a result's kernels; None if nobody recorded them, or in a damaged file."""
    data = atomic.json_file(results / NAME) or {}
    try:
        changed = [
            dict(zip(("name", "base", "patch"), one, strict=True)) for one in data["changed"]
        ]
        return TypeAdapter(Sizes).validate_python({**data, "changed": changed})
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
