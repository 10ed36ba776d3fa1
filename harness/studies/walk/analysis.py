# SPDX-License-Identifier: GPL-2.0-only
"""The record of a walk and the results below it -> what each patch costs.  Runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report import analysis as excluded
from harness.report.facts import doubts
from harness.results import record as records
from harness.results.frames import ARMS, CONTROL
from harness.results.manifest import Manifest, ResultKind
from harness.results.pairing import Measurement, beside
from harness.stats import paired, verdict
from harness.stats.verdict import Direction, Verdict
from harness.studies.walk import functions, memory
from harness.studies.walk.functions import PatchFunctions
from harness.studies.walk.memory import Memory
from harness.util.errors import UserError

BASE = 0
"""Stands for the base where the number of a patch is asked for."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One patch at which the walk stopped.

    failure: why there is no kernel, "" if there is one
    lost: boots of it that do not count, one sentence each; boots: how many there are in all
    seconds, objects: of its build, None if not known
    lacking: options that switch the arm and that a later patch brings
    """

    number: int
    subject: str
    commit: str
    failure: str
    seconds: float | None
    objects: int | None
    lost: tuple[str, ...]
    boots: int
    lacking: tuple[str, ...] = ()

    @property
    def is_measured(self) -> bool:
        """At least one of its boots counts."""
        return not self.failure and len(self.lost) < self.boots


@dataclass(frozen=True, slots=True)
class WalkPoint:
    """A primary metric at one stop.

    since: the stop before that has values, 0 for the base: ``own`` is what the patches after it
        up to ``number`` change; whole: what all patches up to ``number`` change
    median: of the patched kernel's boots, in the line's unit
    """

    number: int
    since: int
    own: Verdict
    whole: Verdict
    median: float | None


@dataclass(frozen=True, slots=True)
class MetricWalk:
    """A primary metric of one cell over all stops that have values.  base: median of the base."""

    cell: str
    backend: str
    workload: str
    metric: str
    unit: str
    direction: str
    margin: str
    base: float | None
    marks: tuple[WalkPoint, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """A whole walk.

    count: patches of the series
    lost: boots that do not count, of the base and of the measurement of bytes
    doubts: why the patches may not be what was meant
    profiles: what each patch changes in which functions; empty without PROFILE=yes
    family: changes at one patch that share a level: those of all arms that are walked together
    """

    name: str
    command: str
    base: str
    version: str
    series: str
    title: str
    count: int
    stops: tuple[Stop, ...]
    lines: tuple[MetricWalk, ...]
    memory: tuple[Memory, ...]
    lost: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    profiles: tuple[PatchFunctions, ...] = ()
    family: int = 1

    @property
    def level(self) -> float:
        """Of the intervals, in per cent."""
        return 100 * verdict.shared(paired.LEVEL, self.family)

    @property
    def broken(self) -> tuple[Stop, ...]:
        """Stops that do not build."""
        return tuple(stop for stop in self.stops if stop.failure)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of each stop on its own, and of the last one as a whole."""
        own = [mark.own for line in self.lines for mark in line.marks]
        return (*own, *(line.marks[-1].whole for line in self.lines if line.marks))


def named(record: Mapping[str, Any]) -> str:
    """The names of the arms that a walk was made of, by its record; "" for a walk of one series."""
    return ", ".join(str(one["name"]) for one in record.get("arms", ()))


def analyse(folder: Path, family: int = 1) -> Walk:
    """Read results/<name> of a walk; ``family`` is as in `Walk`.

    UserError if it is none, if it is one of several arms, or if its results do not agree.
    """
    record = records.read(folder, ResultKind.WALK)
    if several := named(record):
        raise UserError(f"'{folder}' is a walk of the arms {several}: name one, {folder}/<arm>")
    steps: list[Mapping[str, Any]] = list(record["steps"])
    _check(folder, [str(step["folder"]) for step in steps if step["folder"]])
    read = {
        int(step["number"]): Measurement.load(folder / step["folder"])
        for step in steps
        if step["folder"]
    }
    sizes, unweighed = memory.of(
        {int(step["number"]): folder / step["memory"] for step in steps if step["memory"]}
    )
    facts = ("name", "command", "base", "version", "series", "title", "count")
    return Walk(
        **{key: record[key] for key in facts},
        stops=tuple(_stop(step, read.get(int(step["number"])), folder) for step in steps),
        lines=tuple(_lines(read, family)),
        memory=sizes,
        lost=(
            *next(
                (
                    _lost(read[int(step["number"])], folder / step["folder"], (ARMS[0], CONTROL))
                    for step in steps
                    if step["folder"]
                ),
                (),
            ),
            *unweighed,
        ),
        doubts=tuple(dict.fromkeys(said for one in read.values() for said in doubts(one.manifest))),
        profiles=tuple(
            functions.of(
                read,
                {int(step["number"]): folder / step["folder"] for step in steps if step["folder"]},
            )
        ),
        family=family,
    )


