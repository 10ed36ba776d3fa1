# SPDX-License-Identifier: GPL-2.0-only
"""The profile boots of a result -> what each operation costs, and where, base against patch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from harness.report.profile import parts, sums
from harness.report.profile.model import (
    ChainCost,
    Cost,
    FunctionCost,
    LineCost,
    Named,
    Operation,
    Profile,
)
from harness.report.profile.parts import PartRules
from harness.report.profile.sums import ARMS, RUN, BootSums, Counted
from harness.results import places as recorded
from harness.results.counted import BUSY
from harness.results.frames import Frames
from harness.results.manifest import Manifest
from harness.results.places import Places, SourceLine
from harness.results.profile import USER, Block, ProfileError, Root

K = TypeVar("K", bound=Hashable)

_CLONE = re.compile(r"\.(constprop|isra|part|cold)(\.\d+)*")
"""What the compiler appends to the name of a copy of a function that it made."""
_LIKE = 0.25
"""How far the instructions of a renamed function may differ."""
_NONE = Cost(None, None)
_NOTHING = 5e-4
"""Instructions for each operation that are none."""


class _Function(NamedTuple):
    name: str
    file: str


_Place = tuple[Root, _Function]
_LinePlace = tuple[SourceLine, str]
"""A line, and the function that it was compiled into."""
_Path = tuple[Root, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Arm:
    """What one kernel executes for one unit of work, by all that it can be told by."""

    total: float
    bare: float
    own: Mapping[_Place, float]
    whole: Mapping[_Place, float]
    calls: Mapping[_Place, float]
    roots: Mapping[Root, float]
    lines: Mapping[_LinePlace, float]
    chains: Mapping[_Path, tuple[float, float]]


def is_there(results: Path) -> bool:
    """Whether a result has any profile boot."""
    return any((results / "boots").glob(f"*/[!.]*{sums.SUFFIX}"))


def analyse(results: Path, data: Frames, manifest: Manifest) -> Profile:
    """All operations of a result's profile boots; what cannot be read is a sentence in it."""
    rules = parts.load()
    operations: list[Operation] = []
    primary: list[Operation] = []
    troubles: list[str] = []
    names = {arm: recorded.read(results, arm) for arm in ARMS}
    for cell in sorted(
        {path.parent.name for path in (results / "boots").glob(f"*/*{sums.SUFFIX}")}
    ):
        backend, _, workload = cell.rpartition(".")
        called = manifest.primary(workload, backend, manifest.clock) or ""
        first = called.removesuffix(BUSY)
        try:
            boots = [sums.read(path, arm) for arm, path in sums.folders(results, cell).items()]
        except ProfileError as error:
            troubles.append(f"{cell}: {error}")
            continue
        metrics = list(dict.fromkeys(name for boot in boots for name in boot.metrics))
        metrics.sort(key=lambda name: (name != first, name == RUN))
        for metric in metrics:
            one = _operation(cell, metric, boots, names, rules, _timing(data, cell, metric))
            one = replace(one, busy=called.endswith(BUSY) and metric != RUN)
            operations.append(one)
            if metric == first:
                primary.append(one)
    if any(one is None for one in names.values()) and operations:
        troubles.append("Functions are addresses: nobody recorded the names of a kernel's.")
    return Profile(tuple(operations), tuple(primary), tuple(troubles))


def _timing(data: Frames, cell: str, metric: str) -> Cost:
    """The figure of the timing boots of the first pair: counted where they wait for a disk."""
    found: dict[str, float] = {}
    table = data.metrics
    for name in (metric, metric + BUSY):  # the second goes first where it is there
        mine = table[(table["cell"] == cell) & (table["name"] == name) & (table["pair"] == 0)]
        for arm, value in zip(mine["arm"], mine["value"], strict=True):
            found[str(arm)] = float(value)
    return Cost(found.get("base"), found.get("patch"))


