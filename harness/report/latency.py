# SPDX-License-Identifier: GPL-2.0-only
"""Histograms -> percentiles: one histogram a boot and phase, its percentiles as paired values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.report.model import MIN_BEYOND, PERCENTILES
from harness.results import histogram, pairing
from harness.results.collected import BOOT, frame
from harness.results.frames import Frames
from harness.results.pairing import Counted, PairedValues

_HIST = [*BOOT, "name", "phase", "unit"]
KEYS = ["name", "phase", "unit", "percent"]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """values: BOOT, `KEYS`, value: one row a boot and percentile; notes: by workload.

    sub_bits: of the histograms by cell, name and phase, the coarsest of all boots
    """

    values: pd.DataFrame
    notes: Mapping[str, Sequence[str]]
    sub_bits: Mapping[tuple[str, str, str], int]

    def bucket(self, key: Mapping[str, Any], group: PairedValues) -> float | None:
        """The width in per cent of the widest bucket that a percentile of either kernel lies in."""
        bits = self.sub_bits[str(key["cell"]), str(key["name"]), str(key["phase"])]
        values = (one for one in np.concatenate((group.base, group.patch)) if one >= 1)
        widths = (
            100 * histogram.bucket(histogram.index_of(int(one), bits), bits)[1] / one
            for one in values
        )
        return max(widths, default=None)


def merged(data: Frames) -> pd.DataFrame:
    """One histogram a boot, name and phase: all rounds and processes of the boot merged.

    Merging adds counts, so it loses nothing. Histograms of different bucket widths cannot be
    merged that way: such a boot has none.
    """
    rows = [
        [*key, histogram.merge(group["hist"])]
        for key, group in data.hists.groupby(_HIST, sort=True)
        if _mergeable(group)
    ]
    return frame(rows, [*_HIST, "hist"])


def _mergeable(group: pd.DataFrame) -> bool:
    return len({hist.sub_bits for hist in group["hist"]}) == 1


def gather(data: Frames, used: Counted) -> Percentiles:
    """The percentiles of all boots that count.

    One is given only if each of these boots has enough events beyond it.
    """
    hists = pairing.kept(merged(data), used)
    totals: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for one in pairing.rows(hists):
        totals[one.cell, one.name, one.phase].append(one.hist.total)
    values, sub_bits = [], dict[tuple[str, str, str], int]()
    left_out: defaultdict[str, set[str]] = defaultdict(set)
    for one in pairing.rows(hists):
        place = (str(one.cell), str(one.name), str(one.phase))
        sub_bits[place] = min(one.hist.sub_bits, sub_bits.get(place, one.hist.sub_bits))
        fewest = min(totals[one.cell, one.name, one.phase])
        for percent in PERCENTILES:
            if fewest * (100 - percent) / 100 < MIN_BEYOND:
                left_out[str(one.workload)].add(f"p{percent:g} of {one.name}")
                continue
            boot = (one.cell, one.backend, one.workload, one.arm, one.pair)
            value = one.hist.percentile(percent)
            values.append((*boot, one.name, one.phase, one.unit, percent, value))
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for workload, text in _notes(data, hists, left_out):
        notes[workload].append(text)
    return Percentiles(frame(values, [*BOOT, *KEYS, "value"]), notes, sub_bits)


def _notes(
    data: Frames, hists: pd.DataFrame, left_out: dict[str, set[str]]
) -> Iterator[tuple[str, str]]:
    for (workload, name), group in hists.groupby(["workload", "name"], sort=True):
        width = 100 * max(hist.resolution for hist in group["hist"])
        yield str(workload), f"Buckets of {name}: up to {width:.2g} % wide."
    for workload, names in left_out.items():
        yield (
            workload,
            f"Left out, because a boot has fewer than {MIN_BEYOND} events beyond it: "
            f"{', '.join(sorted(names))}.",
        )
    mixed = Counter(
        (str(key[2]), str(key[5]))
        for key, group in data.hists.groupby(_HIST, sort=True)
        if not _mergeable(group)
    )
    for (workload, name), count in mixed.items():
        yield (
            workload,
            f"Left out: {count} histograms of {name} whose parts have buckets of "
            "different widths, which cannot be merged without loss.",
        )
