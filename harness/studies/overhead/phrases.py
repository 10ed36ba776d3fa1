# SPDX-License-Identifier: GPL-2.0-only
"""The sentences of the report: the same in text and page."""

from __future__ import annotations

from collections.abc import Iterator

from harness.stats import crossover
from harness.stats.crossover import Crossover
from harness.stats.fit import Fit, Value
from harness.studies.overhead import projection
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.overhead.model import ALONE
from harness.studies.overhead.projection import FULL, KernelOverhead, Level, usage
from harness.studies.overhead.snapshot import EXITED, FRAGMENTED, SPARSE, SWAPOFF

# A structure with less than this share of the largest difference is left out of the sentence.
_SMALL = 0.02
_CROSSED = {
    "claimed": "claimed",
    "modelled": "modelled, the claim's terms multiplied",
    "rounded": "modelled, all metadata as it is allocated",
    "measured": "measured, the claim's terms",
    "measured, all": "measured, all metadata",
}

STAYS = {
    FRAGMENTED: "1/2 freed",
    SPARSE: "511/512 freed",
    EXITED: "exit",
    SWAPOFF: "swapoff",
}
"""The marks after pages were freed: some of them, all by the process's exit, the area itself."""

METHOD = (
    "Figures are the bytes that a kernel holds more than at the mark 'before', when no swap area "
    "was set up. 1 MiB = 1048576 bytes.",
    "The fit is bytes = const + per slot * slots + first + per entry * pages in swap, by least "
    "squares over the snapshots of a back-end and kernel; 'first' is what the first page "
    "allocates. An entry is a page in swap. Snapshots of one boot depend on each other, so the "
    "boot is the unit: standard errors (s.e.) come from leaving out one boot at a time (cluster "
    "jackknife), intervals from t with boots - 1 degrees of freedom. '-': too few boots.",
    "The interval of a projected figure is a prediction interval. It assumes that the line holds: "
    "it does not cover a curve or a step outside the measured range. '*' marks a structure that "
    "does not follow a line.",
    "'!' marks a claimed figure outside the measured interval by more than half of its last digit "
    "and 0.1 %; '?' a modelled one by more than 1 %.",
    "'Model' multiplies the claim's terms, as a cover letter does. 'Allocated' rounds them as the "
    "kernel's allocators do: size classes, whole pages and their pointers, whole clusters, tree "
    "nodes. Both come from kernels/models.",
    "The residual is the part of the change of MemTotal - MemFree that /proc/allocinfo (less the "
    "slab objects that it counts twice), what profiling itself keeps of slab objects, and the "
    "free pages on per-CPU lists (/proc/zoneinfo) do not explain: allocations without a tag. "
    "Metadata as large as the residual may be missing here. Of several boots the largest "
    "residual is shown.",
    "Slab objects are counted, not their pages: freed objects may leave their pages to the cache.",
    "Up to 6.17 the swap cache keeps a shadow entry in xarray_nodes for each page that was swapped "
    "out. The kernel can reclaim those under pressure; nothing calls its shrinker here, so they "
    "are an upper bound.",
)


def mib(value: float | None) -> str:
    """Bytes as MiB with two decimals; "-" for None."""
    if value is None:
        return "-"
    text = f"{value / (1 << 20):.2f}"
    return "0.00" if text == "-0.00" else text


def gained(value: float | None) -> str:
    """A difference of bytes in MiB, with its sign; "-" for None."""
    return "-" if value is None else f"{value / (1 << 20):+.2f}"


def amount(value: float) -> str:
    """Bytes in MiB, or as they are where two decimals of a MiB would show nothing."""
    return f"{value:.0f} bytes" if abs(value) < 5243 else f"{mib(value)} MiB"


def span(value: Value | None) -> str:
    """The interval of bytes in MiB; "-" if there is none."""
    if value is None or value.low is None or value.high is None:
        return "-"
    return f"[{mib(value.low)}, {mib(value.high)}]"


