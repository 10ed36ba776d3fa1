# SPDX-License-Identifier: GPL-2.0-only
"""Claimed, modelled and measured side by side; the static part, what stays, and the method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.stats.fit import MATERIAL, Fit, Value
from harness.studies.overhead.claim import Claim
from harness.studies.overhead.kernels import ModelledKernel
from harness.studies.overhead.model import MetadataModel
from harness.studies.overhead.snapshot import FILLED, FRAGMENTED, PAGE, SWAPON, Boot, Snapshot

USAGES = (0.0, 25.0, 50.0, 75.0, 100.0)
FULL = 0.35
"""Share of its slots from which on an area counts as one that was filled."""
# A figure within this part of the claim is not called outside, however narrow the interval.
_NEAR = 1e-3


@dataclass(frozen=True, slots=True)
class ArmUsage:
    """One kernel at one usage, bytes; None where there is none.

    claimed: the published figure; plain: the model's claim terms, multiplied
    rounded: the model's claim terms as they are allocated; measured: the same, from the fit
    rounded_all, measured_all: the same with all metadata
    outside: the published figure lies outside the prediction interval of `measured`
    unlike: `rounded_all`, with what no term models, lies outside that of `measured_all`
    """

    claimed: float | None
    plain: float | None
    rounded: float | None
    measured: Value | None
    rounded_all: float | None
    measured_all: Value | None
    outside: bool | None
    unlike: bool | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One usage of the projected swap area, by arm."""

    usage: float
    entries: int
    cells: Mapping[str, ArmUsage]


@dataclass(frozen=True, slots=True)
class Static:
    """A structure at `swapon`, before the first page: bytes a slot, mean over boots of a size.

    modelled: as allocated, bytes a slot; None without a model; deviation: measured against it, %
    """

    structure: str
    label: str
    slots: int
    boots: int
    measured: float
    modelled: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Level:
    """All metadata at one mark, mean over the boots of a size. Bytes since `before`.

    residual: what nothing explains, the largest of all boots by size, with its sign
    used: the change of MemTotal - MemFree; slack: room in slab pages, its change
    largest: the structure with most bytes
    """

    label: str
    mark: str
    stage: str
    slots: int
    pages: float
    boots: int
    metadata: float
    modelled: float | None
    largest: str
    used: float
    residual: float
    slack: float

    @property
    def residual_pct(self) -> float | None:
        """The residual in per cent of the metadata; None where there is next to none."""
        return 100 * self.residual / self.metadata if self.metadata >= 1 << 20 else None

    @property
    def residual_of_all(self) -> float | None:
        """The residual in per cent of all memory taken; None without pages in swap."""
        return 100 * self.residual / self.used if self.pages and self.used > 0 else None


@dataclass(frozen=True, slots=True)
class Sparse:
    """A structure in a sparse area, where it departs most from the line; bytes above the empty."""

    structure: str
    label: str
    pages: int
    measured: float
    line: float


@dataclass(frozen=True, slots=True)
class Method:
    """A structure by allocinfo and by the stand-in: bytes since `before` at the fullest mark of the
    largest area.

    error: of the stand-in in per cent; None where allocinfo has nothing
    """

    structure: str
    allocinfo: float
    standin: float
    error: float | None


@dataclass(frozen=True, slots=True)
class Growing:
    """A site that no rule names and that grows with the fill. per_entry: bytes a page in swap."""

    site: str
    per_entry: Value


@dataclass(frozen=True, slots=True)
class KernelOverhead:
    """One kernel on one back-end.

    fits: by structure, those of kind metadata that ever changed; total: their sum
    claimed: the sum of the structures that the claim counts; None without a claim or a model
    sparse: structures that take more or less in a sparse area than by the line of a filled one
    missing: structures of the model that were never seen, and that it says to be there
    unmodelled: structures that were seen to grow and are in no term of the model
    """

    kernel: ModelledKernel
    boots: tuple[Boot, ...]
    fits: Mapping[str, Fit]
    total: Fit | None
    claimed: Fit | None
    static: tuple[Static, ...]
    levels: tuple[Level, ...]
    growing: tuple[Growing, ...]
    methods: tuple[Method, ...]
    missing: tuple[str, ...]
    unmodelled: tuple[str, ...]
    sparse: tuple[Sparse, ...] = ()

    @property
    def has_allocinfo(self) -> bool:
        """Whether all boots could name their allocation sites."""
        return all(boot.has_allocinfo for boot in self.boots)


