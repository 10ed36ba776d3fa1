# SPDX-License-Identifier: GPL-2.0-only
"""The boots under the caches and locks plugins -> what each operation misses and holds."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from harness.costs import caches, cycles, locks
from harness.costs.caches import CacheCounts
from harness.costs.cycles import CycleEstimate
from harness.costs.locks import LockCounts, NamedChange, SiteChange
from harness.experiment import cpumodel
from harness.experiment.cpumodel import CpuModel
from harness.report.profile import datanames, sums
from harness.report.profile.sums import ARMS
from harness.results import places, symbols
from harness.results.counted import BUSY
from harness.results.manifest import Manifest
from harness.results.places import Places, SourceLine
from harness.results.symbols import KernelSymbols
from harness.util import atomic

T = TypeVar("T")

CACHES, LOCKS = "caches", "locks"
"""Names of the plugins: ends of the boots' folders, and of the packed outputs in them."""

Sides = tuple[float, float]
"""Of base and patch, for each unit of work."""

_CLONE = re.compile(r"\.(constprop|isra|part|cold)(\.\d+)*")


@dataclass(frozen=True, slots=True)
class NamedMisses:
    """A function or a line by one CPU's model; misses: by event; stalls: cycles of all of them."""

    name: str
    misses: tuple[Sides, ...]
    stalls: Sides


@dataclass(frozen=True, slots=True)
class ModelMisses:
    """One operation on one CPU's model.

    functions, lines: by what their misses change, then cost; a line is named by `line_name`
    data: data structures, likewise; none in results of before they were told
    """

    model: CpuModel
    estimate: CycleEstimate
    misses: tuple[Sides, ...]
    regions: Mapping[str, tuple[Sides, ...]]
    functions: tuple[NamedMisses, ...]
    lines: tuple[NamedMisses, ...] = ()
    data: tuple[NamedMisses, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldMost:
    """The ceiling of one kernel: functions that take the lock, instructions held, CPUs.

    name: of the lock, "" if it is not known
    """

    functions: tuple[str, ...]
    held: float
    cpus: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class OperationCosts:
    """One metric of one cell, base against patch; a part that was not booted is empty.

    busy: the report has this metric as all instructions of its phase, where a back-end waits
    lines: distinct cache lines of an operation; seen: locks lost and unmatched, of both kernels
    named: locks by what they are in; none in results of before that was told
    """

    cell: str
    metric: str
    unit: str
    models: tuple[ModelMisses, ...] = ()
    lines: tuple[float | None, float | None] = (None, None)
    holds: tuple[SiteChange, ...] = ()
    ceilings: tuple[HeldMost | None, HeldMost | None] = (None, None)
    seen: tuple[int, int] = (0, 0)
    named: tuple[NamedChange, ...] = ()
    busy: bool = False

    @property
    def title(self) -> str:
        """Cell and metric as the report calls it."""
        return f"{self.cell} {self.metric}{BUSY if self.busy else ''}"


@dataclass(frozen=True, slots=True)
class Costs:
    """All operations of a result; sentences of trouble."""

    operations: tuple[OperationCosts, ...]
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Namer:
    """What one kernel's addresses are: functions, and lines ("" where no profile has them).

    data: what a plugin's word for a data structure is called
    """

    function: Callable[[int], str]
    line: Callable[[int], str]
    data: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class _Boot(Generic[T]):
    """One boot's sums of each metric, one a round, with the units of work of all rounds."""

    sums: Mapping[str, tuple[list[T], float]]
    units: Mapping[str, str]


def is_there(results: Path) -> bool:
    """Whether a result has any such boot."""
    boots = results / "boots"
    return any(any(boots.glob(f"*/[!.]*.{name}")) for name in (CACHES, LOCKS))


def analyse(results: Path, manifest: Manifest) -> Costs:
    """What both kernels miss and hold, the primary metric of each cell first.

    What cannot be read is a sentence in it.
    """
    names = {arm: symbols.read(results, arm) for arm in ARMS}
    namers = {arm: _namer(one, places.read(results, arm)) for arm, one in names.items() if one}
    operations: list[OperationCosts] = []
    troubles: list[str] = []
    paths = [path for name in (CACHES, LOCKS) for path in (results / "boots").glob(f"*/*.{name}")]
    if any(one is None for one in names.values()):
        return Costs((), ("Misses and locks have no names: nobody recorded the functions.",))
    known = {arm: one for arm, one in names.items() if one}
    for cell in sorted({path.parent.name for path in paths}):
        try:
            misses = _pair(results, cell, CACHES, caches.parse)
            holds = _pair(results, cell, LOCKS, locks.parse)
            backend, _, workload = cell.rpartition(".")
            called = manifest.primary(workload, backend, manifest.clock) or ""
            made = (
                replace(one, busy=called.endswith(BUSY))
                for one in _operations(cell, misses, holds, known, namers)
            )
            operations += sorted(made, key=lambda one: one.metric != sums.bare(called))
        except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError) as error:
            troubles.append(f"{cell}: misses and locks cannot be told: {error}")
    return Costs(tuple(operations), tuple(troubles))


