# SPDX-License-Identifier: GPL-2.0-only
"""The run's manifest.json, read tolerantly: what it lacks is "unknown", never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"

_LOWER = ("low", "less", "down", "small")
_HIGHER = ("high", "more", "up", "large", "great")


class Manifest:
    """Read access to a manifest; its keys are described in results/README.md."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def get(self, *path: str) -> Any:
        """The value at a path of keys, or None."""
        value: Any = self._data
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def text(self, *path: str) -> str:
        """A scalar at a path as text; "unknown" if absent, null, empty or not a scalar."""
        value = self.get(*path)
        if isinstance(value, str | int | float) and value != "":
            return str(value)
        return UNKNOWN

    def short(self, *path: str) -> str:
        """The first 12 digits of a hash."""
        return self.text(*path)[:12]

    def mapping(self, *path: str) -> Mapping[str, Any]:
        """An object at a path, empty if there is none."""
        value = self.get(*path)
        return value if isinstance(value, Mapping) else {}

    def listing(self, *path: str) -> list[Any]:
        """A list at a path, empty if there is none."""
        value = self.get(*path)
        return value if isinstance(value, list) else []

    def pairs_of(self, *path: str) -> str:
        """What an object at a path has set, as "key=value, ..." by key; "unknown" if nothing."""
        items = sorted(self.mapping(*path).items())
        shown = (
            f"{key}={value}"
            for key, value in items
            if value != "" and not isinstance(value, dict | list)
        )
        return ", ".join(shown) or UNKNOWN

    def backends(self) -> list[str]:
        """Each back-end with what it was asked to be set to, as "zram (compressor=lz4)"."""
        names = sorted(self.mapping("backends"))
        found = {name: self.pairs_of("backends", name, "settings") for name in names}
        return [
            name if settings == UNKNOWN else f"{name} ({settings})"
            for name, settings in found.items()
        ]

    def parameters(self, workload: str) -> str:
        """What the workload was run with, as "size=32M, ..."."""
        asked = self.pairs_of("workloads", workload, "effective")
        limit = self.text("workloads", workload, "memory_max")
        return asked if limit in (UNKNOWN, "max") else f"{asked}; memory.max {limit}"

    def waits_io(self, backend: str) -> bool:
        """The back-end waits for host I/O, which the instruction clock cannot time."""
        return self.get("backends", backend, "waits_io") is True

    def disk_of(self, workload: str) -> str:
        """What this workload's swap files lay on: "sim" or "host"; "unknown" if nobody said."""
        own = self.text("workloads", workload, "requires", "disk")
        return self.text("guest", "disk") if own == UNKNOWN else own

    def primary(self, workload: str, backend: str, clock: str) -> str | None:
        """The primary metric declared for this workload, back-end and clock."""
        waiting = clock == "insn" and self.waits_io(backend)
        name = self.get("workloads", workload, "primary_waiting_io") if waiting else None
        name = name or self.get("workloads", workload, "primary")
        return name if isinstance(name, str) else None

    def margin(self, workload: str) -> float | None:
        """The declared margin in per cent; None unless it is a number above zero with a "%"."""
        text = self.text("workloads", workload, "margin").strip()
        try:
            value = float(text.removesuffix("%")) if text.endswith("%") else 0.0
        except ValueError:
            return None
        return value if 0 < value < math.inf else None

    def direction(self, workload: str, metric: str) -> str:
        """ "lower" or "higher" is better; "" if the workload does not say."""
        text = self.text("workloads", workload, "metrics", metric, "direction").lower()
        if text.startswith(_LOWER):
            return "lower"
        return "higher" if text.startswith(_HIGHER) else ""

    def unit(self, workload: str, metric: str, unit: str, clock: str) -> str:
        """The unit to print: under the instruction clock 1 ns of guest time is 1 instruction."""
        if clock != "insn":
            return unit
        declared = self.get("workloads", workload, "metrics", metric, "clock_insn_unit")
        return declared if isinstance(declared, str) and declared else insn_unit(unit)


def insn_unit(unit: str) -> str:
    """The unit of a guest time under the instruction clock, for one that nobody declared."""
    head, slash, rest = unit.partition("/")
    return f"insn{slash}{rest}" if head == "ns" else unit


def load(results: Path) -> Manifest:
    """results/<name>/manifest.json; an absent or damaged one gives an empty manifest."""
    try:
        data = json.loads((results / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        data = {}
    return Manifest(data if isinstance(data, dict) else {})
