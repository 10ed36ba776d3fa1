# SPDX-License-Identifier: GPL-2.0-only
"""Whether base and patch have their memory in huge pages alike.

A series may change by chance, or by a default, how much memory is huge.  A fault then brings in
512 pages and not one, and a page goes out with its neighbours, so that a change of the primary
metric may be this alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.results import frames, pairing
from harness.results.collected import BOOT
from harness.results.frames import Frames
from harness.results.pairing import Counted
from harness.util.errors import UserError
from harness.util.units import parse_size

_PAGE = 4096
_HUGE = 512
"""Pages in a huge page of vmstat's counters, on x86-64."""
_APART = 0.05
"""By how much two shares must differ to be named."""
_LEAST = 1024.0
"""Pages that a phase must bring in, or have in memory: fewer say nothing."""
_ROUND = [*BOOT, "phase", "round"]
_FAULTED = "that faults bring in"
_RESIDENT = "in memory at its end"


def gather(data: Frames, used: Counted) -> Mapping[str, Sequence[str]]:
    """By workload, a sentence for each back-end whose arms differ in it; of the phase that differs
    most."""
    shares = pd.concat([_faulted(data.deltas), _resident(data.deltas)])
    most: dict[tuple[str, str], tuple[float, str]] = {}
    for key, group in pairing.groups(shares, ["phase", "name"], used):
        base, patch = (one[~np.isnan(one)] for one in (group.base, group.patch))
        if not len(base) or not len(patch):
            continue
        apart = abs(float(np.median(base)) - float(np.median(patch)))
        overlap = base.min() <= patch.max() and patch.min() <= base.max()
        if apart < _APART or overlap:
            continue
        where = (str(key["workload"]), str(key["backend"]))
        said = (
            f"{key['backend']}.{key['workload']}: huge pages hold {_percent(base)} of base's "
            f"memory and {_percent(patch)} of patch's {key['name']} (phase {key['phase']}): a "
            "change of its figures may be that alone."
        )
        most[where] = max(most.get(where, (0.0, "")), (apart, said))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for (workload, _), (_, said) in sorted(most.items()):
        found[workload].append(said)
    return found


def _percent(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return f"{100 * float(np.median(shares)):.0f} %"


def _faulted(deltas: pd.DataFrame) -> pd.DataFrame:
    """Of the pages that faults bring in, the share that is in huge pages, by boot and phase.

    Kernels before 6.8 have no counters of each size: theirs of the largest are taken.
    """
    faults = _sums(deltas, deltas["probe"] == "vmstat", {"pgfault": 1.0})
    sizes = {str(key): _pages(str(key)) for key in deltas["key"].cat.categories}
    by_size = (deltas["probe"] == "mthp") & deltas["field"].isin(["anon_fault_alloc", "swpin"])
    factors = deltas["key"].astype(object).map(sizes).fillna(0.0)
    huge = _total(deltas, by_size, deltas["value"] * factors)
    count = _total(deltas, by_size, deltas["value"])
    largest = _sums(deltas, deltas["probe"] == "vmstat", {"thp_fault_alloc": 1.0})
    pages = huge.reindex(faults.index)
    number = count.reindex(faults.index)
    pages = pages.fillna(largest.reindex(faults.index) * _HUGE)
    number = number.fillna(largest.reindex(faults.index))
    return _shares(pages, pages + (faults - number).clip(lower=0), _FAULTED)


def _resident(deltas: pd.DataFrame) -> pd.DataFrame:
    """Of the anonymous memory of the workload's cgroup, the share that is in huge pages."""
    at_end = deltas["end"] / _PAGE
    mine = (deltas["probe"] == "memcg") & (deltas["key"] == "harness")
    huge, every = (
        _total(deltas, mine & (deltas["field"] == f"memory.stat.{field}"), at_end)
        for field in ("anon_thp", "anon")
    )
    return _shares(huge, every, _RESIDENT)


def _shares(part: pd.Series, whole: pd.Series, name: str) -> pd.DataFrame:
    """One value a boot and phase, the mean over its rounds; none where there is too little."""
    whole = whole[whole >= _LEAST]
    found = (part.reindex(whole.index) / whole).dropna().rename("value").reset_index()
    return frames.averaged(found, ["phase"]).assign(name=name)


def _sums(deltas: pd.DataFrame, probe: pd.Series, fields: Mapping[str, float]) -> pd.Series:
    return _total(deltas, probe & deltas["field"].isin(list(fields)), deltas["value"])


def _total(deltas: pd.DataFrame, mine: pd.Series, values: pd.Series) -> pd.Series:
    there = deltas.loc[mine, _ROUND].assign(value=values[mine])
    return there.groupby(_ROUND, observed=True)["value"].sum()


def _pages(size: str) -> float:
    """Pages of 4 KiB in a huge page whose size is written "64kB"; 0 for what is no size."""
    try:
        return parse_size(size) / _PAGE
    except UserError:
        return 0.0
