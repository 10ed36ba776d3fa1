# SPDX-License-Identifier: GPL-2.0-only
"""walk.csv: one row a stop and primary metric, or one where a stop has none."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from harness.stats.verdict import Verdict
from harness.studies.walk.analysis import MetricWalk, Stop, Walk, WalkPoint

COLUMNS = (
    "number", "subject", "commit", "failure", "build_seconds", "objects", "boots", "boots_lost",
    "cell", "backend", "workload", "metric", "unit", "direction", "base_median", "median", "since",
    "own_n", "own_pct", "own_low_pct", "own_high_pct", "own_method", "own_verdict", "own_reason",
    "whole_n", "whole_pct", "whole_low_pct", "whole_high_pct", "whole_method", "whole_verdict",
    "whole_reason",
)  # fmt: skip
MEMORY = ("backend", "number", "per_slot", "per_slot_error", "per_entry", "per_entry_error")


def render(walk: Walk) -> str:
    """All stops; changes in per cent, ``own`` since the stop ``since`` (0: the base)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stop in walk.stops:
        found = list(_marks(walk, stop))
        for line, mark in found:
            writer.writerow((*_stop(stop), *_mark(line, mark)))
        if not found:
            writer.writerow((*_stop(stop), *[""] * (len(COLUMNS) - len(_stop(stop)))))
    return out.getvalue()


def memory(walk: Walk) -> str:
    """walk-memory.csv: bytes a slot and a page in swap at each stop; number 0 is the base."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(MEMORY)
    for one in walk.memory:
        for size in one.sizes:
            slot, entry = size.per_slot, size.per_entry
            writer.writerow(
                (one.backend, size.number, slot.value, slot.error, entry.value, entry.error)
            )
    return out.getvalue()


def _marks(walk: Walk, stop: Stop) -> Iterator[tuple[MetricWalk, WalkPoint]]:
    for line in walk.lines:
        for mark in line.marks:
            if mark.number == stop.number:
                yield line, mark


def _stop(stop: Stop) -> tuple[object, ...]:
    return (
        stop.number, stop.subject, stop.commit, stop.failure, stop.seconds, stop.objects,
        stop.boots, len(stop.lost),
    )  # fmt: skip


def _mark(line: MetricWalk, mark: WalkPoint) -> tuple[object, ...]:
    return (
        line.cell, line.backend, line.workload, line.metric, line.unit, line.direction, line.base,
        mark.median, mark.since, *_verdict(mark.own), *_verdict(mark.whole),
    )  # fmt: skip


def _verdict(one: Verdict) -> tuple[object, ...]:
    change = one.change
    return (
        change.n, change.estimate_pct, change.low_pct, change.high_pct, change.method, one.kind,
        one.reason,
    )  # fmt: skip
