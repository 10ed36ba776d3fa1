# SPDX-License-Identifier: GPL-2.0-only
"""Kernel counters by phase: which moved, how strong the evidence is, which one kernel lacks."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.report.model import Estimate
from harness.results import frames, pairing
from harness.results.collected import BOOT
from harness.results.frames import ARMS, Frames
from harness.results.manifest import clock_unit
from harness.results.pairing import Counted, PairedValues
from harness.stats import paired as stats
from harness.stats import rounding

# Smaller changes of a counter in a phase are left out: one event more is many per cent there.
_MIN_COUNT = 50.0
_MIN_BY_UNIT = {"ns": 100_000.0, "us": 100.0, "B": 65_536.0}
_PROBES = (
    "vmstat", "memcg", "zswap", "zram", "blockstat", "stat", "psi", "kthreads", "generic",
)  # fmt: skip
SHARE = 1.0
"""Per cent by which a counter or percentile must change for a report or a mail to name it."""
CHANCE = 0.05
"""The largest adjusted p with which a counter is named."""
# Of swap, reclaim and memory. A memcg counts most of vmstat's again: of it only what vmstat lacks.
_RELEVANT = re.compile(
    r"vmstat (pswp|zswp|swp|swap_ra|thp_swp|pgscan|pgsteal|pgdemote|pgmajfault$|pgfault$|pgrefill"
    r"|allocstall|workingset_|drop_|oom_kill|kswapd|pageoutrun|compact_|nr_(anon|zspages|swapcached"
    r"|slab|page_table|kernel_stack|shmem))"
    r"|memcg \S+ memory\.(swap|zswap|current|peak|stat\.(zswap|swapcached))"
    r"|zswap |zram |kthreads (kswapd|kcompactd|zswap)"
)
_KEYS = ["phase", "probe", "key", "field", "unit"]


@dataclass(frozen=True, slots=True)
class Counters:
    """moved: strongest evidence first; only_one, tested: by workload, see `model.Part`.

    unlike: by workload, counters that were not compared
    """

    moved: tuple[Estimate, ...]
    only_one: dict[str, tuple[str, ...]]
    tested: dict[str, int]
    unlike: dict[str, frozenset[str]]


def gather(data: Frames, clock: str, used: Counted, unlike: frozenset[str]) -> Counters:
    """All counters whose base and patch boots make pairs, less those that are ``unlike``."""
    found: list[Estimate] = []
    only_one: defaultdict[str, set[str]] = defaultdict(set)
    left: defaultdict[str, set[str]] = defaultdict(set)
    for key, seen in pairing.groups(_values(data), _KEYS, used):
        # The sampler lists only threads that used CPU time: an absent one used none.
        group = _zeroed(seen) if key["probe"] == "kthreads" else seen
        workload = str(key["workload"])
        name = " ".join(str(key[part]) for part in ("probe", "key", "field") if key[part])
        there = group.arms
        if len(there) < len(ARMS):
            only_one[workload].add(f"{there[0]}: {name}")
            continue
        least = _MIN_BY_UNIT.get(str(key["unit"]), _MIN_COUNT)
        both = np.concatenate((group.base, group.patch))
        if np.nanmax(both) < least or np.nanmin(both) < 0:
            continue
        if name in unlike:
            left[workload].add(name)
        else:
            found.append(_row(key, name, group, clock))
    tested = Counter(row.workload for row in found)
    lacking = {workload: tuple(sorted(names)) for workload, names in only_one.items()}
    others = {workload: frozenset(names) for workload, names in left.items()}
    return Counters(tuple(_moved(found)), lacking, tested, others)


def relevant(rows: Iterable[Estimate]) -> list[Estimate]:
    """Counters of swap, reclaim and memory that changed by more than `SHARE`, in their order.

    Left out is what chance explains, see `Estimate.evident`.
    """
    return [row for row in rows if _RELEVANT.match(row.name) and beyond(row) and row.evident]


def beyond(row: Estimate) -> bool:
    """Whether a row changed by more than `SHARE`: its interval excludes zero, or one arm has none.

    A counter that has no per cent is zero in every boot of one arm only.
    """
    if row.change.estimate_pct is None:
        return row.role == "counter"
    return row.change.excludes_zero and abs(row.change.estimate_pct) > SHARE


def _zeroed(group: PairedValues) -> PairedValues:
    return replace(group, base=np.nan_to_num(group.base), patch=np.nan_to_num(group.patch))


def _values(data: Frames) -> pd.DataFrame:
    """One value a boot, phase and counter."""
    found = data.deltas
    total = (found["probe"] != "psi") | found["field"].astype(str).str.endswith("total")
    found = found[found["probe"].isin(_PROBES) & total]
    # Equal keys inside one sample are summed before the rounds are averaged.
    by_round = found.groupby([*BOOT, *_KEYS, "round"], observed=True)["value"].sum()
    return frames.averaged(by_round.reset_index(), _KEYS)


def _row(key: Any, name: str, group: PairedValues, clock: str) -> Estimate:
    unit = str(key["unit"])
    return Estimate.of(
        key,
        group,
        stats.paired(group.base.tolist(), group.patch.tolist()),
        role="counter",
        name=name,
        phase=str(key["phase"]),
        unit=clock_unit(unit, clock),
        data_unit=unit,
        direction="",
    )


def _moved(rows: list[Estimate]) -> Iterator[Estimate]:
    """Counters whose interval excludes zero, or that one arm never counts; best evidence first.

    Evidence is the adjusted p, then how far the differences lie from zero in their own spread.
    """
    q = _adjusted([evidence(row) for row in rows])
    by_t = _adjusted([stats.t_p(_differences(row)) for row in rows])
    ranked = [
        replace(row, q=mine, evident=normal is not None and normal <= CHANCE)
        for row, mine, normal in zip(rows, q, by_t, strict=True)
    ]
    moved = [row for row in ranked if row.change.excludes_zero or _appears(row)]
    yield from sorted(moved, key=_rank)


def _adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Each p adjusted for all that there are; None stays None."""
    adjusted = iter(stats.false_discovery([p for p in p_values if p is not None]))
    return [None if p is None else next(adjusted) for p in p_values]


def _rank(row: Estimate) -> tuple[float | str, ...]:
    # Rounded: equal evidence must not be ordered by a float's last digit.
    size = abs(row.change.estimate_pct or 0.0)
    return (round(row.q or 0.0, 12), -_distance(row), -size, row.cell, row.phase, row.name)


def evidence(row: Estimate) -> float | None:
    """The p value of a counter; None where few pairs agree to the last digit.

    A counter that is zero in some boots has no per cent: its plain differences are tested.
    """
    if row.change.method == stats.NO_PER_CENT:
        return stats.p_value(_differences(row))
    return row.change.p


def _differences(row: Estimate) -> Sequence[float]:
    """Those of the logs, or plain ones where a value is zero and has none."""
    if row.change.method == stats.NO_PER_CENT:
        return rounding.differences(row.both)
    return row.change.differences


def _distance(row: Estimate) -> float:
    """Mean over spread of the differences; infinite if they are all equal, or have no per cent."""
    d = row.change.differences
    sd = row.change.deviation
    return abs(math.fsum(d) / len(d)) / sd if sd else math.inf


def _appears(row: Estimate) -> bool:
    """Zero in every boot of one arm and in none of the other, in two pairs at least."""
    base, patch = any(row.base_values), any(row.patch_values)
    return row.change.n > 1 and base != patch and (all(row.base_values) or all(row.patch_values))
