# SPDX-License-Identifier: GPL-2.0-only
"""walk.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.report.numbers import change, interval, number
from harness.stats.fit import Value
from harness.stats.verdict import Kind
from harness.studies.overhead.text import WIDTH, wrap
from harness.studies.walk.analysis import BASE, MetricWalk, Walk, WalkPoint
from harness.studies.walk.memory import Memory
from harness.util.escape import visible

# Patch, change and interval of its own, verdict, change and interval of all so far: 72 columns.
_COLUMNS = (5, 8, 17, 10, 8, 17)
_BYTES = (5, 11, 9, 9, 11, 9, 9)
_SHOWN = 5

METHOD = (
    "Each patch is built on top of those before it and compared with the base in pairs of boots; "
    "pairs have the same guest seeds at all patches. 'own' is the change from the last patch above "
    "that was measured (from the base, for the first) to this one, pair by pair between the two "
    "patched kernels; 'so far' is the change from the base. Both are signed per cent with 95 % "
    "intervals, made and judged like any comparison's (how: report.txt of each patch's folder).",
    "All patches share the boots of the base, and neighbours share a patched kernel: an accident "
    "there shows in several rows, up in one and down in the next.",
)


def render(walk: Walk) -> str:
    """The whole text."""
    blocks: list[Iterable[str]] = [_head(walk), _stops(walk)]
    blocks += [_line(walk, line) for line in walk.lines]
    blocks += [_memory(one) for one in walk.memory]
    blocks += [_lost(walk), _method(walk), _run(walk)]
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"


def outcome(walk: Walk) -> str:
    """How far the series builds, boots and survives: its bisectability."""
    broken = [stop.number for stop in walk.broken]
    dead = [s.number for s in walk.stops if not s.failure and not s.is_measured]
    hurt = [s.number for s in walk.stops if s.is_measured and s.lost]
    found = [
        f"{_counted(numbers)} {text}: {_listed(numbers)}."
        for numbers, text in (
            (broken, "cannot be built"),
            (dead, "built, and no boot survived"),
            (hurt, "lost some boots"),
        )
        if numbers
    ]
    looked = f"{len(walk.stops)} of {walk.count} patches were looked at"
    if not found:
        found = ["each of them builds, and all boots finished."]
    return f"{looked}: {' '.join(found)}"


def findings(walk: Walk) -> Iterator[str]:
    """The patches that change something, as sentences."""
    for line in walk.lines:
        for mark in line.marks:
            if mark.own.kind in (Kind.WORSE, Kind.BETTER):
                yield (
                    f"Patch {label(mark)}: {mark.own.kind}, {line.backend} {line.workload} "
                    f"{line.metric} {change(mark.own.change)} {interval(mark.own.change)}, "
                    f"n = {mark.own.change.n}."
                )


def label(mark: WalkPoint) -> str:
    """The patch, or the patches, that a change of its own is of."""
    first = mark.since + 1
    return str(mark.number) if first == mark.number else f"{first}-{mark.number}"


def _head(walk: Walk) -> Iterator[str]:
    yield from wrap(f"Walk '{walk.name}': {walk.series} patch by patch")
    yield from wrap(f"{walk.title}; on {walk.base} ({walk.version})")
    yield from wrap(outcome(walk))
    said = list(findings(walk))
    for text in said or ["No patch is worse or better on its own by a primary metric."]:
        yield from wrap(text)
    count = len([mark for line in walk.lines for mark in line.marks])
    if count:
        yield from wrap(
            f"{count} changes are judged here: about one 95 % interval in twenty misses zero by "
            "chance. A verdict asks more than that: the estimate must lie outside A/A, too."
        )
    if walk.lines:
        yield from wrap(
            "Clock: instructions. It cannot see caches, TLB, lock contention, device time."
        )


def _stops(walk: Walk) -> Iterator[str]:
    yield "The patches"
    yield "==========="
    yield "   nr  build s  objects  subject"
    yield "-" * WIDTH
    for stop in walk.stops:
        seconds = "-" if stop.seconds is None else f"{stop.seconds:.0f}"
        objects = "-" if stop.objects is None else str(stop.objects)
        head = f"{stop.number:>5}  {seconds:>7}  {objects:>7}  "
        yield from wrap(stop.subject, head, " " * len(head))
        if stop.failure:
            yield from wrap(f"NOT BUILT: {stop.failure}", " " * len(head), " " * len(head))
        elif stop.lost:
            text = f"{len(stop.lost)} of {stop.boots} boots lost, e.g. {stop.lost[0]}"
            yield from wrap(text[:300], " " * len(head), " " * len(head))
    yield from wrap(
        "Time and objects are those of the build that made the kernel; the first ones may hold "
        "what an earlier build left to do."
    )


def _line(walk: Walk, line: MetricWalk) -> Iterator[str]:
    better = f"; {line.direction} is better" if line.direction else ""
    yield from wrap(
        f"{line.backend} {line.workload}: {line.metric}, {line.unit}{better}; "
        f"margin {line.margin}; base {number(line.base)}"
    )
    yield ""
    yield _row(("patch", "own", "95 % interval", "verdict", "so far", "95 % interval"))
    yield "-" * WIDTH
    for mark in line.marks:
        own, whole = mark.own.change, mark.whole.change
        yield _row(
            (
                label(mark),
                change(own),
                interval(own),
                str(mark.own.kind),
                change(whole),
                interval(whole),
            )
        )
    counts = sorted({mark.own.change.n for mark in line.marks})
    yield from wrap(f"  n = {' to '.join(map(str, counts)) or '0'} pairs.")
    measured = {mark.number for mark in line.marks}
    missing = [s.number for s in walk.stops if s.number not in measured]
    if missing:
        yield from wrap(f"  No value at patch {_listed(missing)}: see above.")


def _row(cells: Sequence[str], widths: Sequence[int] = _COLUMNS) -> str:
    shown = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return " ".join(shown).rstrip()


def _memory(one: Memory) -> Iterator[str]:
    yield from wrap(f"{one.backend}: swap metadata in bytes, with standard errors")
    yield ""
    heads = ("patch", "per slot", "+-", "own", "per entry", "+-", "own")
    yield _row(heads, _BYTES)
    yield "-" * WIDTH
    before = None
    for size in one.sizes:
        cells = ["base" if size.number == BASE else str(size.number)]
        for name in ("per_slot", "per_entry"):
            value: Value = getattr(size, name)
            error = "-" if value.error is None else f"{value.error:.4f}"
            own = "" if before is None else f"{value.value - getattr(before, name).value:+.4f}"
            cells += [f"{value.value:.4f}", error, own]
        yield _row(cells, _BYTES)
        before = size


def _lost(walk: Walk) -> Iterator[str]:
    lost = [
        *walk.lost,
        *(f"patch {stop.number}: {text}" for stop in walk.stops for text in stop.lost),
    ]
    if not lost:
        return
    yield "Boots that do not count"
    yield "======================="
    for text in lost[: 4 * _SHOWN]:
        yield from wrap(text[:300])
    if len(lost) > 4 * _SHOWN:
        yield f"... and {len(lost) - 4 * _SHOWN} more: see the report of each patch."


def _method(walk: Walk) -> Iterator[str]:
    if walk.lines:
        yield "How to read this"
        yield "================"
        for text in METHOD:
            yield from wrap(text, rest="")


def _run(walk: Walk) -> Iterator[str]:
    yield "How to repeat it"
    yield "================"
    yield from wrap(f"Command: {walk.command}")
    yield from wrap(
        "Each patch has a results folder of its own, patch-NN, with a report; 'make verify' "
        "checks it. Values: report/walk.csv. Waterfalls: report/plots, report/walk.html."
    )


def _counted(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} {'patch' if len(numbers) == 1 else 'patches'}"


def _listed(numbers: Sequence[int]) -> str:
    return visible(", ".join(map(str, numbers)))
