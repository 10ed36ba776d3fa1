# SPDX-License-Identifier: GPL-2.0-only
"""What was read of a results folder so far: rows, and bare numbers where there are many."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.results.counted import BootWork
from harness.results.deltas import CounterSeries

BOOT = ["cell", "backend", "workload", "arm", "pair"]

Numbers: TypeAlias = "array[Any]"

COLUMNS = {
    "boots": [
        "position", "outcome", "detail", "usable", "clock", "accel", "kernel_release", "started",
        "wall_s", "verify_pages", "verify_bad", "samples", "torn", "sampler_cpu_ns", "footprint",
        "host", "host_facts", "host_state", "folder",
    ],
    "hists": ["name", "phase", "round", "unit", "hist"],
    "phases": ["name", "round", "begin_ns", "end_ns", "cpu_ns", "busy_ns", "sampler_ns"],
    "params": ["source", "name", "value", "unit"],
    "raw": ["t_ns", "path", "text"],
    "misses": ["path", "errno"],
    "tests": ["name", "result", "directive", "inner", "log"],
    "defects": ["source", "text"],
}  # fmt: skip


def _numbers(types: str) -> tuple[Numbers, ...]:
    """Empty columns of these types, see `array`."""
    return tuple(array(one) for one in types)


def append(columns: tuple[Numbers, ...], *row: float) -> None:
    """A row of columns that are kept as bare numbers."""
    for column, number in zip(columns, row, strict=True):
        column.append(number)


@dataclass(slots=True)
class Collected:
    """Rows while they are collected; what has millions of rows is kept as bare numbers.

    values: columns (index into `taken`, series, value)
    changes: columns (index into `spans`, series, begin, end)
    measured: columns (index into `boots`, index into `metrics`, value, round)
    work: of the boot that was begun last
    """

    bulk: bool
    counters: bool
    rows: dict[str, list[list[Any]]] = field(default_factory=lambda: {n: [] for n in COLUMNS})
    boots: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    series: dict[CounterSeries, int] = field(default_factory=dict)
    taken: list[tuple[int, int, int, str]] = field(default_factory=list)
    values: tuple[Numbers, ...] = field(default_factory=lambda: _numbers("lld"))
    spans: dict[tuple[int, str, int], int] = field(default_factory=dict)
    changes: tuple[Numbers, ...] = field(default_factory=lambda: _numbers("lldd"))
    metrics: dict[tuple[str, str], int] = field(default_factory=dict)
    measured: tuple[Numbers, ...] = field(default_factory=lambda: _numbers("lldl"))
    work: BootWork = field(default_factory=BootWork)

    def metric(self, name: str, unit: str, value: float, turn: int) -> None:
        """One value of a metric of the boot that was begun last."""
        series = self.metrics.setdefault((name, unit), len(self.metrics))
        append(self.measured, len(self.boots) - 1, series, value, turn)

    def add(self, table: str, *values: Any) -> None:
        """A row of the boot that was begun last."""
        self.rows[table].append([*self.boots[-1], *values])

    def defect(self, source: str, text: object) -> None:
        """What could not be read of the boot that was begun last."""
        self.add("defects", source, str(text))


def frame(rows: Sequence[Sequence[Any]], names: list[str]) -> pd.DataFrame:
    """Rows with their columns' names, also when there is no row."""
    return pd.DataFrame(rows, columns=pd.Index(names))


def _coded(codes: NDArray[np.int64], values: list[Any]) -> Any:
    """A column of few distinct values, `values[code]` for each code."""
    distinct = list(dict.fromkeys(values))
    place = {value: i for i, value in enumerate(distinct)}
    positions = np.asarray([place[value] for value in values], dtype=np.int64)
    return pd.Categorical.from_codes(positions[codes], categories=pd.Index(distinct))


def _boot_columns(tables: Collected, codes: NDArray[np.int64]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: _coded(codes, [boot[i] for boot in tables.boots]) for i, name in enumerate(BOOT[:-1])
    }
    columns["pair"] = np.asarray([boot[-1] for boot in tables.boots], dtype=np.int64)[codes]
    return columns


def _series_columns(tables: Collected, codes: NDArray[np.int64]) -> dict[str, Any]:
    series = list(tables.series)
    return {
        name: _coded(codes, [getattr(one, name) for one in series])
        for name in ("probe", "key", "field", "unit")
    }


def samples(tables: Collected) -> pd.DataFrame:
    """`frames.Frames.samples`."""
    at, series, value = (np.asarray(column) for column in tables.values)
    boots, seqs, times, reasons = _turned(tables.taken, 4)
    return pd.DataFrame(
        {
            **_boot_columns(tables, np.asarray(boots, dtype=np.int64)[at]),
            "seq": np.asarray(seqs, dtype=np.int64)[at],
            "t_ns": np.asarray(times, dtype=np.int64)[at],
            "reason": _coded(at, reasons),
            **_series_columns(tables, series),
            "value": value,
        }
    )


def deltas(tables: Collected) -> pd.DataFrame:
    """`frames.Frames.deltas`."""
    at, series, begin, end = (np.asarray(column) for column in tables.changes)
    boots, phases, rounds = _turned(list(tables.spans), 3)
    return pd.DataFrame(
        {
            **_boot_columns(tables, np.asarray(boots, dtype=np.int64)[at]),
            "phase": _coded(at, phases),
            "round": np.asarray(rounds, dtype=np.int64)[at],
            **_series_columns(tables, series),
            "begin": begin,
            "end": end,
            "value": end - begin,
        }
    )


def raw_metrics(tables: Collected) -> pd.DataFrame:
    """`frames.Frames.raw_metrics`."""
    boot, series, value, turn = (np.asarray(column) for column in tables.measured)
    names, units = _turned(list(tables.metrics), 2)
    return pd.DataFrame(
        {
            **_boot_columns(tables, boot),
            "name": _coded(series, names),
            "value": value,
            "unit": _coded(series, units),
            "round": turn,
        }
    )


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as columns, also when there is no row."""
    return [[row[i] for row in rows] for i in range(width)]