def _pair(
    results: Path, cell: str, name: str, parse: Callable[[str], Mapping[int, T]]
) -> tuple[_Boot[T], ...]:
    """The boot of each arm; none unless both are there.  ValueError for one that failed."""
    boots: list[_Boot[T]] = []
    for arm in ARMS:
        here = sorted((results / "boots" / cell).glob(f"[!.]*-{arm}.{name}"))
        if not here:
            return ()
        facts = atomic.json_file(here[0] / "boot.json") or {}
        if facts.get("outcome") != "ok":
            raise ValueError(f"the boot {here[0].name} failed: {facts.get('outcome', 'no record')}")
        text = gzip.decompress((here[0] / f"{name}.gz").read_bytes()).decode("ascii")
        boots.append(_boot(here[0] / "workload.jsonl", parse(text)))
    return tuple(boots)


def _boot(path: Path, rounds: Mapping[int, T]) -> _Boot[T]:
    found: dict[str, list[tuple[T, float]]] = defaultdict(list)
    units: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        item = json.loads(line)
        if item.get("type") == "metric" and "counted" in item:
            name = sums.bare(str(item["name"]))
            found[name].append((rounds[int(item["counted"])], float(item["per"])))
            units[name] = str(item["unit"]).partition("/")[2] or "run"
    made = {
        name: ([one for one, _ in rows], sum(per for _, per in rows))
        for name, rows in found.items()
    }
    return _Boot({name: both for name, both in made.items() if both[1] > 0}, units)


def _operations(
    cell: str,
    misses: tuple[_Boot[CacheCounts], ...],
    holds: tuple[_Boot[LockCounts], ...],
    names: Mapping[str, KernelSymbols],
    namers: Mapping[str, _Namer],
) -> list[OperationCosts]:
    metrics: dict[str, str] = {}
    for units in (*(boot.units for boot in misses), *(boot.units for boot in holds)):
        metrics.update(units)
    found = []
    for metric, unit in metrics.items():
        one = OperationCosts(cell, metric, unit)
        if misses and all(metric in boot.sums for boot in misses):
            one = _missed(one, [boot.sums[metric] for boot in misses], namers)
        if holds and all(metric in boot.sums for boot in holds):
            one = _held(one, [boot.sums[metric] for boot in holds], namers, names)
        found.append(one)
    return found


def _namer(names: KernelSymbols, found: Places | None) -> _Namer:
    """Without what the compiler appends to the names of copies."""
    symbol = names.namer()

    def function(address: int) -> str:
        return _CLONE.sub("", symbol(address))

    def line(address: int) -> str:
        stack = found.stack(address) if found else ()
        # An address that no profile has would get the line of the one before it.
        if not stack or _CLONE.sub("", stack[-1].function) != function(address):
            return ""
        return line_name(stack[0])

    return _Namer(function, line, datanames.namer(names, function))


def line_name(line: SourceLine) -> str:
    """What a line is called among misses: function, file and number; "" if it is not known."""
    return f"{line.function} {line.file}:{line.line}" if line.line else ""


