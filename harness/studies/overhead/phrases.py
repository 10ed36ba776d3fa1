# SPDX-License-Identifier: GPL-2.0-only
"""The sentences of the report: the same in text and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.stats import crossover
from harness.stats.crossover import Crossover
from harness.stats.fit import Fit, Value
from harness.studies.overhead import projection
from harness.studies.overhead.analysis import BackendOverhead, KernelOverhead, Overhead
from harness.studies.overhead.model import ALONE
from harness.studies.overhead.projection import FULL, Level, leftovers, usage
from harness.studies.overhead.snapshot import FRAGMENTED, SPARSE
from harness.util.units import format_size

ARMS = {"base": "old", "patch": "new"}
# What is smaller than this part of all metadata is not worth a word.
_SMALL = 0.02
_CROSSED = {
    "claimed": "claimed",
    "modelled": "modelled, the claim's terms multiplied",
    "rounded": "modelled, all metadata as it is allocated",
    "measured": "measured, the claim's terms",
    "measured, all": "measured, all metadata",
}

_THINNED = {
    FRAGMENTED: "with every second page freed",
    SPARSE: "with all but each 512th page freed",
}

METHOD = (
    "Bytes are those that a kernel holds more than at the mark 'before', when nothing of the swap "
    "area was set up. All sizes are powers of two: 1 MiB = 1048576 bytes.",
    "The fit is bytes = const + per slot * slots + first + per entry * pages in swap, by least "
    "squares over the snapshots of a back-end and kernel; first is what comes with the first page. "
    "Snapshots of one boot share its accidents, so the boot is the unit: standard errors come from "
    "leaving out one boot at a time (cluster jackknife), intervals from t with boots - 1 degrees "
    "of freedom. Where leaving one out leaves too little, there is no error, and a '-' stands for "
    "it.",
    "The interval of a projected figure is a prediction interval. It takes the line for granted, "
    "so it says nothing of a curve or step outside the measured range; the '*' of a structure that "
    "is no line and the distance of the projection say how far to trust it.",
    "A '!' marks a published figure outside the measured interval, by more than its last digit and "
    "0.1 %; a '?' a modelled one, by more than 1 %.",
    "'Model' multiplies the terms as a cover letter does. 'Allocated' rounds them the way the "
    "kernel's allocators do: size classes, whole pages and their pointers, whole clusters, tree "
    "nodes. Both come from kernels/models.",
    "The residual is the change of MemTotal - MemFree that the sum of /proc/allocinfo, less the "
    "slab objects that it counts twice, and the free pages on per-CPU lists (/proc/zoneinfo) do "
    "not explain: allocations without a tag. It can hide metadata as large as itself. Of several "
    "boots the one is shown in which it is largest.",
    "Slab objects are counted, not their pages: what is freed may leave its pages to the cache.",
    "Up to 6.17 the swap cache keeps a shadow for each page out, in xarray_nodes. Under pressure "
    "the kernel can reclaim those; here nothing calls its shrinker, so they are an upper bound.",
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


def opening(report: Overhead) -> Iterator[str]:
    """What was compared, and the one result a reader looks for first."""
    kernels = [report.kernels[arm] for arm in ("patch", "base") if arm in report.kernels]
    names = " against ".join(f"{k.series} on {k.name}" if k.series else k.name for k in kernels)
    yield f"Memory overhead of swap metadata: {names}"
    for backend in report.backends:
        yield from _headline(report, backend)


def _headline(report: Overhead, backend: BackendOverhead) -> Iterator[str]:
    size = format_size(report.projected)
    full = backend.rows[-1]
    parts = []
    for arm, cell in full.cells.items():
        if cell.measured_all is not None:
            parts.append(f"{ARMS[arm]} {mib(cell.measured_all.value)} MiB")
    if parts:
        change = difference(backend, *(one.measured_all for one in full.cells.values()))
        more = f"{signed(change)} MiB, " if change else ""
        yield (
            f"{backend.name}: {more}{', '.join(parts)} of metadata for {size} of swap that is "
            f"{full.usage:g} % full (all metadata; measured, and projected from less)"
        )
        off = [f"{ARMS[a]} {mib(c.rounded_all)} MiB" for a, c in full.cells.items() if c.unlike]
        if off:
            yield (
                f"{backend.name}: the model of what is allocated says {', '.join(off)}, outside "
                "the measured interval: quote neither before it is known which is right"
            )
    outside = [
        f"{ARMS[arm]} at {row.usage:g} %"
        for row in backend.rows
        for arm, cell in row.cells.items()
        if cell.outside
    ]
    if outside:
        yield (
            f"{backend.name}: the claim lies outside the measured interval for {', '.join(outside)}"
        )


def difference(backend: BackendOverhead, *ends: Value | None) -> Value | None:
    """new - old as measured; None where there are not both, or by different means."""
    if len(ends) != 2 or ends[0] is None or ends[1] is None or not backend.comparable:
        return None
    return projection.difference(ends[1], ends[0])


def signed(value: Value) -> str:
    """A difference in MiB with its sign and, where there is one, its interval."""
    text = gained(value.value)
    return text if value.low is None else f"{text} {span(value)}"


def crossings(backend: BackendOverhead) -> Iterator[str]:
    """Where the new design becomes dearer, by each method."""
    if backend.crossovers:
        yield "pages fill whole clusters here, which is where a design by clusters looks its best"
        yield from _scattered(backend)
    for key, one in backend.crossovers.items():
        yield f"{_CROSSED[key]}: {crossing(one)}"


def _scattered(backend: BackendOverhead) -> Iterator[str]:
    """What a page costs in each kernel where it is the only one left of its cluster."""
    each = {
        side.kernel.arm: max(kept)
        for side in backend.sides.values()
        if (kept := [bytes for level, _, bytes in keeps(side) if level.stage == SPARSE])
    }
    if len(each) == 2 and backend.comparable:
        said = ", ".join(f"{ARMS[arm]} {bytes:.0f}" for arm, bytes in each.items())
        yield f"bytes of metadata that a page keeps when it is the only one left of 512: {said}"


def keeps(side: KernelOverhead) -> Iterator[tuple[Level, float, float]]:
    """Marks after pages were freed, the empty area's bytes, and those that each page left keeps."""
    for level in side.levels:
        if level.stage in _THINNED and level.pages:
            empty = next(x for x in side.levels if x.label == level.label).metadata
            yield level, empty, (level.metadata - empty) / level.pages