def weight(value: float | None) -> str:
    """Bytes a slot or entry: three decimals, two digits of what is smaller."""
    if value is None:
        return "-"
    if abs(value) < 5e-7:
        return "0"  # what least squares leaves of nothing
    if abs(value) < 0.0005:
        return f"{value:.1e}"
    return f"{value:.3f}"


def percent(value: float | None) -> str:
    """A signed per cent with one decimal; "-" for None."""
    if value is None:
        return "-"
    return f"{value:+.1f}%" if abs(value) >= 0.05 else "0.0%"


def title(report: Overhead) -> str:
    """What was compared."""
    kernels = [report.kernels[arm] for arm in ("patch", "base") if arm in report.kernels]
    names = " against ".join(f"{k.series} on {k.name}" if k.series else k.name for k in kernels)
    return f"Memory overhead of swap metadata: {names}"


def warnings(report: Overhead) -> Iterator[str]:
    """What a reader must know before the figures, failures first."""
    if report.failed:
        count = len(report.failed)
        said = "1 boot does not count" if count == 1 else f"{count} boots do not count, e.g."
        yield f"{said}{':' if count == 1 else ''} {report.failed[0]}"
    yield from report.doubts
    for backend in report.backends:
        yield from (f"{backend.name}: {line}" for line, fails in _weights(backend) if fails)
    for backend in report.backends:
        outside = [
            f"{arm} at {row.usage:g} %"
            for row in backend.rows
            for arm, cell in row.cells.items()
            if cell.outside
        ]
        if outside:
            yield (
                f"{backend.name}: the claim lies outside the measured interval for "
                f"{', '.join(outside)}"
            )
    if report.claim and not report.claim_fits:
        models = report.claim.models
        yield (
            f"The claim is about {models.old} and {models.new}, which are not the two kernels here."
        )
    for backend in report.backends:
        full = backend.rows[-1]
        off = [f"{a} {mib(c.rounded_all)} MiB" for a, c in full.cells.items() if c.unlike]
        if off:
            yield (
                f"{backend.name}: the model gives {', '.join(off)}, outside the measured interval: "
                "check which is right before you quote either"
            )


def difference(backend: BackendOverhead, *ends: Value | None) -> Value | None:
    """patch - base as measured; None where there are not both, or by different means."""
    if len(ends) != 2 or ends[0] is None or ends[1] is None or not backend.comparable:
        return None
    return projection.difference(ends[1], ends[0])


def crossings(backend: BackendOverhead) -> Iterator[str]:
    """Where the patched kernel needs more memory than the base, by each method."""
    if backend.crossovers:
        yield (
            "Pages fill whole clusters here: the best case for a design that allocates by clusters."
        )
        yield from _scattered(backend)
    for key, one in backend.crossovers.items():
        yield f"{_CROSSED[key]}: {crossing(one)}"


def _scattered(backend: BackendOverhead) -> Iterator[str]:
    """What a page costs in each kernel where it is the only one left of its cluster."""
    each = {
        side.kernel.arm: max(found)
        for side in backend.sides.values()
        if (found := [kept(side, one) or 0.0 for one in side.levels if one.stage == SPARSE])
    }
    if len(each) == 2 and backend.comparable:
        said = ", ".join(f"{arm} {bytes_:.0f}" for arm, bytes_ in each.items())
        yield f"Bytes of metadata that the only page left of 512 keeps: {said}"


def kept(side: KernelOverhead, level: Level) -> float | None:
    """Bytes that each page left keeps beside the empty area; None where no page is left."""
    if level.stage not in (FRAGMENTED, SPARSE) or not level.pages:
        return None
    return (level.metadata - empty(side, level)) / level.pages


def empty(side: KernelOverhead, level: Level) -> float:
    """Bytes of all metadata of an area of that size before the first page."""
    return next(one for one in side.levels if one.label == level.label).metadata