def _missed(
    one: OperationCosts,
    sides: list[tuple[list[CacheCounts], float]],
    namers: Mapping[str, _Namer],
) -> OperationCosts:
    counts = [caches.merged(rounds) for rounds, _ in sides]
    per = (sides[0][1], sides[1][1])
    models = tuple(
        _model(model, counts, per, namers)
        for name, model in cpumodel.known().items()
        if all(name in mine.models for mine in counts)
    )
    lines = (counts[0].lines_per_operation, counts[1].lines_per_operation)
    return replace(one, models=models, lines=lines)


def _model(
    model: CpuModel,
    counts: list[CacheCounts],
    per: Sides,
    namers: Mapping[str, _Namer],
) -> ModelMisses:
    rows = [one.models[model.name] for one in counts]
    functions, lines = (
        [
            caches.by_function(mine, getattr(namers[arm], what))
            for mine, arm in zip(rows, ARMS, strict=True)
        ]
        for what in ("function", "line")
    )
    data = [caches.by_data(mine, namers[arm].data) for mine, arm in zip(rows, ARMS, strict=True)]
    regions = [caches.by_region(mine) for mine in rows]
    return ModelMisses(
        model,
        cycles.compare(model, counts[0], counts[1], per),
        _sides([one.misses(model.name) for one in counts], per),
        {
            region: _sides([one.get(region) for one in regions], per)
            for region in caches.REGIONS
            if any(region in one for one in regions)
        },
        _ranked(model, functions, per),
        tuple(one for one in _ranked(model, lines, per) if ":" in one.name),
        _ranked(model, data, per),
    )


def _ranked(
    model: CpuModel, by_name: Sequence[Mapping[str, caches.Misses]], per: Sides
) -> tuple[NamedMisses, ...]:
    """By what the cycles of their misses change, then by those of base."""
    made = []
    for name in {**by_name[0], **by_name[1]}:
        found = _sides([one.get(name) for one in by_name], per)
        stalls = [cycles.stalls(model, [side[i] for side in found]) for i in range(2)]
        made.append(NamedMisses(name, found, (stalls[0], stalls[1])))
    made.sort(key=lambda one: (-abs(one.stalls[1] - one.stalls[0]), -one.stalls[0], one.name))
    return tuple(made)


def _sides(found: Sequence[caches.Misses | None], per: Sides) -> tuple[Sides, ...]:
    base, patch = (one or (0,) * len(cpumodel.EVENTS) for one in found)
    return tuple((left / per[0], right / per[1]) for left, right in zip(base, patch, strict=True))


def _held(
    one: OperationCosts,
    sides: list[tuple[list[LockCounts], float]],
    namers: Mapping[str, _Namer],
    names: Mapping[str, KernelSymbols],
) -> OperationCosts:
    counts = [
        locks.only_sections(locks.merged(rounds), names[arm].sections)
        for (rounds, _), arm in zip(sides, ARMS, strict=True)
    ]
    per = (sides[0][1], sides[1][1])
    called = (namers["base"].function, namers["patch"].function)
    tops = [
        _held_most(rounds, count, namers[arm], names[arm])
        for (rounds, _), count, arm in zip(sides, per, ARMS, strict=True)
    ]
    return replace(
        one,
        holds=tuple(locks.changes(counts[0], counts[1], per, called)),
        ceilings=(tops[0], tops[1]),
        named=tuple(
            locks.by_name(
                counts, per, called, [datanames.lock_namer(namers[arm].data) for arm in ARMS]
            )
        ),
        seen=(sum(mine.lost for mine in counts), sum(mine.unmatched for mine in counts)),
    )


def _held_most(
    rounds: Sequence[LockCounts], per: float, namer: _Namer, names: KernelSymbols
) -> HeldMost | None:
    """By round: a lock may be another one in each, as that of a memory cgroup is."""
    takers, held, name = set[str](), 0, ""
    for counts in rounds:
        words = {inside.data for inside in counts.inside.values()}
        private = {word for word in words if namer.data(word) == datanames.LATER_CHUNKS}
        if found := counts.ceiling(names.per_cpu, private):
            takers |= {namer.function(site) if site else "(unknown)" for site in found.lock.holds}
            held += found.held
            inside = counts.inside.get(found.lock.address)
            name = name or (datanames.lock_namer(namer.data)(inside) if inside else "")
    if not held:
        return None
    executed = sum(counts.executed for counts in rounds)
    return HeldMost(tuple(sorted(takers)), held / per, executed / held, name)
