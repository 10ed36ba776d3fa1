# SPDX-License-Identifier: GPL-2.0-only
"""walk.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.report import layout, table
from harness.report.layout import capped, listed, paragraphs, section
from harness.report.model import no_verdict
from harness.report.numbers import change, interval, number
from harness.report.table import Column, Table, columns
from harness.stats.fit import Value
from harness.stats.verdict import Kind
from harness.studies.walk.analysis import BASE, MetricWalk, Walk, WalkPoint
from harness.studies.walk.functions import PatchFunctions
from harness.studies.walk.memory import Memory

_FUNCTIONS = 3
"""Of each patch."""
_FEWEST, FAILURES, SHORT = 4, 3, 200
"""Of the first screen: rows at least, failures at most, characters of each."""
LISTED, LONG = 40, 300
"""Of the whole text."""

_OWN = (
    "Each patch is built on top of those before it and compared with the base in pairs of boots; "
    "a pair has the same guest seed at all patches. 'own' is the change from the last measured "
    "patch above (from the base, for the first) to this one, pair by pair between the two patched "
    "kernels; 'so far' is the change from the base. Both are in per cent with {level} % intervals, "
    "judged as in any comparison (see report.txt of each patch's folder)."
)
_CHANCE = (
    "About one 95 % interval in twenty misses zero by chance. A verdict asks for more: the "
    "estimate must also lie outside the interval of base against base (A/A).",
    "The changes of the {family} arms at one patch are a family: each has an interval of {level} "
    "%, so that all of them err in at most one of twenty (Bonferroni). A verdict asks for more: "
    "the estimate must also lie outside the interval of base against base (A/A). The report of "
    "each arm has its own 95 % intervals.",
)
"""Of one arm, and of several."""
_METHOD = (
    "All patches share the boots of the base, and neighbours share a patched kernel: an outlier "
    "there shows in two rows, up in one and down in the next.",
    "The instruction clock does not see caches, TLB, lock contention or device time.",
    "Build time and objects are those of the build that made the kernel; the first ones may "
    "include what an earlier build left to do.",
)


def method(walk: Walk) -> tuple[str, ...]:
    """What each figure is, a paragraph each."""
    numbers = {"level": f"{walk.level:.3g}", "family": walk.family}
    return (*(one.format(**numbers) for one in (_OWN, _CHANCE[walk.family > 1])), *_METHOD)


def render(walk: Walk) -> str:
    """The whole text: the answer, each metric at each patch, what was lost, the method."""
    failed = [text[:LONG] for text in failures(walk)]
    blocks: list[Iterable[str]] = [
        *_answer(walk),
        table.text(stops(walk)),
        *(table.text(metric(walk, line)) for line in walk.lines),
        *(table.text(one) for one in changed(walk)),
        *(table.text(memory(one)) for one in walk.memory),
        section("What failed", listed(capped(failed, LISTED, ": see the report of each patch"))),
    ]
    if walk.lines:
        blocks.append(section("How to read this", listed(method(walk))))
    blocks.append(section("Where the rest is", _rest(walk)))
    return layout.page(blocks)


def summary(walk: Walk) -> str:
    """The answer on one screen: what failed first, then the patches that change something."""
    return layout.page(_answer(walk))


def outcome(walk: Walk) -> str:
    """Which patches build and boot: whether the series can be bisected."""
    broken = [stop.number for stop in walk.broken]
    dead = [s.number for s in walk.stops if not s.failure and not s.is_measured]
    hurt = [s.number for s in walk.stops if s.is_measured and s.lost]
    found = [
        f"{_counted(numbers)} {text}: {_numbers(numbers)}."
        for numbers, text in (
            (broken, "cannot be built"),
            (dead, "built, and no boot survived"),
            (hurt, "lost some boots"),
        )
        if numbers
    ]
    looked = f"{len(walk.stops)} of {walk.count} patches were tried"
    if not found:
        found = ["each one builds, and all boots finished."]
    found += _unswitched(walk)
    return f"{looked}: {' '.join(found)}"


def _unswitched(walk: Walk) -> Iterator[str]:
    """Where the options that switch an arm are not in the tree yet."""
    early = [stop for stop in walk.stops if stop.lacking]
    for lacking in dict.fromkeys(one.lacking for one in early):
        mine = _numbers([one.number for one in early if one.lacking == lacking])
        yield f"At {mine} the tree does not have {', '.join(lacking)} yet: nothing is switched."


def conclusion(walk: Walk) -> str:
    """How many changes of single patches got which verdict, or why none did."""
    own = [mark.own for line in walk.lines for mark in line.marks]
    found = {kind: sum(one.kind is kind for one in own) for kind in Kind}
    if not own:
        return "No patch has a value of a primary metric."
    if found[Kind.NONE] == len(own):
        return no_verdict(own)
    said = ", ".join(f"{kind}: {count}" for kind, count in found.items() if count)
    if found[Kind.NONE]:
        return f"Changes by a patch on its own, some without a verdict: {said}."
    if not found[Kind.WORSE] and not found[Kind.BETTER]:
        return f"No patch is worse or better on its own by a primary metric ({said})."
    return f"Changes by a patch on its own: {said}."


def label(mark: WalkPoint) -> str:
    """The patch, or the patches, that a change of its own is of."""
    return patches(mark.number, mark.since)


def patches(number: int, since: int) -> str:
    """Those after ``since`` up to ``number``."""
    first = since + 1
    return str(number) if first == number else f"{first}-{number}"


def _answer(walk: Walk) -> list[list[str]]:
    title = f"Walk '{walk.name}': {walk.title}, patch by patch on {walk.base} ({walk.version})"
    failed = capped([text[:SHORT] for text in failures(walk)], FAILURES, " failures: see below")
    found = (outcome(walk), *failed, conclusion(walk))
    said = (title, *found, *walk.doubts, *map(_grown, walk.memory))
    head = list(paragraphs(said))
    # An empty line, the table's title, its heads and the rule.
    return [head, table.text(own_changes(walk, max(layout.SCREEN - len(head) - 4, _FEWEST)))]


def own_changes(walk: Walk, most: int) -> Table:
    """The own changes that have a verdict of worse or better; without any, the largest."""
    every = [(line, mark) for line in walk.lines for mark in line.marks]
    judged = [one for one in every if one[1].own.kind in (Kind.WORSE, Kind.BETTER)]
    shown = sorted(judged or every, key=lambda one: -abs(one[1].own.change.estimate_pct or 0.0))
    heads = ("patch", "cell", "metric", "own", f"{walk.level:.3g} % interval", "n", "verdict")
    what = "Patches that are worse or better on their own" if judged else "The largest own changes"
    if len(shown) > most:
        what += f", {most} of {len(shown)}"
    return Table(
        what,
        columns(*heads, names=3),
        tuple(
            (
                label(mark), line.cell, line.metric, change(mark.own.change),
                interval(mark.own.change), str(mark.own.change.n), str(mark.own.kind),
            )
            for line, mark in shown[:most]
        ),
    )  # fmt: skip


def _grown(one: Memory) -> str:
    """The bytes of the first and the last kernel of a back-end."""
    first, last = one.sizes[0], one.sizes[-1]
    return (
        f"{one.backend}: swap metadata from {first.per_slot.value:.3f} to "
        f"{last.per_slot.value:.3f} bytes a slot, from {first.per_entry.value:.3f} to "
        f"{last.per_entry.value:.3f} an entry."
    )


def failures(walk: Walk) -> list[str]:
    """Patches that do not build, then boots that do not count."""
    return [
        *(f"Patch {stop.number} NOT BUILT: {stop.failure}" for stop in walk.broken),
        *(f"Patch {stop.number}: {text}" for stop in walk.stops for text in stop.lost),
        *walk.lost,
    ]


def stops(walk: Walk) -> Table:
    heads = (*columns("patch", "build s", "objects", "lost", names=0), Column("subject", name=True))
    return Table(
        "The patches: time and objects of the build, boots lost",
        heads,
        tuple(
            (
                str(stop.number),
                "-" if stop.seconds is None else f"{stop.seconds:.0f}",
                "-" if stop.objects is None else str(stop.objects),
                "not built" if stop.failure else f"{len(stop.lost)}/{stop.boots}",
                stop.subject,
            )
            for stop in walk.stops
        ),
    )


def metric(walk: Walk, line: MetricWalk) -> Table:
    """What each patch changes of a metric, on its own and so far."""
    better = f"; {line.direction} is better" if line.direction else ""
    counts = sorted({mark.own.change.n for mark in line.marks})
    within = f"{walk.level:.3g} % interval"
    notes = [f"n = {' to '.join(map(str, counts)) or '0'} pairs."]
    measured = {mark.number for mark in line.marks}
    missing = [stop.number for stop in walk.stops if stop.number not in measured]
    if missing:
        notes.append(f"No value at patch {_numbers(missing)}: see above.")
    return Table(
        f"{line.backend} {line.workload}: {line.metric}, {line.unit}{better}; "
        f"margin {line.margin}; base {number(line.base)}",
        columns("patch", "own", within, "verdict", "so far", within),
        tuple(
            (
                label(mark), change(mark.own.change), interval(mark.own.change),
                str(mark.own.kind), change(mark.whole.change), interval(mark.whole.change),
            )
            for mark in line.marks
        ),
        tuple(notes),
    )  # fmt: skip


def changed(walk: Walk) -> Iterator[Table]:
    """For each cell, the functions that each patch changes most."""
    for cell in dict.fromkeys(one.cell for one in walk.profiles):
        mine = [one for one in walk.profiles if one.cell == cell]
        yield Table(
            f"{cell}: the functions that each patch changes most, own instructions for each "
            f"{mine[0].unit} of {mine[0].metric}",
            (*columns("patch", names=0), *columns("function", "before", "with it", "change")),
            tuple(row for one in mine for row in _most(one)),
            ("Of one profile boot of each kernel. The rest: walk-functions.csv.",),
        )


def _most(one: PatchFunctions) -> Iterator[tuple[str, ...]]:
    shown = [(item.title, item.own) for item in one.functions[:_FUNCTIONS]]
    for place, (title, cost) in enumerate([("all instructions", one.total), *shown]):
        sides = ("-" if side is None else f"{side:.1f}" for side in (cost.base, cost.patch))
        named = patches(one.number, one.since) if place == 0 else ""
        yield (named, title if place == 0 else f"  {title}", *sides, f"{cost.change:+.1f}")


def memory(one: Memory) -> Table:
    rows = []
    before = None
    for size in one.sizes:
        cells = ["base" if size.number == BASE else str(size.number)]
        for name in ("per_slot", "per_entry"):
            value: Value = getattr(size, name)
            error = "-" if value.error is None else f"{value.error:.4f}"
            own = "" if before is None else f"{value.value - getattr(before, name).value:+.4f}"
            cells += [f"{value.value:.4f}", error, own]
        rows.append(tuple(cells))
        before = size
    return Table(
        f"{one.backend}: swap metadata in bytes, with standard errors",
        columns("patch", "per slot", "+-", "own", "per entry", "+-", "own"),
        tuple(rows),
    )


def _rest(walk: Walk) -> Iterator[str]:
    return paragraphs(
        (
            "Each patch has a results folder of its own, patch-NN, with a report; 'make verify' "
            "checks it. Values: walk.csv. Waterfalls: walk.html.",
            f"To repeat it: {walk.command}",
        )
    )


def _counted(numbers: Sequence[int]) -> str:
    return f"{len(numbers)} {'patch' if len(numbers) == 1 else 'patches'}"


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
