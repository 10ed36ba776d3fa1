# SPDX-License-Identifier: GPL-2.0-only
"""A results folder -> everything that the overhead report says, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report.facts import doubts
from harness.results import frames, pairing
from harness.results import manifest as manifests
from harness.results.manifest import UNKNOWN, Manifest
from harness.stats import fit
from harness.stats.crossover import Crossover, measured, stepped, straight
from harness.stats.fit import Fit, FitPoint
from harness.studies.overhead import claim as claims
from harness.studies.overhead import kernels, projection, sites, snapshot
from harness.studies.overhead.claim import Claim
from harness.studies.overhead.kernels import KnownBytes, ModelledKernel
from harness.studies.overhead.model import ALONE
from harness.studies.overhead.projection import Growing, KernelOverhead, UsageRow
from harness.studies.overhead.sites import Rules
from harness.studies.overhead.snapshot import FILLED, SWAPON, Boot
from harness.util.errors import UserError

WORKLOAD = "overhead"
# The rest of its parameters is the area's, which the tables name.
_FILL = ("bytes", "steps", "content", "chunk", "fragment", "seed")
PROJECTED = 32 << 30
"""Size of the swap area that figures are projected to where no claim names one, in bytes."""
GROWING = 0.01
"""Bytes an entry from which on a site that no rule names is listed."""
_ERRORS = 3.0


@dataclass(frozen=True, slots=True)
class FoundWeight:
    """A weight of a calibration series. measured: patch less base, in the weight's unit."""

    weight: KnownBytes
    backend: str
    measured: fit.Value | None
    holds: bool | None


@dataclass(frozen=True, slots=True)
class BackendOverhead:
    """One back-end: both kernels, the projected rows, and where the new one becomes dearer.

    slots: usable slots of the projected size
    crossovers: by "claimed", "modelled" (claim's terms), "rounded" (all terms as allocated),
        "measured" (claim's terms) and "measured, all"; absent where there is none
    """

    name: str
    kind: str
    sides: Mapping[str, KernelOverhead]
    slots: int
    rows: tuple[UsageRow, ...]
    crossovers: Mapping[str, Crossover]
    known: tuple[FoundWeight, ...]

    def total(self, arm: str) -> Fit | None:
        """The fit of all metadata of one kernel."""
        side = self.sides.get(arm)
        return side.total if side else None

    @property
    def comparable(self) -> bool:
        """Both kernels are there and measured by the same means."""
        return len(self.sides) == 2 and len({s.has_allocinfo for s in self.sides.values()}) == 1


