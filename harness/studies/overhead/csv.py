# SPDX-License-Identifier: GPL-2.0-only
"""overhead.csv: one row a boot, mark and structure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.table import sheet
from harness.studies.overhead.analysis import Overhead
from harness.studies.overhead.model import Model
from harness.studies.overhead.sites import Rules
from harness.studies.overhead.snapshot import FILLED, FRAGMENTED, SWAPON, UNNAMED, Boot, Snapshot

COLUMNS = (
    "cell", "backend", "kind", "arm", "pair", "order", "mark", "slots", "pages", "structure",
    "structure_kind", "source", "bytes", "change", "standin", "modelled",
)  # fmt: skip


def render(report: Overhead) -> str:
    """All structures of all snapshots, in bytes; `change` is since the boot's first mark.

    Beside the structures: "unnamed", and of the whole machine "(used)", "(explained)",
    "(residual)" and "(slack)".
    """
    return sheet(
        COLUMNS,
        (
            row
            for backend in report.backends
            for side in backend.sides.values()
            for boot in side.boots
            for one in boot.snapshots
            for row in _rows(boot, one, side.kernel.model, report.rules)
        ),
    )


def _rows(
    boot: Boot, one: Snapshot, model: Model | None, rules: Rules
) -> Iterator[tuple[object, ...]]:
    head = (
        boot.cell, boot.backend, boot.kind, boot.arm, boot.pair, one.order, one.label, boot.slots,
        one.pages,
    )  # fmt: skip
    source = "allocinfo" if boot.has_allocinfo else "standin"
    modelled = {}
    if model and one.stage in (SWAPON, FILLED, FRAGMENTED):
        modelled = dict(model.by_site(boot.kind, boot.slots, one.pages, touched=one.touched))
    names = [*rules.structures, UNNAMED]
    for name in names:
        ever = any(s.structures.get(name) or s.standin.get(name) for s in boot.snapshots)
        if ever or name in modelled:
            said = f"{modelled[name]:.10g}" if name in modelled else ""
            yield (
                *head, name, rules.kind(name), source, one.structures.get(name, 0),
                boot.change(one, name), one.standin.get(name, 0), said,
            )  # fmt: skip
    first = boot.snapshots[0]
    whole = (
        ("(used)", one.used, one.used - first.used),
        ("(explained)", one.explained, one.explained - first.explained),
        ("(residual)", "", boot.residual(one)),
        ("(slack)", one.slack, one.slack - first.slack),
    )
    for name, value, change in whole:
        yield (*head, name, "machine", "meminfo", value, change, "", "")
