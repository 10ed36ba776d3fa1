# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a profile."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

from harness.report import layout, table
from harness.report.layout import Block, wrap
from harness.report.profile.model import (
    NAMED,
    SAME,
    Cost,
    FunctionCost,
    Named,
    Operation,
    Profile,
)
from harness.report.table import Table, columns
from harness.results.profile import Root
from harness.util.escape import harmless, visible

_FUNCTIONS, _PARTS, _INLINED = 30, 12, 15
_TOP_FUNCTIONS = 3
_LEAST = 0.05
"""Instructions for each operation below which a change is not shown in a table."""

METHOD = (
    "A profile boot is one more boot of each kernel with the first pair's seed; QEMU counts every "
    "block of code that the guest executes between the marks of a phase. Instructions are no time: "
    "no cache, TLB or lock contention is in them.",
    "own: in the function itself and what was inlined into it; whole: with all that it calls. "
    "share: of all change of functions, up and down. Functions that run beside the workload say "
    "for whom.",
    "Without compression: without the functions that compress and what they call "
    "(kernels/subsystems.yaml).",
)


def render(profile: Profile) -> str:
    """profile.txt: each operation with its totals, functions, parts and source functions."""
    blocks: list[Block] = []
    for one in profile.operations:
        blocks += [_head(one), *_tables(one)]
    blocks += [list(layout.listed(profile.troubles))]
    blocks += [layout.section("How to read this", (x for said in METHOD for x in wrap(said)))]
    return layout.page(blocks)


def _head(one: Operation) -> Iterator[str]:
    yield from layout.heading(f"{one.title}, instructions for each {one.unit}")
    yield from wrap(f"All: {_both(one.total)}.")
    if one.bare != one.total:
        yield from wrap(f"Without compression: {_both(one.bare)}.")
    yield from wrap(checked(one))


def checked(one: Operation) -> str:
    """How far the totals are from those of the timing boots."""
    if not one.off:
        return "No timing boot has this figure."
    if is_off(one):
        return f"WARNING: totals differ from the timing boots' by {off_by(one)}: over {SAME:.1%}."
    return f"Totals against the timing boots': {off_by(one)}."


def off_by(one: Operation) -> str:
    """The same in figures."""
    return ", ".join(f"{arm} {100 * ratio:+.3f} %" for arm, ratio in one.off)


def is_off(one: Operation) -> bool:
    """Whether a total is further from the timing boot's than it may be."""
    return any(abs(ratio) > SAME for _, ratio in one.off)


def _tables(one: Operation) -> Iterator[Block]:
    yield table.text(functions(one))
    yield table.text(_named("By part of the kernel", "part", one.parts[:_PARTS]))
    yield table.text(_named("By who runs", "for", one.roots, all_of_it=True))
    yield table.text(_named("By source function, inlined ones too", "function", _moved(one)))


def _moved(one: Operation) -> Iterator[Named]:
    return islice((item for item in one.inlined if abs(item.cost.change) >= _LEAST), _INLINED)


def functions(one: Operation, most: int = _FUNCTIONS) -> Table:
    """The functions that make up nearly all of the change."""
    found = list(one.named())
    shown = [item for item in found if abs(item.own.change) >= _LEAST][:most]
    rows = tuple(
        (
            item.title, item.file or "-", _number(item.own.base), _number(item.own.patch),
            f"{item.own.change:+.1f}", f"{_share(one, item):.1f} %", _state(item),
        )
        for item in shown
    )  # fmt: skip
    heads = columns("function", "file", "base", "patch", "change", "share", "", names=2)
    title = f"Functions, own instructions: {NAMED:.0%} of all change is in {len(found)}"
    notes = (
        ()
        if len(shown) == len(found)
        else (f"The other {len(found) - len(shown)}: functions.csv.",)
    )
    if not rows:
        return Table("", (), ())
    return Table(title, heads, rows, notes)


def _state(item: FunctionCost) -> str:
    return f"was {item.former}" if item.former else item.state


def _share(one: Operation, item: FunctionCost) -> float:
    return 100 * abs(item.own.change) / one.gross if one.gross else 0.0