def crossing(one: Crossover) -> str:
    """One crossover in words."""
    if one.kind == crossover.NEVER:
        return "patch never needs more, from 0 to 100 % used"
    if one.kind == crossover.ALWAYS:
        return "patch needs more from 0 to 100 % used"
    side = "below" if one.falls else "above"
    text = f"patch needs more {side} {one.usage:.1f} % used"
    if one.low is not None and one.high is not None:
        text += f" [{one.low:.1f}, {one.high:.1f}] ({one.method})"
    elif one.method:
        text += f" (no bounded interval; {one.method})"
    return text


def makers(backend: BackendOverhead) -> Iterator[str]:
    """Which structures make the difference, measured, in an empty and a full area."""
    if not backend.comparable:
        return
    for where, entries in (("empty", 0), ("full", backend.slots)):
        moved = _moved(backend, entries)
        big = [(n, v) for n, v in moved if abs(v) > _SMALL * max(abs(x) for _, x in moved)]
        if big:
            parts = ", ".join(f"{name} {gained(v)}" for name, v in big)
            total = gained(sum(value for _, value in moved))
            yield f"patch - base, swap area {where}: {total} MiB, of that {parts}"


def _moved(backend: BackendOverhead, entries: int) -> list[tuple[str, float]]:
    values: dict[str, float] = {}
    for arm, sign in (("base", -1), ("patch", 1)):
        for name, fit in backend.sides[arm].fits.items():
            bytes_ = fit.predict(backend.slots, entries).value
            values[name] = values.get(name, 0.0) + sign * bytes_
    return sorted(values.items(), key=lambda item: (-abs(item[1]), item[0]))


def reach(backend: BackendOverhead, side: KernelOverhead) -> str:
    """How far the projection goes beyond what was measured."""
    if side.total is None:
        return f"{side.kernel.arm}: fewer than two fill levels, so no fit"
    slots, entries = side.total.reach(backend.slots, backend.slots)
    area = "" if backend.kind == ALONE else f"{slots:.1f} times the largest area and "
    full = max(usage(boot) for boot in side.boots)
    basis = f"; the bytes an entry are those of areas filled to {full:.0%}" if full >= FULL else ""
    return (
        f"{side.kernel.arm}: {side.total.boots} boots, {side.total.points} snapshots; projected to "
        f"{area}{entries:.1f} times the most pages measured{basis}"
    )


def sparse(side: KernelOverhead) -> Iterator[str]:
    """Where a nearly empty area does not cost what the line of a filled one says."""
    for one in side.sparse:
        yield (
            f"{side.kernel.arm}: in a sparse area {one.structure} is off that line: "
            f"{one.label} with {one.pages} pages takes {one.measured / 1024:.0f} KiB more than "
            f"empty, the line says {one.line / 1024:.0f} KiB; the projection to low usage is off "
            "by as much"
        )


def shape(name: str, fit: Fit) -> Iterator[str]:
    """A structure that is no straight line, in words."""
    one = fit.shape
    if one.kind != "line":
        what = {
            "step": f"steps at {one.at} pages in swap",
            "curve": "is a curve",
            "other": f"departs from a line, most at {one.at} pages in swap",
        }[one.kind]
        yield f"{name} {what}: up to {one.worst / 1024:.0f} KiB from the line; do not project it"


def limits(backend: BackendOverhead) -> Iterator[str]:
    """What cannot be said with the boots at hand."""
    if len(backend.sides) == 2 and not backend.comparable:
        yield (
            "Base and patch are measured by different means, /proc/allocinfo and its stand-in: no "
            "measured difference is given; do not subtract one from the other."
        )
    cells = [
        cell for row in backend.rows for cell in row.cells.values() if cell.claimed is not None
    ]
    if any(cell.measured and cell.measured.low is None for cell in cells):
        yield (
            "The claim is not judged: too few boots for an interval. Two boots of each size give "
            "one."
        )
    fits = [side.total for side in backend.sides.values() if side.total]
    if fits and not all(fit.has_const for fit in fits):
        yield (
            "Only one size of the swap area was booted: a constant part cannot be told from the "
            "bytes per slot and is counted there."
        )