def _check(folder: Path, names: Sequence[str]) -> None:
    """Pairs join boots of several results: those must have the same base, machine and seeds."""
    first: dict[str, Any] | None = None
    for name in names:
        facts = json.loads((folder / name / "experiment.json").read_text(encoding="utf-8"))
        shared = {key: facts[key] for key in ("clock", "disk", "accel", "qemu", "image", "tools")}
        shared |= {"base": facts["kernels"]["base"], "seed": facts["experiment"]["seed"]}
        if first is not None and shared != first:
            key = next(key for key in shared if shared[key] != first[key])
            raise UserError(
                f"'{folder / name}' was measured with another {key} than '{names[0]}': remove "
                "the older of the two and run 'make walk' again"
            )
        first = first or shared


def _stop(step: Mapping[str, Any], read: Measurement | None, folder: Path) -> Stop:
    facts = ("number", "subject", "commit", "failure", "seconds", "objects")
    return Stop(
        **{key: step[key] for key in facts},
        lost=_lost(read, folder / step["folder"], ARMS[1:]) if read else (),
        boots=int((read.data.boots["arm"] == ARMS[1]).sum()) if read else 0,
        lacking=tuple(step.get("lacking", ())),
    )


def _lost(read: Measurement, results: Path, arms: Sequence[str]) -> tuple[str, ...]:
    boots = read.data.boots
    lost = excluded.failures(boots[boots["arm"].isin(arms)], read.manifest, results)
    return tuple(boot.sentence for boot in lost)


def _lines(read: Mapping[int, Measurement], family: int) -> Iterator[MetricWalk]:
    cells = sorted({cell for one in read.values() for cell in one.cells})
    for cell in sorted(cells, key=lambda name: tuple(reversed(name.rpartition(".")))):
        backend, _, workload = cell.rpartition(".")
        first = next(iter(read.values()))
        facts, metric = first.manifest, first.primary(cell)
        if metric is None:
            continue
        marks = tuple(_marks(read, cell, metric, workload, family))
        bases = [one.values(cell, metric, ARMS[0]) for one in read.values()]
        yield MetricWalk(
            cell=cell,
            backend=backend,
            workload=workload,
            metric=metric,
            unit=facts.unit(workload, metric, _unit(read, cell, metric), facts.clock),
            direction=facts.direction(workload, metric),
            margin=facts.workload(workload).margin,
            base=next((paired.spread(list(one)).median for one in bases if len(one)), None),
            marks=marks,
        )


def _unit(read: Mapping[int, Measurement], cell: str, metric: str) -> str:
    for one in read.values():
        known = one.data.metrics
        found = known[(known["cell"] == cell) & (known["name"] == metric)]["unit"]
        if len(found):
            return str(found.iloc[0])
    return ""


def _marks(
    read: Mapping[int, Measurement], cell: str, metric: str, workload: str, family: int
) -> Iterator[WalkPoint]:
    before, since = pd.Series(dtype=float), BASE
    for number, one in sorted(read.items()):
        base, patch, control = (one.values(cell, metric, arm) for arm in (*ARMS, CONTROL))
        if patch.empty:
            continue
        noise = (base, control) if len(control) else None
        own, whole = (
            judge(old, patch, noise, one.manifest, workload, metric, family=family)
            for old in (before if since else base, base)
        )
        yield WalkPoint(number, since, own, whole, paired.spread(list(patch)).median)
        before, since = patch, number


def judge(
    old: pd.Series[float],
    new: pd.Series[float],
    noise: tuple[pd.Series[float], pd.Series[float]] | None,
    facts: Manifest,
    workload: str,
    metric: str,
    *,
    family: int = 1,
) -> Verdict:
    """The verdict on the change from ``old`` to ``new``, pair by pair.

    ``noise`` is base and control, None if there is no control; ``facts`` declare the metric;
    ``family`` is as in `verdict.decide`.
    """
    better = facts.direction(workload, metric)
    direction: Direction | None = (
        "lower" if better == "lower" else "higher" if better == "higher" else None
    )
    return verdict.decide(
        beside(old, new),
        beside(*noise) if noise else None,
        direction=direction,
        margin_pct=facts.margin(workload),
        family=family,
    )