def rows(
    kind: str, slots: int, sides: Mapping[str, KernelOverhead], claim: Claim | None
) -> tuple[UsageRow, ...]:
    """The projected table of a back-end: the claim's usages, or 0 to 100 %."""
    said = {row.usage: row for row in claim.of(kind)} if claim else {}
    found = []
    for usage in sorted(said) or USAGES:
        row = said.get(usage)
        entries = row.entries if row else round((slots + 1) * usage / 100)
        values = {"base": row.old, "patch": row.new} if row else {}
        tolerance = claim.tolerance if claim else 0.0
        cells = {
            arm: _cell(kind, slots, entries, side, values.get(arm), tolerance)
            for arm, side in sides.items()
        }
        found.append(UsageRow(usage, entries, cells))
    return tuple(found)


def _cell(
    kind: str,
    slots: int,
    entries: int,
    side: KernelOverhead,
    claimed: float | None,
    tolerance: float,
) -> ArmUsage:
    model = side.kernel.model
    # The header's slot cannot be filled; a claim does not go into that.
    fill = min(entries, slots)
    measured = side.claimed.predict(slots, entries) if side.claimed else None
    rounded_all = model.rounded(kind, slots, fill) if model else None
    measured_all = side.total.predict(slots, entries) if side.total else None
    # What was measured and is in no term of the model.
    other = (side.fits[name] for name in side.unmodelled)
    beside = math.fsum(one.predict(slots, entries).value for one in other)
    return ArmUsage(
        claimed=claimed,
        plain=model.plain(kind, slots + 1, entries, claim=True) if model else None,
        rounded=model.rounded(kind, slots, fill, claim=True) if model else None,
        measured=measured,
        rounded_all=rounded_all,
        measured_all=measured_all,
        outside=_outside(claimed, measured, tolerance),
        unlike=_outside(
            None if rounded_all is None else rounded_all + beside,
            measured_all,
            MATERIAL * (rounded_all or 0.0),
        ),
    )


def _outside(claimed: float | None, measured: Value | None, tolerance: float) -> bool | None:
    if claimed is None or measured is None or measured.low is None or measured.high is None:
        return None
    room = max(tolerance, _NEAR * abs(claimed))
    return not measured.low - room <= claimed <= measured.high + room


def static(
    kind: str, boots: Sequence[Boot], names: Sequence[str], model: MetadataModel | None
) -> tuple[Static, ...]:
    """The static part by structure, for each size of the swap area (not without), largest first."""
    found = []
    for label, same in _by_label(boots):
        slots = same[0].slots
        if slots == 0:
            continue
        modelled = model.by_site(kind, slots, 0) if model else {}
        for name in names:
            marks = [(boot, one) for boot in same if (one := boot.at(SWAPON))]
            changes = [boot.change(one, name) for boot, one in marks]
            if not changes or not (any(changes) or modelled.get(name)):
                continue
            value = math.fsum(changes) / len(changes) / slots
            said = modelled.get(name, 0.0) / slots if model else None
            off = 100 * (value / said - 1) if said else None
            found.append(Static(name, label, slots, len(changes), value, said, off))
    return tuple(sorted(found, key=lambda one: (one.slots, -one.measured, one.structure)))


def levels(
    kind: str, boots: Sequence[Boot], names: Sequence[str], model: MetadataModel | None
) -> tuple[Level, ...]:
    """All metadata at each mark, for each size of the swap area, in the order of the marks."""
    found = []
    for label, same in _by_label(boots):
        longest = max(same, key=lambda boot: len(boot.snapshots))
        for order in range(1, len(longest.snapshots)):
            marks = [(b, b.snapshots[order]) for b in same if len(b.snapshots) > order]
            found.append(_level(kind, label, marks, names, model))
    return tuple(found)