def source(side: KernelOverhead) -> str:
    """Which files of the kernel the figures come from."""
    if side.has_allocinfo:
        return f"{side.kernel.arm}: every figure from /proc/allocinfo"
    return (
        f"{side.kernel.arm}: this kernel has no /proc/allocinfo; slabinfo, vmallocinfo and meminfo "
        "stand in. They do not see bare pages and large kmalloc blocks, and share some caches with "
        "the rest of the kernel: the figures are a lower bound"
    )


def gaps(side: KernelOverhead) -> Iterator[str]:
    """Structures that only the model or only the measurement has, and sites without a rule."""
    arm = side.kernel.arm
    if side.kernel.model is None:
        yield f"{arm}: {side.kernel.note}"
    if side.missing:
        yield f"{arm}: in the model, not measured: {', '.join(side.missing)}"
    if side.unmodelled:
        yield f"{arm}: measured, not in the model: {', '.join(side.unmodelled)}"
    for one in side.growing:
        yield (
            f"{arm}: {one.site} grows with the fill by {weight(one.per_entry.value)} bytes "
            "an entry, and no rule in kernels/models/sites.yaml names it"
        )


def residual(side: KernelOverhead) -> Iterator[str]:
    """The largest part of the memory in use that nothing explains."""
    worst = max(side.levels, key=lambda one: abs(one.residual), default=None)
    if worst is not None:
        shares = (
            (worst.residual_pct, "the metadata"),
            (worst.residual_of_all, "all that the back-end takes"),
        )
        said = ", ".join(f"{percent(share)} of {what}" for share, what in shares if share)
        said = f" ({said})" if said else ""
        yield (
            f"{side.kernel.arm}: largest residual {amount(worst.residual)}{said}, {worst.label} "
            f"{worst.stage}"
        )


def weights(backend: BackendOverhead) -> list[str]:
    """The known weights of a calibration series against what was measured."""
    return [line for line, _ in _weights(backend)]


def _weights(backend: BackendOverhead) -> Iterator[tuple[str, bool]]:
    """Each known weight in words, and whether it was not measured as it is known."""
    for one in backend.known:
        known = f"{one.weight.site}: known {one.weight.amount:g} bytes a"
        known += f"{'n' if one.weight.per == 'entry' else ''} {one.weight.per}"
        if one.measured is None:
            yield f"{known}; not measured (no /proc/allocinfo, or no fit)", True
            continue
        error = f" +/- {weight(one.measured.error)}" if one.measured.error is not None else ""
        yield (
            f"{known}, measured {weight(one.measured.value)}{error}: "
            f"{'agrees' if one.holds else 'DOES NOT AGREE'} (tolerance {one.weight.tolerance:g})",
            not one.holds,
        )


def worth(side: KernelOverhead) -> Iterator[str]:
    """How far the stand-in is off, in a kernel that has both."""
    whole = next((one for one in side.methods if one.structure == "all metadata"), None)
    if whole and whole.error is not None:
        blind = [
            one.structure
            for one in side.methods
            if one.allocinfo > 0 and not one.standin and one is not whole
        ]
        text = f"{side.kernel.arm}: of all metadata the stand-in is {percent(whole.error)} off"
        yield text + (f"; it does not see {', '.join(blind)}" if blind else "")


def notes(backend: BackendOverhead) -> Iterator[str]:
    """What stands below the tables of a back-end."""
    sides = backend.sides.values()
    for side in sides:
        yield source(side)
        yield reach(backend, side)
        yield from sparse(side)
    yield from limits(backend)
    for side in sides:
        for name, fit in side.fits.items():
            yield from shape(f"{side.kernel.arm}: {name}", fit)
        yield from residual(side)
        yield from gaps(side)
        yield from worth(side)