def _operation(
    cell: str,
    metric: str,
    boots: list[BootSums],
    names: Mapping[str, Places | None],
    rules: PartRules,
    timing: Cost,
) -> Operation:
    arms: dict[str, _Arm] = {}
    unit = ""
    for boot in boots:
        if metric in boot.metrics:
            by_line = metric != RUN  # so many instructions that only functions are recorded
            arms[boot.arm] = _arm(boot.metrics[metric], names[boot.arm], rules, by_line)
            unit = boot.units[metric]
    functions = _functions(arms, rules)
    by_part: dict[str, list[Cost]] = defaultdict(list)
    for one in functions:
        by_part[one.part].append(one.own)
    roots = _costs({arm: one.roots for arm, one in arms.items()})
    return Operation(
        cell=cell,
        metric=metric,
        unit=unit,
        total=_cost({arm: one.total for arm, one in arms.items()}),
        timing=timing,
        bare=_cost({arm: one.bare for arm, one in arms.items()}),
        roots=tuple(Named(root.words, roots[root]) for root in sorted(roots)),
        parts=_ranked({name: _sum(costs) for name, costs in by_part.items()}),
        functions=functions,
        inlined=_ranked(_costs({arm: _inlined(one) for arm, one in arms.items()})),
        lines=_lines(_costs({arm: one.lines for arm, one in arms.items()})),
        chains=_chains(arms),
    )


def _arm(counted: Counted, names: Places | None, rules: PartRules, by_line: bool) -> _Arm:
    own: dict[_Place, float] = defaultdict(float)
    whole: dict[_Place, float] = defaultdict(float)
    calls: dict[_Place, float] = defaultdict(float)
    roots: dict[Root, float] = defaultdict(float)
    known: dict[int, _Function] = {}
    paths: dict[_Path, tuple[float, float]] = {}
    compressing = 0.0

    @cache
    def compresses(one: _Function) -> bool:
        return rules.part(one.name, one.file) == rules.compression

    for chain, (insns, called) in sums.chains(counted).items():
        path = [_function(place, names, known) for place in chain.functions]
        roots[chain.root] += insns
        key = (chain.root, tuple(one.name for one in path))
        before = paths.get(key, (0.0, 0.0))
        paths[key] = (before[0] + insns, before[1] + called)
        if not path:
            continue
        own[chain.root, path[-1]] += insns
        calls[chain.root, path[-1]] += called
        for function in set(path):
            whole[chain.root, function] += insns
        if any(map(compresses, path)):
            compressing += insns
    total = sums.total(counted)
    lines = _by_line(sums.entered(counted), names, known) if by_line and names else {}
    return _Arm(total, total - compressing, own, whole, calls, roots, lines, paths)


def _function(place: int, names: Places | None, known: dict[int, _Function]) -> _Function:
    if place not in known:
        name, file = f"{place:#x}", ""
        if place == USER:
            name = parts.USER
        elif names is not None:
            name, file = names.functions.get(place, (name, ""))
        known[place] = _Function(_CLONE.sub("", name), file)
    return known[place]


def _by_line(
    entered: Mapping[Block, float], names: Places, known: dict[int, _Function]
) -> dict[_LinePlace, float]:
    found: dict[_LinePlace, float] = defaultdict(float)
    for block, times in entered.items():
        into = _function(block.function, names, known).name
        for place in block.addresses():
            stack = names.stack(place)
            line = stack[0] if stack else SourceLine("", "", 0)
            found[replace(line, function=line.function or into), into] += times
    return found


def _inlined(arm: _Arm) -> dict[str, float]:
    """By the function that an instruction's line stands in, wherever it was inlined."""
    found: dict[str, float] = defaultdict(float)
    for (line, _), insns in arm.lines.items():
        found[line.function] += insns
    return found


