# SPDX-License-Identifier: GPL-2.0-only
"""costs.txt, misses.csv and locks.csv: what each operation misses and which locks it holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from harness.costs import cycles
from harness.costs.caches import REGIONS
from harness.costs.cycles import FORMULA, SCALES, CycleEstimate
from harness.experiment.cpumodel import EVENTS
from harness.report import layout, table
from harness.report.layout import Block, wrap
from harness.report.profile import datanames
from harness.report.profile.costs import Costs, HeldMost, ModelMisses, OperationCosts, Sides
from harness.report.table import Table, columns
from harness.util.escape import harmless

_FUNCTIONS, _LOCKS, _DATA = 15, 15, 20
_LEAST = 0.05
"""Below it, a change of misses or instructions for each operation is not shown."""
MARGIN_PCT = 1.0
"""The change of estimated cycles up to which it is none: boots alone move it by half of that."""
_LARGE = 10_000
_METHOD = (
    "One more boot of each kernel with the first pair's seed for the misses, and one for the "
    "locks; figures are for one unit of work, means over the rounds.",
    f"{FORMULA[0].upper()}{FORMULA[1:]}. They are no time. Misses depend on where pages and code "
    f"lie: up to {MARGIN_PCT:g} % is no change.",
    "Held: instructions from the one that takes a lock to the one that frees it, without "
    "interrupts. A ceiling is the number of CPUs at which the lock that is held longest is held "
    "all the time, if all of them do this and use that lock; per-CPU locks and readers set none. "
    "It rises, too, where a patch adds instructions outside of the lock: compare what is held.",
    "LLC misses by region: "
    + "; ".join(f"{name} ({said})" for name, said in REGIONS.items())
    + ".",
    "docs/caches-and-locks.md says what is not seen.",
)


def render(costs: Costs) -> str:
    """costs.txt."""
    blocks: list[Block] = []
    for one in costs.operations:
        blocks.append(layout.heading(f"{one.title}, for each {one.unit}"))
        blocks += _blocks(one)
    blocks.append(list(layout.listed(costs.troubles)))
    models = {mine.model.name: mine.model for one in costs.operations for mine in one.models}
    texts = (*_METHOD, *(f"{cycles.weights(model)}." for model in models.values()))
    blocks.append(layout.section("How to read this", (x for said in texts for x in wrap(said))))
    return layout.page(blocks)


def brief(costs: Costs) -> list[str]:
    """The first operation of each cell: cycles on each CPU, and the lock that is held longest."""
    first = {one.cell: one for one in reversed(costs.operations)}
    said = list(costs.troubles)
    for one in reversed(first.values()):
        parts = []
        if one.models:
            found = ", ".join(_cycles(mine.estimate) for mine in one.models)
            parts.append(f"estimated cycles {found}")
        if any(one.ceilings):
            held, cpus = (
                " -> ".join(f"{getattr(top, what):.1f}" if top else "-" for top in one.ceilings)
                for what in ("held", "cpus")
            )
            parts.append(f"lock held longest {held} instructions (ceiling {cpus} CPUs)")
        if parts:
            said.append(f"{one.title}: {'; '.join(parts)}.")
    return said


def _cycles(estimate: CycleEstimate) -> str:
    base, patch = estimate.cycles()
    return f"{patch - base:+.0f} of {base:.0f} on {estimate.model}{_doubt(estimate)}"


def _doubt(estimate: CycleEstimate) -> str:
    if abs(estimate.change_pct()) <= MARGIN_PCT:
        return f" (within {MARGIN_PCT:g} %: none)"
    return "" if estimate.holds() else " (no result: its sign depends on what a miss costs)"


def _estimated(mine: ModelMisses) -> str:
    estimate = mine.estimate
    (base, patch), low, high = estimate.cycles(), min(SCALES), max(SCALES)
    insns, misses = (sides[1] - sides[0] for sides in (estimate.insns, estimate.misses))
    return (
        f"Estimated cycles on {estimate.model}: {base:.0f} -> {patch:.0f}, {patch - base:+.0f} "
        f"({estimate.change_pct():+.2f} %), of which instructions {insns:+.0f}, misses "
        f"{misses:+.0f}{_doubt(estimate)}. {estimate.change_pct(low):+.2f} and "
        f"{estimate.change_pct(high):+.2f} % with half and double the cost of a miss. "
        f"Instructions {estimate.insns_pct:+.2f} %."
    )


def _blocks(one: OperationCosts) -> Iterator[Block]:
    for mine in one.models:
        yield list(wrap(_estimated(mine)))
        yield table.text(_misses(mine))
        yield table.text(_functions(mine))
        if mine.data:
            yield table.text(_data(mine))
            yield list(_unknown(mine))
    if any(one.lines):
        base, patch = (_number(value) for value in one.lines)
        yield list(wrap(f"Distinct cache lines of an operation: {base} -> {patch}."))
    if one.holds:
        yield list(_ceilings(one))
        yield table.text(_holds(one))
    if one.named:
        yield table.text(_named(one))


def _misses(mine: ModelMisses) -> Table:
    rows = [
        (f"{event} misses", *_row(side)) for event, side in zip(_HEADS, mine.misses, strict=True)
    ]
    where = EVENTS.index("llc")
    rows += [
        (f"LLC, {region}", *_row(sides[where]))
        for region, sides in mine.regions.items()
        if any(sides[where])
    ]
    return Table(
        f"Misses, {mine.estimate.model}", columns("", "base", "patch", "change"), tuple(rows)
    )


_HEADS = tuple(name.upper() for name in EVENTS)


def _functions(mine: ModelMisses) -> Table:
    found = [one for one in mine.functions if abs(one.stalls[1] - one.stalls[0]) >= 1]
    llc = EVENTS.index("llc")
    rows = tuple(
        (one.name, *_row(one.stalls), _number(one.misses[llc][1] - one.misses[llc][0], "+"))
        for one in found[:_FUNCTIONS]
    )
    heads = columns("function", "base", "patch", "change", "LLC change")
    return Table("Cycles of misses by function", heads, rows)


_LEVELS = ("l1d", "l2", "llc")


def _data(mine: ModelMisses) -> Table:
    """Those with most LLC misses in either kernel, and what changed."""
    llc = EVENTS.index("llc")
    found = sorted(mine.data, key=lambda one: (-max(one.misses[llc]), one.name))
    told = [one for one in found if any(max(one.misses[i]) >= _LEAST for i in _places())]
    rows = tuple(
        (
            one.name,
            *(_number(side) for i in _places() for side in one.misses[i]),
            _number(one.misses[llc][1] - one.misses[llc][0], "+"),
        )
        for one in told[:_DATA]
    )
    heads = (f"{name.upper()}{side}" for name in _LEVELS for side in ("", "'"))
    return Table("Misses by data (' is patch)", columns("", *heads, "LLC change"), rows)


def _places() -> list[int]:
    return [EVENTS.index(name) for name in _LEVELS]


def _unknown(mine: ModelMisses) -> Iterator[str]:
    shares = []
    for i in _places():
        every = sum(sum(one.misses[i]) for one in mine.data)
        unknown = sum(sum(one.misses[i]) for one in mine.data if datanames.is_unknown(one.name))
        shares.append(f"{100 * unknown / every:.1f}" if every else "0.0")
    yield from wrap(
        f"Of the misses of L1D, L2 and LLC {', '.join(shares)} % are of data that nothing tells."
    )


_HELD = ("taken", "taken'", "held", "held'", "change")
_SIDES = ": how often, and instructions held (' is patch)"


def _holds(one: OperationCosts) -> Table:
    found = [mine for mine in one.holds if max(mine.held) >= 1]
    shown = sorted(found[:_LOCKS], key=lambda mine: (-max(mine.held), mine.function))
    rows = tuple(
        (
            mine.function, mine.kind, *map(_times, mine.acquired), *_row(mine.held),
        )
        for mine in shown
    )  # fmt: skip
    heads = columns("taken in", "kind", *_HELD, names=2)
    return Table(f"Locks by the function that takes them{_SIDES}", heads, rows)


def _named(one: OperationCosts) -> Table:
    rows = tuple(
        (
            mine.name, _takers(mine.takers), "->".join(map(str, dict.fromkeys(mine.objects))),
            *map(_times, mine.acquired), *_row(mine.held),
        )
        for mine in [mine for mine in one.named if max(mine.held) >= 1][:_LOCKS]
    )  # fmt: skip
    heads = columns("lock in", "taken in", "locks", *_HELD, names=3)
    return Table(f"Locks by what they are in{_SIDES}", heads, rows)


def _takers(names: tuple[str, ...]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _ceilings(one: OperationCosts) -> Iterator[str]:
    for arm, top in zip(("base", "patch"), one.ceilings, strict=True):
        if top:
            yield from wrap(
                f"Ceiling of {arm}: {top.cpus:.1f} CPUs, by the lock {_in(top)}taken in "
                f"{', '.join(top.functions)}: held for {top.held:.1f} instructions."
            )
    if any(one.seen):
        yield from wrap(
            f"WARNING: {one.seen[0]} locks were taken while held, {one.seen[1]} freed while not: "
            "their other ends were not seen."
        )


def _in(top: HeldMost) -> str:
    return f"in {top.name}, " if top.name else ""


def _row(side: Sides) -> tuple[str, str, str]:
    return _number(side[0]), _number(side[1]), _number(side[1] - side[0], "+")


def _number(value: float | None, sign: str = "") -> str:
    """Two decimals where a reader may want them."""
    return "-" if value is None else f"{value:{sign}.{0 if abs(value) >= _LARGE else 2}f}"


def _times(count: float) -> str:
    return f"{count:.{0 if count >= _LARGE else 3}f}"


def misses(costs: Costs) -> str:
    """misses.csv: by operation, CPU model, and function, line, data or region: both kernels."""
    events = (f"{event}_{arm}" for event in EVENTS for arm in ("base", "patch"))
    heads = ("cell", "metric", "unit", "model", "of", "name", *events)
    rows = (
        (one.cell, one.metric, one.unit, mine.estimate.model, of, name, *_plain(sides))
        for one in costs.operations
        for mine in one.models
        for of, name, sides in (
            ("all", "", mine.misses),
            *(
                ("region", region, mine.regions[region])
                for region in REGIONS
                if region in mine.regions
            ),
            *(("function", item.name, item.misses) for item in mine.functions),
            *(("line", item.name, item.misses) for item in mine.lines),
            *(("data", item.name, item.misses) for item in mine.data),
        )
    )
    return _csv(heads, rows)


def holds(costs: Costs) -> str:
    """locks.csv: by operation and function that takes locks of a kind, or by what locks are in."""
    heads = (
        "cell", "metric", "unit", "of", "name", "kind",
        "acquired_base", "acquired_patch", "held_base", "held_patch",
        "longest_base", "longest_patch", "locks_base", "locks_patch",
    )  # fmt: skip
    rows = (
        (one.cell, one.metric, one.unit, *words, *_plain(numbers), *map(str, counts))
        for one in costs.operations
        for words, numbers, counts in (*_by_function(one), *_by_data(one))
    )
    return _csv(heads, rows)


_LockRow = tuple[tuple[str, str, str], tuple[Sides, Sides], tuple[int, int, int, int]]


def _by_function(one: OperationCosts) -> Iterator[_LockRow]:
    for mine in one.holds:
        words = ("function", mine.function, mine.kind)
        yield words, (mine.acquired, mine.held), (*mine.longest, *mine.objects)


def _by_data(one: OperationCosts) -> Iterator[_LockRow]:
    for mine in one.named:
        words = ("data", mine.name, "")
        yield words, (mine.acquired, mine.held), (*mine.longest, *mine.objects)


def _plain(sides: Iterable[Sides]) -> tuple[str, ...]:
    return tuple(f"{value:.4f}" for side in sides for value in side)


def _csv(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
