# SPDX-License-Identifier: GPL-2.0-only
"""Values of boots -> pairs: which boots count, base beside patch, base beside its control."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.results import frames
from harness.results import manifest as manifests
from harness.results.frames import ARMS, CONTROL, BootKey, Frames
from harness.results.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Counted:
    """(cell, pair) of which both boots count: of base and patch, of base and control."""

    ab: frozenset[tuple[str, int]]
    aa: frozenset[tuple[str, int]]

    def holds(self, boot: BootKey) -> bool:
        """Whether a boot is half of a pair."""
        cell, pair, arm = boot
        ab, aa = (cell, pair) in self.ab, (cell, pair) in self.aa
        return {ARMS[0]: ab or aa, ARMS[1]: ab, CONTROL: aa}[arm]


@dataclass(frozen=True, slots=True)
class PairedValues:
    """One number in all boots.

    base[i], patch[i]: in the pair of number pairs[i]; aa_base[i], aa_control[i]: base and its
    control in that of number aa_pairs[i]. A value that one boot lacks is NaN; a pair that lacks
    both is left out.
    """

    pairs: tuple[int, ...]
    base: NDArray[np.float64]
    patch: NDArray[np.float64]
    aa_pairs: tuple[int, ...]
    aa_base: NDArray[np.float64]
    aa_control: NDArray[np.float64]

    @property
    def arms(self) -> list[str]:
        """Which of base and patch have the number in any boot."""
        both = zip(ARMS, (self.base, self.patch), strict=True)
        return [arm for arm, values in both if not np.isnan(values).all()]


def counted(boots: pd.DataFrame) -> Counted:
    """The pairs among the usable boots."""
    arms: dict[tuple[str, int], set[str]] = {}
    for boot in rows(boots[boots["usable"]]):
        arms.setdefault((boot.cell, boot.pair), set()).add(boot.arm)
    return Counted(
        frozenset(key for key, there in arms.items() if there >= set(ARMS)),
        frozenset(key for key, there in arms.items() if there >= {ARMS[0], CONTROL}),
    )


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, whose fields have the types that `frames` documents."""
    yield from frame.itertuples()


def kept(frame: pd.DataFrame, used: Counted) -> pd.DataFrame:
    """The rows of boots that count."""
    columns = (frame[name].astype(object) for name in ("cell", "pair", "arm"))
    known: dict[BootKey, bool] = {}
    holds = [
        known[boot] if boot in known else known.setdefault(boot, used.holds(boot))
        for boot in zip(*columns, strict=True)
    ]
    return frame[np.asarray(holds, dtype=bool)]


def groups(
    frame: pd.DataFrame, keys: list[str], used: Counted
) -> Iterator[tuple[Mapping[str, Any], PairedValues]]:
    """For each cell and value of `keys` (as a mapping by column), its pairs.

    What no base-patch pair has is left out.
    """
    names = ["cell", "backend", "workload", *keys]
    plain = frame[[*names, "pair", "arm", "value"]]
    plain = plain.astype(dict.fromkeys([*names, "arm"], object))
    plain = kept(plain, used)
    if plain.empty:
        return
    # Not pivot_table: to keep missing values it lays out the product of all keys.
    sums = plain.groupby([*names, "pair", "arm"], dropna=False)["value"].sum(min_count=1)
    wide = sums.unstack("arm").reindex(columns=[*ARMS, CONTROL]).sort_index()
    # Plain arrays from here on: a report has some thousand groups of a few values each.
    numbers = wide.to_numpy(dtype=np.float64)
    keyed = wide.index.to_frame(index=False)
    ends = list(zip(keyed["cell"], keyed["pair"], strict=True))
    is_ab = _there(numbers[:, [0, 1]]) & np.asarray([end in used.ab for end in ends], dtype=bool)
    is_aa = _there(numbers[:, [0, 2]]) & np.asarray([end in used.aa for end in ends], dtype=bool)
    columns = [keyed[name].to_numpy(dtype=object) for name in names]
    pairs = keyed["pair"].to_numpy(dtype=np.int64)
    for begin, end in _runs(wide.index):
        ab = begin + np.flatnonzero(is_ab[begin:end])
        if len(ab):
            aa = begin + np.flatnonzero(is_aa[begin:end])
            where = {name: column[begin] for name, column in zip(names, columns, strict=True)}
            group = PairedValues(
                pairs=tuple(pairs[ab].tolist()),
                base=numbers[ab, 0],
                patch=numbers[ab, 1],
                aa_pairs=tuple(pairs[aa].tolist()),
                aa_base=numbers[aa, 0],
                aa_control=numbers[aa, 2],
            )
            yield where, group


def changes(
    pairs: Iterable[int], base: Iterable[float], other: Iterable[float]
) -> tuple[tuple[int, float], ...]:
    """(pair, change from base to other in per cent), where both are above zero and finite."""
    return tuple(
        (pair, 100 * (after / before - 1))
        for pair, before, after in zip(pairs, base, other, strict=True)
        if before > 0 and after > 0 and math.isfinite(after / before)
    )


def _there(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows in which any number is there."""
    found: NDArray[np.bool_] = np.any(~np.isnan(numbers), axis=1, keepdims=True)[:, 0]
    return found


def _runs(index: Any) -> Iterator[tuple[int, int]]:
    """First and last + 1 of the rows that agree in all levels but the last (the pair).

    Rows without a key are left out.
    """
    codes = np.asarray(index.codes)[:-1]
    begins = np.flatnonzero((codes[:, 1:] != codes[:, :-1]).any(axis=0)) + 1
    edges = [0, *begins.tolist(), codes.shape[1]]
    for begin, end in pairwise(edges):
        if (codes[:, begin] >= 0).all():
            yield begin, end


@dataclass(frozen=True, slots=True)
class Measurement:
    """The boots of one result, without their counters, and what was compared."""

    data: Frames
    manifest: Manifest

    @classmethod
    def load(cls, results: Path) -> Measurement:
        """Of results/<name>.  UserError as `frames.load`."""
        return cls(frames.load(results, counters=False), manifests.load(results))

    @property
    def cells(self) -> list[str]:
        """Names of its cells, sorted."""
        return sorted(set(self.data.boots["cell"]))

    def primary(self, cell: str) -> str | None:
        """The primary metric that is declared for a cell."""
        backend, _, workload = cell.rpartition(".")
        return self.manifest.primary(workload, backend, self.manifest.clock)

    def values(self, cell: str, metric: str, arm: str) -> pd.Series[float]:
        """One metric of one arm's usable boots, indexed by pair."""
        boots = self.data.boots
        boots = boots[(boots["cell"] == cell) & (boots["arm"] == arm) & boots["usable"]]
        rows = self.data.metrics
        rows = rows[(rows["cell"] == cell) & (rows["arm"] == arm) & (rows["name"] == metric)]
        found: pd.Series[float] = rows[rows["pair"].isin(boots["pair"])].set_index("pair")["value"]
        return found


def beside(old: pd.Series[float], new: pd.Series[float]) -> tuple[list[float], list[float]]:
    """The values of two arms by pair number; what one side lacks is NaN."""
    pairs = sorted({*old.index, *new.index})
    found = [[float(one.get(pair, math.nan)) for pair in pairs] for one in (old, new)]
    return found[0], found[1]
