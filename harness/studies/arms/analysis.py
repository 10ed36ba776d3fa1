# SPDX-License-Identifier: GPL-2.0-only
"""A study's folder -> each arm against the reference, metric by metric.  Runs nothing.

An arm of another compiler has a base of its own, compiled by that: against "base" it is compared
with that one, and that one is compared with base.

All arms of a cell and metric are one family: each comparison is made at a level that all share
(Bonferroni, as in `harness.stats.verdict`), so that all of them err no more often than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from harness.report import analysis as excluded
from harness.results import record as records
from harness.results.console import Outcome
from harness.results.frames import ARMS, CONTROL
from harness.results.manifest import ResultKind
from harness.results.pairing import Measurement
from harness.stats import paired, verdict
from harness.stats.verdict import Verdict
from harness.studies.walk.analysis import judge
from harness.util.errors import UserError
from harness.util.yamlfile import nearest

BASE = ARMS[0]
PRIMARY = "primary"
AA = "A/A"
"""What is said in place of a verdict on base against its control."""


@dataclass(frozen=True, slots=True)
class ComparedArm:
    """One arm.  what: its kernel and switch; failure: why it is no measurement, "" where it is one.

    folder: its comparison, below the study's; "" for none
    lost: boots of it that failed, a sentence each
    base: the name of the base that it is compared with; compiler: of both
    """

    name: str
    what: str
    folder: str
    failure: str = ""
    lost: tuple[str, ...] = ()
    base: str = BASE
    compiler: str = ""


@dataclass(frozen=True, slots=True)
class ArmEffect:
    """What an arm does to one metric.  verdict: from ``reference`` to it.

    before, median: of the boots of both; judged: it is what was asked about, and not a base beside
    it or a control
    """

    arm: str
    reference: str
    before: float | None
    median: float | None
    verdict: Verdict
    judged: bool

    @property
    def said(self) -> str:
        """The verdict in one word; "" for a base beside it."""
        if self.judged:
            return str(self.verdict.kind)
        return AA if self.arm.startswith(CONTROL) else ""


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric of one cell.  role: "primary" or "secondary"; median: of the reference."""

    cell: str
    metric: str
    unit: str
    direction: str
    role: str
    median: float | None
    effects: tuple[ArmEffect, ...]

    @property
    def backend(self) -> str:
        """The part of the cell's name before the dot."""
        return self.cell.rpartition(".")[0]

    @property
    def workload(self) -> str:
        """The part behind it."""
        return self.cell.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class ArmStudy:
    """A whole study.  lost: boots of the base that failed; pairs: asked for.

    family: comparisons that share a level; unset: options that the series leaves off, by arm
    """

    name: str
    command: str
    reference: str
    arms: tuple[ComparedArm, ...]
    lines: tuple[MetricLine, ...]
    lost: tuple[str, ...]
    base: str
    version: str
    clock: str
    family: int
    pairs: int | None
    has_control: bool

    @property
    def level(self) -> float:
        """Of the intervals, in per cent."""
        return 100 * verdict.shared(paired.LEVEL, self.family)

    @property
    def failed(self) -> tuple[ComparedArm, ...]:
        """The arms that are no measurement."""
        return tuple(one for one in self.arms if one.failure)

    @property
    def primary(self) -> tuple[MetricLine, ...]:
        """The primary metrics."""
        return tuple(one for one in self.lines if one.role == PRIMARY)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Those on primary metrics."""
        effects = (one for line in self.primary for one in line.effects)
        return tuple(one.verdict for one in effects if one.judged)

    @property
    def bases(self) -> tuple[str, ...]:
        """The names of the bases: one for each compiler."""
        return tuple(dict.fromkeys((BASE, *(one.base for one in self.arms))))

    @property
    def compilers(self) -> dict[str, str]:
        """By base, what compiled it; "" where nothing says."""
        found = {one.base: one.compiler for one in reversed(self.arms) if one.compiler}
        return {name: found.get(name, "") for name in self.bases}


def arms(folder: Path) -> tuple[ComparedArm, ...]:
    """The arms of a study as its record has them; what became of their boots is not read."""
    data = records.read(folder, ResultKind.ARMS)["arms"]
    return tuple(_recorded(one) for one in data)


def compilers(folder: Path) -> tuple[str, ...]:
    """What compiled which kernels of a study, a clause each; none where one did them all."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in arms(folder):
        if one.compiler:
            found.setdefault((one.base, one.compiler), [one.base]).append(one.name)
    said = (f"{' and '.join(names)}: compiled by {by}" for (_, by), names in found.items())
    return tuple(said) if len(found) > 1 else ()