def crossing(one: Crossover) -> str:
    """One crossover in words."""
    if one.kind == crossover.NEVER:
        return "never dearer from 0 to 100 % used"
    if one.kind == crossover.ALWAYS:
        return "dearer from 0 to 100 % used"
    side = "below" if one.falls else "above"
    text = f"new is dearer {side} {one.usage:.1f} % used"
    if one.low is not None and one.high is not None:
        text += f" [{one.low:.1f}, {one.high:.1f}] ({one.method})"
    elif one.method:
        text += f" (no bounded interval; {one.method})"
    return text


def makers(backend: BackendOverhead) -> Iterator[str]:
    """Which structures make the difference, measured, in an empty and a full area."""
    if not backend.comparable:
        return
    for share in (0.0, 1.0):
        entries = round(backend.slots * share)
        moved = _moved(backend, entries)
        total = sum(value for _, value in moved)
        big = [(n, v) for n, v in moved if abs(v) > _SMALL * max(abs(x) for _, x in moved)]
        if not big:
            continue
        parts = ", ".join(f"{name} {gained(v)}" for name, v in big)
        where = "empty" if share == 0 else "full"
        yield (
            f"In an {where} swap area of the projected size new minus old is "
            f"{gained(total)} MiB. The structures that make it, in MiB: {parts}."
            if share == 0
            else f"In a {where} one it is {gained(total)} MiB: {parts}."
        )


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
        return f"{ARMS[side.kernel.arm]}: fewer than two fill levels, so no fit"
    slots, entries = side.total.reach(backend.slots, backend.slots)
    area = "" if backend.kind == ALONE else f"{slots:.1f} times the largest area and "
    full = max(usage(boot) for boot in side.boots)
    basis = f"; a page's cost is that in areas filled to {full:.0%}" if full >= FULL else ""
    return (
        f"{ARMS[side.kernel.arm]}: {side.total.boots} boots, {side.total.points} snapshots; the "
        f"projection goes to {area}{entries:.1f} times the most pages that were measured{basis}"
    )


def sparse(side: KernelOverhead) -> Iterator[str]:
    """Where a nearly empty area does not cost what the line of a filled one says."""
    for one in side.sparse:
        yield (
            f"{ARMS[side.kernel.arm]}: in a sparse area {one.structure} is off that line: "
            f"{one.label} with {one.pages} pages takes {one.measured / 1024:.0f} KiB more than "
            f"empty, the line says {one.line / 1024:.0f}; the projection to low usage is that much "
            "off"
        )


def shape(name: str, fit: Fit) -> str | None:
    """A structure that is no straight line, in words."""
    one = fit.shape
    if one.kind == "line":
        return None
    what = {
        "step": f"steps at {one.at} pages in swap",
        "curve": "is a curve",
        "other": f"departs from a line, most at {one.at} pages in swap",
    }[one.kind]
    return f"{name} {what}: up to {one.worst / 1024:.0f} KiB from the line; do not project it"