def _functions(arms: Mapping[str, _Arm], rules: PartRules) -> tuple[FunctionCost, ...]:
    own = _costs({arm: one.own for arm, one in arms.items()})
    whole = _costs({arm: one.whole for arm, one in arms.items()})
    calls = _costs({arm: one.calls for arm, one in arms.items()})
    found = [
        FunctionCost(
            root=root,
            name=function.name,
            file=function.file,
            part=parts.USER
            if function.name == parts.USER
            else rules.part(function.name, function.file),
            own=cost,
            whole=whole.get((root, function), _NONE),
            calls=calls.get((root, function), _NONE),
        )
        for (root, function), cost in own.items()
    ]
    kept = _renamed(found) if len(arms) == len(ARMS) else found
    return tuple(sorted(kept, key=lambda one: (-abs(one.own.change), -_size(one.own), one.title)))


def _renamed(found: list[FunctionCost]) -> list[FunctionCost]:
    """With a function that went and one that came as one, where nothing else is like either."""
    gone = [one for one in found if one.own.patch is None]
    came = [one for one in found if one.own.base is None]
    likes = {new: [old for old in gone if _is_like(old, new)] for new in came}
    often = defaultdict[FunctionCost, int](int)
    for olds in likes.values():
        for old in olds:
            often[old] += 1
    pairs = {new: olds[0] for new, olds in likes.items() if len(olds) == 1 and often[olds[0]] == 1}
    left = [one for one in found if one not in pairs and one not in pairs.values()]
    for new, old in pairs.items():
        left.append(
            replace(
                new,
                own=Cost(old.own.base, new.own.patch),
                whole=Cost(old.whole.base, new.whole.patch),
                calls=Cost(old.calls.base, new.calls.patch),
                former=old.name,
            )
        )
    return left


def _is_like(old: FunctionCost, new: FunctionCost) -> bool:
    """Whether two functions of one file are called as often and cost about the same."""
    if (old.root, old.file) != (new.root, new.file) or not old.file:
        return False
    was, now = old.own.base or 0.0, new.own.patch or 0.0
    before, after = old.calls.base or 0.0, new.calls.patch or 0.0
    return abs(now - was) <= _LIKE * was and before > 0 and abs(after - before) <= 0.01 * before


def _chains(arms: Mapping[str, _Arm]) -> tuple[ChainCost, ...]:
    own = _costs({arm: {k: v[0] for k, v in one.chains.items()} for arm, one in arms.items()})
    calls = _costs({arm: {k: v[1] for k, v in one.chains.items()} for arm, one in arms.items()})
    keys = sorted(own.keys() | calls.keys())
    return tuple(
        ChainCost(root, names, own.get((root, names), _NONE), calls.get((root, names), _NONE))
        for root, names in keys
    )


def _lines(costs: Mapping[_LinePlace, Cost]) -> tuple[LineCost, ...]:
    found = (
        LineCost(line.function, line.file, line.line, into, cost)
        for (line, into), cost in costs.items()
    )
    return tuple(sorted(found, key=lambda one: (one.into, one.function, one.file, one.line)))


def _costs(found: Mapping[str, Mapping[K, float]]) -> dict[K, Cost]:
    """By key, from what each arm has; what is next to nothing is not there."""
    keys = dict.fromkeys(key for one in found.values() for key in one)
    every = {key: _cost({arm: one.get(key) for arm, one in found.items()}) for key in keys}
    return {key: cost for key, cost in every.items() if cost != _NONE}


def _cost(found: Mapping[str, float | None]) -> Cost:
    kept = {arm: value for arm, value in found.items() if value and abs(value) >= _NOTHING}
    return Cost(kept.get("base"), kept.get("patch"))


def _sum(costs: list[Cost]) -> Cost:
    sides = ([getattr(one, arm) for one in costs] for arm in ARMS)
    base, patch = (
        sum(value for value in side if value is not None) if any(side) else None for side in sides
    )
    return Cost(base, patch)


def _ranked(costs: Mapping[str, Cost]) -> tuple[Named, ...]:
    found = (Named(name, cost) for name, cost in costs.items())
    return tuple(sorted(found, key=lambda one: (-abs(one.cost.change), -_size(one.cost), one.name)))


def _size(cost: Cost) -> float:
    return max(cost.base or 0.0, cost.patch or 0.0)