def analyse(folder: Path, reference: str = "") -> ArmStudy:
    """Read a study; ``reference`` in place of the recorded one.

    UserError where it is none, or for an arm that it has not.
    """
    data = records.read(folder, ResultKind.ARMS)
    reference = reference or str(data["reference"])
    there = [str(one["name"]) for one in data["arms"]]
    read = {
        str(one["name"]): Measurement.load(folder / one["folder"])
        for one in data["arms"]
        if one["folder"]
    }
    arms = tuple(_arm(one, read, folder) for one in data["arms"])
    sound = {one.name: read[one.name] for one in arms if not one.failure}
    bases = {one.name: one.base for one in arms}
    known = tuple(dict.fromkeys((BASE, *bases.values(), *there)))
    if reference not in known:
        raise UserError(f"REFERENCE is '{reference}', which is no arm{nearest(reference, known)}")
    if reference in there and reference not in sound:
        why = next(one.failure for one in arms if one.name == reference)
        raise UserError(f"REFERENCE is '{reference}', and that arm failed: {why}")
    some = next(iter(read.values()))
    facts = some.manifest
    # Each arm and each base but the reference, which is one of them.
    family = max(1, len(known) - 1)
    return ArmStudy(
        name=str(data["name"]),
        command=str(data["command"]),
        reference=reference,
        arms=arms,
        lines=tuple(_lines(sound, bases, reference, family)),
        lost=tuple(
            dict.fromkeys(
                said
                for one in arms
                if one.folder
                for said in _lost(read[one.name], folder / one.folder, (BASE, CONTROL))
            )
        ),
        base=facts.arm(BASE).name,
        version=facts.arm(BASE).version,
        clock=facts.clock,
        family=family,
        pairs=facts.pairs,
        has_control=facts.aa,
    )


def _recorded(data: Mapping[str, str]) -> ComparedArm:
    return ComparedArm(
        data["name"],
        data["what"],
        data["folder"],
        data["failure"],
        base=data.get("base", BASE),
        compiler=data.get("compiler", ""),
    )


def _arm(data: Mapping[str, str], read: Mapping[str, Measurement], folder: Path) -> ComparedArm:
    one = _recorded(data)
    if not one.folder:
        return one
    lost = _lost(read[one.name], folder / one.folder, ARMS[1:])
    return replace(one, failure=one.failure or _failure(read[one.name], lost), lost=lost)


def _failure(one: Measurement, lost: Sequence[str]) -> str:
    """Why the boots of an arm are no measurement; "" if some are.

    What a single boot is not proved to have run, no other boot is trusted with.
    """
    boots = one.data.boots
    mine = boots[boots["arm"] == ARMS[1]]
    outcomes = [str(outcome) for outcome in mine["outcome"]]
    unproven = outcomes.count(Outcome.UNPROVEN)
    if not unproven and bool(mine["usable"].any()):
        return ""
    count = unproven or len(outcomes)
    said = next((text for text in lost if not unproven or Outcome.UNPROVEN in text), "no boot")
    return f"{count} of {len(outcomes)} boots are no measurement; {said}"


def _lost(read: Measurement, results: Path, arms: Sequence[str]) -> tuple[str, ...]:
    boots = read.data.boots
    mine = boots[boots["arm"].isin(arms)]
    return tuple(one.sentence for one in excluded.failures(mine, read.manifest, results))


def _lines(
    sound: Mapping[str, Measurement], bases: Mapping[str, str], reference: str, family: int
) -> Iterator[MetricLine]:
    """Of all cells; ``bases`` are those of all arms, by arm."""
    cells = {cell for one in sound.values() for cell in one.cells}
    for cell in sorted(cells, key=lambda name: tuple(reversed(name.rpartition(".")))):
        mine = {name: one for name, one in sound.items() if cell in one.cells}
        some = next(iter(mine.values()))
        metrics = some.data.metrics
        units = dict(
            metrics[metrics["cell"] == cell][["name", "unit"]].itertuples(index=False, name=None)
        )
        primary = some.primary(cell)
        for metric in sorted(units, key=lambda name: (name != primary, name)):
            line = _line(mine, bases, reference, cell, str(metric), str(units[metric]), family)
            if line.effects:
                yield line


def _line(
    mine: Mapping[str, Measurement],
    bases: Mapping[str, str],
    reference: str,
    cell: str,
    metric: str,
    unit: str,
    family: int,
) -> MetricLine:
    some = next(iter(mine.values()))
    facts, workload = some.manifest, cell.rpartition(".")[2]
    values: dict[str, pd.Series[float]] = {}
    noise: dict[str, tuple[pd.Series[float], pd.Series[float]]] = {}
    for name, base in bases.items():
        if name in mine and base not in values:
            values[base], control = (
                mine[name].values(cell, metric, arm) for arm in (BASE, CONTROL)
            )
            if len(control):
                noise[base] = (values[base], control)
    values |= {name: mine[name].values(cell, metric, ARMS[1]) for name in bases if name in mine}

    def effect(name: str, old: str, new: pd.Series[float], judged: bool) -> Iterator[ArmEffect]:
        before = values.get(old, pd.Series(dtype=float))
        if len(new) and len(before):
            own = None if name.startswith(CONTROL) else noise.get(bases.get(old, old))
            found = judge(before, new, own, facts, workload, metric, family=family)
            first, median = (paired.spread(list(one)).median for one in (before, new))
            yield ArmEffect(name, old, first, median, found, judged)

    effects: list[ArmEffect] = []
    is_usual = reference == BASE
    for name, new in values.items():
        if name != reference:
            against = bases.get(name, BASE) if is_usual else reference
            effects += effect(name, against, new, not is_usual or name in bases)
        if is_usual and name in noise:
            again = name.replace(BASE, CONTROL, 1)
            effects += effect(again, name, noise[name][1], judged=False)
    return MetricLine(
        cell=cell,
        metric=metric,
        unit=facts.unit(workload, metric, unit, facts.clock),
        direction=facts.direction(workload, metric),
        role=PRIMARY if metric == some.primary(cell) else "secondary",
        median=paired.spread(list(values.get(reference, ()))).median,
        effects=tuple(effects),
    )
