# SPDX-License-Identifier: GPL-2.0-only
"""The counters that every report gives in each phase, moved or not; and all others as CSV.

Which those are is in ``kernels/counters.yaml``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pandas as pd

from harness.report import meaning, table
from harness.report.model import PhaseCount
from harness.results import frames, pairing
from harness.results.collected import BOOT
from harness.results.frames import Frames
from harness.results.pairing import Counted
from harness.stats import paired

# By probe: which of its keys counts (all: None), how its fields begin, and what stands before the
# name.
_SOURCES: Mapping[str, tuple[str | None, str, str]] = {
    "vmstat": ("", "", ""),
    "memcg": ("harness", "memory.stat.", "memcg "),
    "mthp": (None, "", "mthp "),
}
_COLUMNS = ("cell", "arm", "pair", "phase", "counter", "unit", "value")
_SERIES = ["probe", "key", "field", "unit"]


@dataclass(frozen=True, slots=True)
class Tally:
    """counts: by workload, in the order of back-ends, phases and counters

    absent: by workload, the counters that neither kernel has
    """

    counts: Mapping[str, Sequence[PhaseCount]]
    absent: Mapping[str, Sequence[str]]


def gather(data: Frames, used: Counted) -> Tally:
    """The counters of ``kernels/counters.yaml``: what a phase of either kernel has of them."""
    names = {name: place for place, name in enumerate(_wanted())}
    phases = {str(name): at for at, name in enumerate(data.deltas["phase"].drop_duplicates())}
    found: defaultdict[str, list[PhaseCount]] = defaultdict(list)
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for key, group in pairing.groups(_values(data), ["phase", "name"], used):
        workload, name = str(key["workload"]), str(key["name"])
        seen[workload].add(name)
        # A median of zero is shown where some boot is not zero.
        if np.nan_to_num(np.concatenate((group.base, group.patch))).any():
            medians = (paired.spread(one.tolist()).median for one in (group.base, group.patch))
            found[workload].append(
                PhaseCount(str(key["backend"]), str(key["phase"]), name, *medians)
            )
    for rows in found.values():
        rows.sort(key=lambda row: (row.backend, phases[row.phase], names[row.name]))
    return Tally(
        found,
        {workload: [one for one in names if one not in mine] for workload, mine in seen.items()},
    )


def _wanted() -> dict[str, tuple[str, str | None, str]]:
    """By the name to print: probe, key and pattern of the field."""
    return {
        before + name.rstrip("_*"): (probe, key, start + name)
        for probe, (key, start, before) in _SOURCES.items()
        for name in meaning.always(probe)
    }


def _values(data: Frames) -> pd.DataFrame:
    """One value a boot, phase and wanted counter: the sum of what its pattern matches."""
    deltas = data.deltas
    parts = []
    for name, (probe, key, pattern) in _wanted().items():
        fields = [one for one in deltas["field"].cat.categories if fnmatchcase(one, pattern)]
        mine = (deltas["probe"] == probe) & deltas["field"].isin(fields)
        if key is not None:
            mine &= deltas["key"] == key
        parts.append(deltas[mine].assign(name=name))
    found = pd.concat(parts)
    by_round = found.groupby([*BOOT, "phase", "name", "round"], observed=True)["value"].sum()
    return frames.averaged(by_round.reset_index(), ["phase", "name"])


def sheet(data: Frames) -> Iterator[str]:
    """counters.csv in pieces: each counter of each boot and phase, the mean over its rounds.

    A counter that is zero in every boot and phase of a cell has no row.
    """
    deltas = data.deltas
    by_round = deltas.groupby([*BOOT, "phase", *_SERIES, "round"], observed=True, sort=False)
    values = frames.averaged(by_round["value"].sum().reset_index(), ["phase", *_SERIES])
    values["used"] = values["value"] != 0
    alive = values.groupby(["cell", *_SERIES], observed=True)["used"].transform("any")
    return table.pieces(_COLUMNS, map(_row, pairing.rows(values[alive])))


def _row(one: Any) -> tuple[object, ...]:
    name = " ".join(filter(None, (one.probe, one.key, one.field)))
    return (one.cell, one.arm, one.pair, one.phase, name, one.unit, f"{one.value:.15g}")