@dataclass(frozen=True, slots=True)
class Overhead:
    """A whole report. projected: bytes of the swap area of `Backend.rows`.

    parameters: how the areas were filled, as "bytes=268435456, ..."
    failed: boots that do not count, one sentence each; notes: what was missing in others
    doubts: why the patches may not be what was meant
    """

    name: str
    command: str
    parameters: str
    kernels: Mapping[str, ModelledKernel]
    claim: Claim | None
    claim_fits: bool
    projected: int
    backends: tuple[BackendOverhead, ...]
    rules: Rules
    failed: tuple[str, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()


class NoBoot(UserError):
    """No boot of the overhead workload counts: there is nothing to analyse."""


def analyse(results: Path) -> Overhead:
    """Read results/<name>, runs nothing. NoBoot if no boot of the overhead workload counts."""
    data = frames.load(results, counters=False)  # the snapshots are read apart
    manifest = manifests.load(results)
    rules = sites.load()
    boots, failed = _boots(results, data, rules)
    known = kernels.of(manifest, boots)
    found = claims.for_series(known["patch"].series) if "patch" in known else None
    names = list(dict.fromkeys(boot.backend for boot in boots))
    size = found.swap_bytes if found else PROJECTED
    return Overhead(
        name=_name(manifest, results),
        command=manifest.command,
        parameters=", ".join(
            f"{key}={manifest.workload(WORKLOAD).effective.get(key, UNKNOWN)}" for key in _FILL
        ),
        kernels=known,
        claim=found,
        claim_fits=bool(found) and _fits(found, known),
        projected=size,
        backends=tuple(
            _backend(name, [b for b in boots if b.backend == name], known, found, size, rules)
            for name in sorted(names)
        ),
        rules=rules,
        failed=tuple(failed),
        notes=tuple(
            f"{boot.cell} {boot.pair:02d}-{boot.arm}: {note}"
            for boot in boots
            for note in boot.notes
        )
        + _unmeasured(manifest),
        doubts=doubts(manifest),
    )


def _unmeasured(manifest: Manifest) -> tuple[str, ...]:
    """The cells that were left out, or run on one kernel alone, each with its reason."""
    return (
        *(f"{one.cell} is left out: {one.reason}" for one in manifest.skipped),
        *(f"{one.cell} is measured on one kernel alone: {one.reason}" for one in manifest.halves),
    )


def _name(manifest: Manifest, results: Path) -> str:
    return results.resolve().name if manifest.name == UNKNOWN else manifest.name


def _fits(claim: Claim | None, known: Mapping[str, ModelledKernel]) -> bool:
    """Whether the two kernels are those that the claim is about."""
    models = [kernel.model for kernel in known.values()]
    return claim is not None and [m.name for m in models if m] == [
        claim.models.old,
        claim.models.new,
    ]


def _boots(results: Path, data: frames.Frames, rules: Rules) -> tuple[list[Boot], list[str]]:
    boots, failed = [], []
    for row in pairing.rows(data.boots):
        if row.workload != WORKLOAD or row.arm not in frames.ARMS:
            continue
        where = f"{row.cell} {row.pair:02d}-{row.arm}"
        folder = results / "boots" / str(row.cell) / f"{row.pair:02d}-{row.arm}"
        boot = snapshot.read(folder, rules) if row.usable else None
        if boot is None or (boot.slots <= 0 and boot.kind != ALONE):
            reason = f"{row.outcome}: {row.detail}" if not row.usable else "no snapshot of use"
            failed.append(f"{where}: {reason}".rstrip(": "))
        else:
            boots.append(boot)
    if not boots:
        why = f": {failed[0]}" if failed else ""
        raise NoBoot(f"{results} has no boot of the {WORKLOAD} workload that counts{why}")
    return boots, failed


def _backend(
    name: str,
    boots: Sequence[Boot],
    known: Mapping[str, ModelledKernel],
    claim: Claim | None,
    size: int,
    rules: Rules,
) -> BackendOverhead:
    kind = boots[0].kind
    sides = {
        arm: _side(known[arm], kind, [b for b in boots if b.arm == arm], claim, rules)
        for arm in frames.ARMS
        if any(b.arm == arm for b in boots)
    }
    slots = size // snapshot.PAGE - 1
    return BackendOverhead(
        name=name,
        kind=kind,
        sides=sides,
        slots=slots,
        rows=projection.rows(kind, slots, sides, claim),
        crossovers=_crossovers(kind, slots, sides, claim),
        known=_known(sides, name),
    )


def _fit(
    boots: Sequence[Boot],
    names: Sequence[str],
    of: str = "structures",
    stages: Sequence[str] = (SWAPON, FILLED),
) -> Fit | None:
    """The line of what all these names take together; ``of`` is as in `Boot.change`.

    One point a snapshot at which the swap area is on and filled from the left.  What a page costs
    is taken from areas that were filled, if there are any: what is projected is a full area, and
    trees take more for each page of a sparse one.
    """
    filled = {boot.slots for boot in boots if projection.usage(boot) >= projection.FULL}
    return fit.line(
        [
            FitPoint(
                f"{boot.cell}/{boot.pair}",
                boot.slots,
                one.pages,
                sum(boot.change(one, name, of) for name in names),
            )
            for boot in boots
            for one in boot.snapshots
            if one.stage in stages and (one.pages == 0 or not filled or boot.slots in filled)
        ]
    )


def _side(
    kernel: ModelledKernel, kind: str, boots: Sequence[Boot], claim: Claim | None, rules: Rules
) -> KernelOverhead:
    metadata = rules.of_kind("metadata")
    changed = [
        name
        for name in metadata
        if any(boot.change(one, name) for boot in boots for one in boot.snapshots)
    ]
    fits = {name: found for name in changed if (found := _fit(boots, [name]))}
    model = kernel.model
    counted = model.sites(kind, claim=True) if model and claim else frozenset()
    expected = model.sites(kind) if model else frozenset()
    return KernelOverhead(
        kernel=kernel,
        boots=tuple(boots),
        fits=fits,
        total=_fit(boots, metadata),
        claimed=_fit(boots, sorted(counted)) if counted else None,
        static=projection.static(kind, boots, changed, model),
        levels=projection.levels(kind, boots, metadata, model),
        growing=_growing(boots),
        methods=projection.methods(boots, metadata) if all(b.has_allocinfo for b in boots) else (),
        missing=tuple(sorted(expected - set(changed))),
        unmodelled=tuple(n for n in fits if model and n not in expected),
        sparse=projection.sparse(boots, fits),
    )


def _growing(boots: Sequence[Boot]) -> tuple[Growing, ...]:
    names = {name for boot in boots for one in boot.snapshots for name in one.unnamed}
    found = []
    for name in sorted(names):
        # Not from swapon on: there the process that fills does not exist yet.
        line = _fit(boots, [name], "unnamed", (FILLED,))
        if line is None or line.per_entry.value <= GROWING:
            continue
        value = line.per_entry
        if value.error is None or value.value > _ERRORS * value.error:
            found.append(Growing(name, value))
    return tuple(sorted(found, key=lambda one: -one.per_entry.value))


def _crossovers(
    kind: str, slots: int, sides: Mapping[str, KernelOverhead], claim: Claim | None
) -> dict[str, Crossover]:
    if set(sides) != set(frames.ARMS):
        return {}
    old, new = sides["base"], sides["patch"]
    found: dict[str, Crossover] = {}
    said = claim.crossover(kind) if claim else None
    if said:
        found["claimed"] = said
    first, second = old.kernel.model, new.kernel.model
    if first and second:
        ends = [
            second.plain(kind, slots + 1, e, claim=True)
            - first.plain(kind, slots + 1, e, claim=True)
            for e in (0, slots + 1)
        ]
        if said:
            found["modelled"] = straight(ends[0], ends[1] - ends[0])
        found["rounded"] = stepped(
            slots, lambda e: second.rounded(kind, slots, e) - first.rounded(kind, slots, e)
        )
    if old.has_allocinfo != new.has_allocinfo:
        return found
    if old.claimed and new.claimed:
        found["measured"] = measured(old.claimed, new.claimed, slots)
    if old.total and new.total:
        found["measured, all"] = measured(old.total, new.total, slots)
    return found


def _known(sides: Mapping[str, KernelOverhead], name: str) -> tuple[FoundWeight, ...]:
    """The weights of the patched kernel against what was measured at their sites."""
    if set(sides) != set(frames.ARMS):
        return ()
    found = []
    for weight in sides["patch"].kernel.weights:
        values = [_at_site(sides[arm].boots, weight) for arm in frames.ARMS]
        value = None
        if values[0] and values[1]:
            value = projection.difference(values[1], values[0])
        holds = None if value is None else weight.holds(value)
        found.append(FoundWeight(weight, name, value, holds))
    return tuple(found)


def _at_site(boots: Sequence[Boot], weight: KnownBytes) -> fit.Value | None:
    if not all(boot.has_allocinfo for boot in boots):
        return None
    line = _fit(boots, [weight.site], "sites")
    if line is None:
        return None
    return line.per_slot if weight.per == "slot" else line.per_entry