def limits(backend: BackendOverhead) -> Iterator[str]:
    """What the boots that there are cannot tell."""
    if len(backend.sides) == 2 and not backend.comparable:
        yield (
            "Old and new are measured by different means, /proc/allocinfo and its stand-in: no "
            "measured difference is given, and the two should not be subtracted."
        )
    cells = [
        cell for row in backend.rows for cell in row.cells.values() if cell.claimed is not None
    ]
    if any(cell.measured and cell.measured.low is None for cell in cells):
        yield (
            "The claim is not judged: with so few boots the measurement has no interval. Two boots "
            "of each size or more give one."
        )
    fits = [side.total for side in backend.sides.values() if side.total]
    if fits and not all(fit.has_const for fit in fits):
        yield (
            "Only one size of the swap area was booted: a constant part cannot be told from the "
            "part per slot and counts as the latter."
        )


def source(side: KernelOverhead) -> str:
    """Which files of the kernel the figures come from."""
    if side.has_allocinfo:
        return f"{ARMS[side.kernel.arm]}: every figure from /proc/allocinfo"
    return (
        f"{ARMS[side.kernel.arm]}: this kernel has no /proc/allocinfo; slabinfo, vmallocinfo and "
        "meminfo stand in. They do not see bare pages and large kmalloc blocks, and share some "
        "caches with the rest of the kernel: read these figures as a lower bound"
    )


def gaps(side: KernelOverhead) -> Iterator[str]:
    """Where model and measurement speak of different structures, and what no rule names."""
    arm = ARMS[side.kernel.arm]
    if side.kernel.model is None:
        yield f"{arm}: {side.kernel.note}"
    if side.missing:
        yield f"{arm}: in the model and never seen: {', '.join(side.missing)}"
    if side.unmodelled:
        yield f"{arm}: measured and in no model: {', '.join(side.unmodelled)}"
    for one in side.growing:
        yield (
            f"{arm}: {one.site} grows with the fill by {weight(one.per_entry.value)} bytes "
            "an entry, and no rule in kernels/models/sites.yaml names it"
        )
    if not side.growing and side.has_allocinfo:
        yield f"{arm}: every site that grows with the fill has a name"


def stays(side: KernelOverhead) -> Iterator[str]:
    """What is left when the pages, and then the swap area, are gone."""
    arm = ARMS[side.kernel.arm]
    for level in leftovers(side.levels):
        after = "the process exited" if level.stage == "exited" else "swapoff"
        first = next((x for x in side.levels if x.label == level.label), level)
        most = f", most of it {level.largest}" if level.metadata > 0 and level.largest else ""
        above = ""
        if level.stage == "exited":
            above = (
                f", {mib(level.metadata - first.metadata)} more than an area that was never used"
            )
        yield (
            f"{arm}, {level.label}: {amount(level.metadata)} of metadata stay after {after}"
            f"{above}{most}"
        )
    for level, empty, each in keeps(side):
        yield (
            f"{arm}, {level.label}: {_THINNED[level.stage]}, {level.pages:.0f} pages keep "
            f"{each:.2f} bytes each beside the {mib(empty)} MiB of the empty area"
        )


def weights(backend: BackendOverhead) -> Iterator[str]:
    """The known weights of a calibration series against what was measured."""
    for one in backend.known:
        said = f"{one.weight.amount:g} bytes a{'n' if one.weight.per == 'entry' else ''} "
        said += one.weight.per
        if one.measured is None:
            yield f"{one.weight.site}: known {said}; not measured (no /proc/allocinfo, or no fit)"
            continue
        error = f" +/- {weight(one.measured.error)}" if one.measured.error is not None else ""
        yield (
            f"{one.weight.site}: known {said}, measured {weight(one.measured.value)}{error}: "
            f"{'agrees' if one.holds else 'DOES NOT AGREE'} (tolerance {one.weight.tolerance:g})"
        )


def worth(sides: Sequence[KernelOverhead]) -> Iterator[str]:
    """What figures from the stand-in are worth, from kernels that have both."""
    for side in sides:
        whole = next((one for one in side.methods if one.structure == "all metadata"), None)
        if whole and whole.error is not None:
            blind = [
                one.structure
                for one in side.methods
                if one.allocinfo > 0 and not one.standin and one is not whole
            ]
            arm = ARMS[side.kernel.arm]
            text = f"{arm}: of all metadata the stand-in is {percent(whole.error)} off"
            yield text + (f"; it does not see {', '.join(blind)}" if blind else "")
