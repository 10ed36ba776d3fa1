# SPDX-License-Identifier: GPL-2.0-only
"""Histograms -> percentiles: one histogram a boot and phase, its percentiles as paired values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from harness.report.model import MIN_BEYOND, PERCENTILES
from harness.results import histogram, pairing
from harness.results.collected import BOOT
from harness.results.frames import Frames
from harness.results.pairing import Counted

KEYS = ["name", "phase", "unit", "percent"]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """values: BOOT, `KEYS`, value: one row a boot and percentile; notes: by workload."""

    values: pd.DataFrame
    notes: dict[str, tuple[str, ...]]


def merged(data: Frames) -> pd.DataFrame:
    """One histogram a boot, name and phase: all rounds and processes of the boot merged.

    Merging adds counts, so it loses nothing. Histograms of different bucket widths cannot be
    merged that way: such a boot has none.
    """
    keys = [*BOOT, "name", "phase", "unit"]
    rows = [
        [*key, histogram.merge(group["hist"])]
        for key, group in data.hists.groupby(keys, sort=True)
        if _mergeable(group)
    ]
    return pd.DataFrame(rows, columns=pd.Index([*keys, "hist"]))


def _mergeable(group: pd.DataFrame) -> bool:
    return len({hist.sub_bits for hist in group["hist"]}) == 1


def gather(data: Frames, used: Counted) -> Percentiles:
    """The percentiles of all boots that count.

    One is given only if each of these boots has enough events beyond it.
    """
    hists = merged(data)
    hists = pairing.kept(hists, used)
    fewest: dict[tuple[str, str, str], int] = {}
    for one in pairing.rows(hists):
        key = (one.cell, one.name, one.phase)
        fewest[key] = min(one.hist.total, fewest.get(key, one.hist.total))
    values = []
    left_out: dict[str, set[str]] = {}
    for one in pairing.rows(hists):
        for percent in PERCENTILES:
            if fewest[one.cell, one.name, one.phase] * (100 - percent) / 100 < MIN_BEYOND:
                left_out.setdefault(str(one.workload), set()).add(f"p{percent:g} of {one.name}")
                continue
            boot = (one.cell, one.backend, one.workload, one.arm, one.pair)
            value = one.hist.percentile(percent)
            values.append((*boot, one.name, one.phase, one.unit, percent, value))
    notes: dict[str, list[str]] = {}
    for workload, text in _notes(data, hists, left_out):
        notes.setdefault(workload, []).append(text)
    return Percentiles(
        pd.DataFrame(values, columns=pd.Index([*BOOT, *KEYS, "value"])),
        {workload: tuple(texts) for workload, texts in notes.items()},
    )


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
    keys = [*BOOT, "name", "phase", "unit"]
    mixed: dict[tuple[str, str], int] = {}
    for key, group in data.hists.groupby(keys, sort=True):
        if not _mergeable(group):
            place = (str(key[2]), str(key[5]))
            mixed[place] = mixed.get(place, 0) + 1
    for (workload, name), count in mixed.items():
        yield (
            workload,
            f"Left out: {count} histograms of {name} whose parts have buckets of "
            "different widths, which cannot be merged without loss.",
        )
