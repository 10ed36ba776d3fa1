"""Values of boots -> pairs: which boots count, base beside patch, base beside base again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.frames import AGAIN, ARMS, Frames

Boot = tuple[str, int, str]
"""(cell, pair, arm)"""


@dataclass(frozen=True, slots=True)
class Counted:
    """(cell, pair) of which both boots count: of base and patch, of base and again."""

    ab: frozenset[tuple[str, int]]
    aa: frozenset[tuple[str, int]]

    def holds(self, boot: Boot) -> bool:
        """Whether a boot is half of a pair."""
        cell, pair, arm = boot
        ab, aa = (cell, pair) in self.ab, (cell, pair) in self.aa
        return {ARMS[0]: ab or aa, ARMS[1]: ab, AGAIN: aa}[arm]


@dataclass(frozen=True, slots=True)
class Group:
    """One number in all boots: frames indexed by pair, columns base and patch, base and again.

    A value that one boot lacks is NaN; a pair that lacks both is left out.
    """

    ab: pd.DataFrame
    aa: pd.DataFrame


def counted(boots: pd.DataFrame) -> Counted:
    """The pairs among the usable boots."""
    arms: dict[tuple[str, int], set[str]] = {}
    for boot in rows(boots[boots["usable"]]):
        arms.setdefault((boot.cell, boot.pair), set()).add(boot.arm)
    return Counted(
        frozenset(key for key, there in arms.items() if there >= set(ARMS)),
        frozenset(key for key, there in arms.items() if there >= {ARMS[0], AGAIN}),
    )


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, whose fields have the types that `frames` documents."""
    yield from frame.itertuples()


def kept(frame: pd.DataFrame, used: Counted) -> pd.DataFrame:
    """The rows of boots that count."""
    columns = (frame[name].astype(object) for name in ("cell", "pair", "arm"))
    holds = [used.holds(boot) for boot in zip(*columns, strict=True)]
    return frame[np.asarray(holds, dtype=bool)]


def groups(
    frame: pd.DataFrame, keys: list[str], used: Counted
) -> Iterator[tuple[Mapping[str, Any], Group]]:
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
    wide = sums.unstack("arm").reindex(columns=[*ARMS, AGAIN])
    for key, group in wide.groupby(level=names, sort=True):
        where = dict(zip(names, key, strict=True))
        both = group.droplevel([*names])
        ab = _pairs(both, str(where["cell"]), used.ab, [*ARMS])
        if len(ab):
            yield where, Group(ab, _pairs(both, str(where["cell"]), used.aa, [ARMS[0], AGAIN]))


def _pairs(
    group: pd.DataFrame, cell: str, used: frozenset[tuple[str, int]], arms: list[str]
) -> pd.DataFrame:
    keep = [(cell, int(pair)) in used for pair in group.index]
    return group.loc[keep, arms].dropna(how="all")


def by_pair(data: Frames, cell: str, metric: str, arm: str) -> pd.Series[float]:
    """One metric of one arm's usable boots, indexed by pair."""
    boots = data.boots
    usable = set(boots[(boots["cell"] == cell) & (boots["arm"] == arm) & boots["usable"]]["pair"])
    rows = data.metrics
    rows = rows[(rows["cell"] == cell) & (rows["arm"] == arm) & (rows["name"] == metric)]
    found: pd.Series[float] = rows[rows["pair"].isin(usable)].set_index("pair")["value"]
    return found