def _level(
    kind: str,
    label: str,
    marks: Sequence[tuple[Boot, Snapshot]],
    names: Sequence[str],
    model: MetadataModel | None,
) -> Level:
    boot, one = marks[0]
    sums = {name: math.fsum(b.change(s, name) for b, s in marks) for name in names}
    pages = math.fsum(s.pages for _, s in marks) / len(marks)
    touched = round(math.fsum(s.touched for _, s in marks) / len(marks))
    modelled = None
    if model and one.stage in (SWAPON, FILLED, FRAGMENTED):
        modelled = model.rounded(kind, boot.slots, round(pages), touched=touched)
    return Level(
        label=label,
        mark=one.label,
        stage=one.stage,
        slots=boot.slots,
        pages=pages,
        boots=len(marks),
        metadata=math.fsum(sums.values()) / len(marks),
        modelled=modelled,
        largest=max(sums, key=lambda name: sums[name]) if any(sums.values()) else "",
        used=math.fsum(s.used - b.snapshots[0].used for b, s in marks) / len(marks),
        residual=max((b.residual(s) for b, s in marks), key=abs),
        slack=math.fsum(s.slack - b.snapshots[0].slack for b, s in marks) / len(marks),
    )


def usage(boot: Boot) -> float:
    """The share of a boot's slots that was filled at most; 0 without an area."""
    pages = max((one.pages for one in boot.snapshots if one.stage == FILLED), default=0)
    return pages / boot.slots if boot.slots else 0.0


def sparse(boots: Sequence[Boot], fits: Mapping[str, Fit]) -> tuple[Sparse, ...]:
    """By structure the largest departure of a sparse area from the line of the filled ones.

    What the empty area takes is left out: that is rounded at each size in its own way.
    """
    if not any(usage(boot) >= FULL for boot in boots):
        return ()
    found = []
    for name, line in fits.items():
        each = (
            Sparse(name, boot.label, one.pages, boot.change(one, name) - boot.change(empty, name),
                   line.predict(boot.slots, one.pages).value - line.predict(boot.slots, 0).value)
            for boot in boots
            if usage(boot) < FULL and (empty := boot.at(SWAPON))
            for one in boot.snapshots
            if one.stage == FILLED and one.pages
        )  # fmt: skip
        worst = max(each, key=lambda one: abs(one.measured - one.line), default=None)
        if worst and abs(worst.measured - worst.line) > max(
            MATERIAL * line.per_entry.value * worst.pages, PAGE
        ):
            found.append(worst)
    return tuple(found)


def methods(boots: Sequence[Boot], names: Sequence[str]) -> tuple[Method, ...]:
    """allocinfo against the stand-in at the fullest mark of the largest area; all of it last."""
    sums: dict[str, list[float]] = {}
    boots = [boot for boot in boots if boot.slots == max(one.slots for one in boots)]
    for boot in boots:
        full = boot.at(FILLED)
        if full is None:
            continue
        for name in names:
            both = sums.setdefault(name, [0.0, 0.0])
            both[0] += boot.change(full, name)
            both[1] += boot.change(full, name, "standin")
    found = [_method(n, both[0], both[1], len(boots)) for n, both in sums.items() if any(both)]
    whole = [math.fsum(both[i] for both in sums.values()) for i in (0, 1)]
    found.sort(key=lambda one: -abs(one.allocinfo))
    return (*found, _method("all metadata", whole[0], whole[1], len(boots))) if found else ()


def _method(name: str, allocinfo: float, standin: float, boots: int) -> Method:
    error = 100 * (standin / allocinfo - 1) if allocinfo else None
    return Method(name, allocinfo / boots, standin / boots, error)


def difference(new: Value, old: Value) -> Value:
    """new - old, with independent errors; the wider of the two t factors."""
    value = new.value - old.value
    if new.error is None or old.error is None or new.high is None or old.high is None:
        return Value(value)
    error = math.hypot(new.error, old.error)
    factors = [(v.high - v.value) / v.error for v in (new, old) if v.error and v.high is not None]
    half = max(factors, default=0.0) * error
    return Value(value, error, value - half, value + half)


def _by_label(boots: Sequence[Boot]) -> list[tuple[str, list[Boot]]]:
    sizes = {boot.label: boot.slots for boot in boots}
    return [
        (label, [boot for boot in boots if boot.label == label])
        for label in sorted(sizes, key=lambda name: (sizes[name], name))
    ]