def _named(title: str, head: str, found: Iterable[Named], *, all_of_it: bool = False) -> Table:
    rows = tuple(
        (item.name, _number(item.cost.base), _number(item.cost.patch), f"{item.cost.change:+.1f}")
        for item in found
        if all_of_it or abs(item.cost.change) >= _LEAST
    )
    return Table(title, columns(head, "base", "patch", "change"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _both(cost: Cost) -> str:
    percent = f" ({said})" if (said := _percent(cost)) else ""
    return f"{_number(cost.base)} -> {_number(cost.patch)}, {cost.change:+.1f}{percent}"


def summary(one: Operation) -> str:
    """The functions that changed most, in one sentence; none where the boots do not show it."""
    shares = [_percent(one.total)]
    if (bare := _percent(one.bare)) != shares[0]:
        shares.append(f"{bare} of all but compression")
    said = f" ({'; '.join(shares)})" if all(shares) else ""
    change = f"{one.title} {one.total.change:+.0f} a {one.unit}{said}"
    if is_hidden(one):
        return f"{change}: not explained, totals differ from the timing boots' by {off_by(one)}."
    found = ", ".join(
        f"{item.title} {item.own.change:+.0f}" for item in islice(one.named(), _TOP_FUNCTIONS)
    )
    return f"{change}: {found or 'no function changed'}."


def _percent(cost: Cost) -> str:
    return "" if cost.percent is None else f"{cost.percent:+.2f} %"


def is_hidden(one: Operation) -> bool:
    """Whether half of the change or more is not in the timing boots."""
    mine, other = one.total.percent, one.timing.percent
    if not is_off(one) or mine is None or other is None:
        return False
    return abs(mine - other) >= abs(mine) / 2


def sheet(profile: Profile) -> str:
    """functions.csv: every function of every operation."""
    heads = (
        "cell", "metric", "unit", "for", "function", "file", "part", "state", "former",
        "own_base", "own_patch", "own_change", "whole_base", "whole_patch",
        "calls_base", "calls_patch",
    )  # fmt: skip
    rows = (
        (
            one.cell, one.metric, one.unit, item.root.words, item.name, item.file, item.part,
            item.state, item.former, *_sides(item.own), _plain(item.own.change),
            *_sides(item.whole), *_sides(item.calls),
        )
        for one in profile.operations
        for item in one.functions
    )  # fmt: skip
    return _csv(heads, rows)


def lines(profile: Profile) -> str:
    """lines.csv: every source line of every operation, but of whole runs."""
    heads = ("cell", "metric", "unit", "into", "function", "file", "line", "base", "patch")
    rows = (
        (
            one.cell, one.metric, one.unit, item.into, item.function, item.file,
            str(item.line), *_sides(item.cost),
        )
        for one in profile.operations
        for item in one.lines
    )  # fmt: skip
    return _csv(heads, rows)


def edges(profile: Profile) -> str:
    """edges.csv: who calls whom, how often, and what that costs with all that is called."""
    heads = (
        "cell", "metric", "unit", "for", "caller", "function",
        "calls_base", "calls_patch", "whole_base", "whole_patch",
    )  # fmt: skip
    rows = (
        (one.cell, one.metric, one.unit, root.words, caller, function, *map(_plain, values))
        for one in profile.operations
        for (root, caller, function), values in sorted(_edges(one).items())
    )
    return _csv(heads, rows)


def _edges(one: Operation) -> dict[tuple[Root, str, str], list[float]]:
    """Calls in base and patch, then instructions with all that is called, likewise."""
    found: dict[tuple[Root, str, str], list[float]] = {}
    for chain in one.chains:
        path = ("", *chain.names)
        pairs = list(pairwise(path))
        # A function that calls itself by way of others counts once.
        for number, pair in enumerate(dict.fromkeys(reversed(pairs))):
            sums = found.setdefault((chain.root, *pair), [0.0] * 4)
            if number == 0:
                sums[0] += chain.calls.base or 0.0
                sums[1] += chain.calls.patch or 0.0
            sums[2] += chain.own.base or 0.0
            sums[3] += chain.own.patch or 0.0
    return found


def folded(one: Operation, arm: str) -> str:
    """Stacks as flamegraph.pl and speedscope take them: thousandths of an instruction."""
    said = []
    for chain in one.chains:
        insns = round(1000 * (getattr(chain.own, arm) or 0.0))
        if insns > 0:
            path = (chain.root.words, *chain.names)
            said.append(f"{';'.join(map(visible, path))} {insns}\n")
    return "".join(said)


def _sides(cost: Cost) -> tuple[str, str]:
    return _plain(cost.base), _plain(cost.patch)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _csv(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
