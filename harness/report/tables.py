# SPDX-License-Identifier: GPL-2.0-only
"""metrics.csv (one value a boot) and estimates.csv (one row a comparison)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence

from harness.report.model import Estimate, Report
from harness.results import pairing
from harness.results.frames import Frames

_PIECE = 5000
_METRICS = (
    "cell", "backend", "workload", "arm", "pair", "outcome", "used", "name", "value", "unit",
)  # fmt: skip
_ESTIMATES = (
    "role", "cell", "backend", "workload", "name", "phase", "unit", "clock", "direction",
    "n", "dropped", "base_median", "base_spread_pct", "patch_median", "patch_spread_pct",
    "spread_kind", "change_pct", "low_pct", "high_pct", "coverage", "p", "q", "method",
    "mean_low_pct", "mean_high_pct", "verdict", "reason", "more_pairs", "margin_pct",
    "narrow_low_pct", "narrow_high_pct", "aa_n", "aa_change_pct", "aa_low_pct", "aa_high_pct",
    "aa_cv_pct", "detectable_pct",
)  # fmt: skip


def metrics(data: Frames) -> Iterator[str]:
    """metrics.csv in pieces: every metric of every boot, of failed ones too.

    `used`: the boot is half of a pair that counts.
    """
    counted = pairing.counted(data.boots)
    boots = {
        (b.cell, b.pair, b.arm): (b.outcome, int(counted.holds((b.cell, b.pair, b.arm))))
        for b in pairing.rows(data.boots)
    }
    return _csv(
        _METRICS,
        (
            (
                m.cell, m.backend, m.workload, m.arm, m.pair, *boots[m.cell, m.pair, m.arm],
                m.name, m.value, m.unit,
            )
            for m in pairing.rows(data.metrics)
        ),
    )  # fmt: skip


def estimates(report: Report) -> str:
    """Every comparison of the report, counters that moved included."""
    rows = [
        (
            row.role, row.cell, row.backend, row.workload, row.name, row.phase, row.data_unit,
            report.clock, row.direction, row.change.n, row.change.dropped, row.base.median,
            row.base.percent, row.patch.median, row.patch.percent, row.base.kind,
            row.change.estimate_pct, row.change.low_pct, row.change.high_pct,
            row.change.coverage, row.change.p, row.q, row.change.method,
            *(row.change.beside or (None, None)), *_verdict(row), *_noise(row),
        )
        for row in report.rows
    ]  # fmt: skip
    return "".join(_csv(_ESTIMATES, rows))


def _verdict(row: Estimate) -> tuple[object, ...]:
    one = row.verdict
    if one is None:
        return (None,) * 6
    narrow = one.narrow
    return (one.kind, one.reason, one.more, one.margin_pct, narrow.low_pct, narrow.high_pct)


def _noise(row: Estimate) -> tuple[object, ...]:
    noise = row.noise
    if noise is None:
        return (None,) * 6
    aa = noise.change
    return (aa.n, aa.estimate_pct, aa.low_pct, aa.high_pct, noise.cv_pct, noise.detectable_pct)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The table in pieces of some thousand rows: a large result has millions."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for number, row in enumerate(rows, 1):
        writer.writerow([_cell(value) for value in row])
        if number % _PIECE == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _cell(value: object) -> str:
    """Ten digits are more than any of the numbers has; absent is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
