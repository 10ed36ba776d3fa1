# SPDX-License-Identifier: GPL-2.0-only
"""What a comparison came to, as rows of the history; and what a night comes to, as a status."""

from __future__ import annotations

from collections.abc import Iterable

from harness.report.model import Estimate, Report
from harness.studies.nightly.store import StoredEstimate
from harness.util.errors import Exit

# What was found goes before what hindered looking; a crash before everything.
_GRAVEST = (
    Exit.KERNEL, Exit.WORSE, Exit.INFRA, Exit.USER, Exit.INTERRUPTED, Exit.UNDECIDED, Exit.OK,
)  # fmt: skip


def estimates(report: Report, *, night: int, key: str, arm: str = "") -> list[StoredEstimate]:
    """Primary and secondary metrics; a primary one without any pair has no figures.

    The name of an arm ends that of its cells, as it does the folder's: arms are lines of their own.
    """
    end = f"-{arm}" if arm else ""
    found = [
        _estimate(row, f"{row.cell}{end}", night, key)
        for part in report.parts
        for row in (*part.primary, *part.secondary)
    ]
    for part in report.parts:
        for backend, metric in part.unmeasured:
            cell = f"{backend}.{part.workload}{end}"
            why = "no complete pair of boots has it"
            found.append(
                StoredEstimate(
                    night, key, cell, metric, "primary", backend, part.workload, "", "", None,
                    None, None, 0, None, None, None, "none", why, None, None,
                )
            )  # fmt: skip
    return found


def failures(report: Report) -> list[tuple[str, str, str]]:
    """The boots that do not count: place, kind and detail of each."""
    return [
        (f"{one.cell} {one.pair:02d}-{one.arm}", one.outcome, one.detail) for one in report.failures
    ]


def gravest(statuses: Iterable[int]) -> Exit:
    """The status of several together; OK for none."""
    there = {Exit(one) for one in statuses}
    return next((one for one in _GRAVEST if one in there), Exit.OK)


def _estimate(row: Estimate, cell: str, night: int, key: str) -> StoredEstimate:
    verdict, change = row.verdict, row.change
    return StoredEstimate(
        night=night,
        key=key,
        cell=cell,
        metric=row.name,
        role=row.role,
        backend=row.backend,
        workload=row.workload,
        unit=row.unit,
        direction=row.direction,
        margin_pct=verdict.margin_pct if verdict else None,
        base_median=row.base.median,
        patch_median=row.patch.median,
        n=change.n,
        estimate_pct=change.estimate_pct,
        low_pct=change.low_pct,
        high_pct=change.high_pct,
        verdict=str(verdict.kind) if verdict else "",
        reason=verdict.reason if verdict else "",
        more=verdict.more if verdict else None,
        detectable_pct=row.noise.detectable_pct if row.noise else None,
        aa_change_pct=row.noise.change.estimate_pct if row.noise else None,
    )
