# SPDX-License-Identifier: GPL-2.0-only
"""The plan of a night: which comparisons, in which order, kept as a file until it is done.

The order, so that a budget that runs out has spent itself on what tells most:

1. the newest revision or head of everything that is followed, then the one before, and so on;
2. among these, cells that were never measured of that subject come first: nothing is known;
   then cells in which the last measured revision was worse or better, or lost a boot;
   then those that were undecided or without verdict; then those that were equivalent;
3. then as nightly.yaml lists them, one cell of each subject after the other.

What is measured and undecided gets more pairs, up to ``most_pairs``, if it is of the newest
revision; it counts as undecided in the order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiment import program, settings
from harness.experiment.settings import Identity
from harness.experiment.spec import Experiment
from harness.run import identity
from harness.studies.nightly.config import Config
from harness.studies.nightly.job import Job, Subject
from harness.studies.nightly.store import NightlyComparison, StoredEstimate
from harness.util import atomic
from harness.util.errors import Exit, InfraError

NAME = "night.json"
_SCHEMA = 1
_RANKS = ("never measured", "moved last time", "undecided last time", "steady last time")


@dataclass(frozen=True, slots=True)
class Agenda:
    """A night under way. night: its id in the history; used_s: seconds of work so far."""

    night: int
    started: str
    config: str
    used_s: float
    jobs: tuple[Job, ...]

    def after(self, key: str, state: str, used_s: float) -> Agenda:
        """The same with one job in another state."""
        jobs = (dataclasses.replace(job, state=state) if job.key == key else job
                for job in self.jobs)  # fmt: skip
        return dataclasses.replace(self, jobs=tuple(jobs), used_s=used_s)

    @property
    def left(self) -> tuple[Job, ...]:
        """What is still to be done."""
        return tuple(job for job in self.jobs if job.state == "todo")


def plan(
    config: Config,
    points: Sequence[Subject],
    comparisons: Iterable[NightlyComparison],
    estimates: Iterable[StoredEstimate],
) -> tuple[Job, ...]:
    """The jobs of a new night in their order.  Pure: the same history, the same plan."""
    past = _Past(comparisons, estimates)
    ranked: list[tuple[tuple[int, int, int, int], Job]] = []
    for number, (suite, unit) in enumerate(config.units):
        name, data = unit_name(suite, unit), unit_data(unit)
        least = unit.schedule.pairs
        for place, point in enumerate(points):
            key = _key(point, suite, unit, data)
            job = Job(key, point, suite, name, data, least, "")
            rank, pairs = past.rank(job, config.most_pairs)
            if rank is None:
                continue
            why = _RANKS[rank] if pairs == least else f"undecided: {pairs} pairs in all"
            looks = past.done[key].looks if key in past.done else 0
            job = dataclasses.replace(job, pairs=pairs, why=why, looks=looks)
            ranked.append(((point.age, rank, number, place), job))
    return tuple(job for _, job in sorted(ranked, key=lambda one: one[0]))


def unit_name(suite: str, unit: Experiment) -> str:
    """The folder of one back-end by one workload: its cell, and how many more if settings vary.

    The name of its arm, if it has one, ends it.
    """
    cells = unit.cells()
    more = f"-and-{len(cells) - 1}-more" if len(cells) > 1 else ""
    arm = "".join(f"-{name}" for name in unit.kernels.arms or ())
    return f"{suite}-{cells[0].name}{more}{arm}" if suite else f"{cells[0].name}{more}{arm}"


def unit_data(unit: Experiment) -> dict[str, Any]:
    """The settings of a unit as plain data, without what is at its default."""
    data = json.loads(json.dumps(unit.as_data()))
    return {
        name: data[name]
        for name, one in settings.stored().items()
        if name in ("backends", "workloads")
        or (one.nightly and name != "pairs" and data[name] != _plain(one.default))
    }


class _Past:
    """What the history says of the jobs."""

    def __init__(
        self, comparisons: Iterable[NightlyComparison], estimates: Iterable[StoredEstimate]
    ) -> None:
        self.done = {one.key: one for one in comparisons}  # the last night's
        self._verdicts: dict[tuple[int, str], list[StoredEstimate]] = {}
        for one in estimates:
            if one.role == "primary":
                self._verdicts.setdefault((one.night, one.key), []).append(one)
        self._last: dict[tuple[str, str, str, str], NightlyComparison] = {}
        for last in sorted(self.done.values(), key=lambda one: (one.date, one.night)):
            self._last[(last.subject, last.base, last.suite, last.name)] = last

    def rank(self, job: Job, most_pairs: int) -> tuple[int | None, int]:
        """Its place in the order, None if there is nothing to do; and the pairs to run."""
        before = self.done.get(job.key)
        if before is not None:
            # The same patches on the same base fail the same way; the rest is tried again.
            if before.status in (Exit.USER, Exit.INFRA):
                return 2, job.pairs
            more = [one.more for one in self._of(before) if one.verdict == "undecided"]
            wanted = max((one for one in more if one), default=0)
            pairs = min(before.pairs + wanted, most_pairs)
            wants = job.point.age == 0 and wanted > 0 and pairs > before.pairs
            return (2 if wants else None), pairs
        last = self._last.get(job.line)
        if last is None:
            return 0, job.pairs
        kinds = {one.verdict for one in self._of(last)}
        if kinds & {"worse", "better"} or last.status == Exit.KERNEL:
            return 1, job.pairs
        return (2 if kinds - {"equivalent"} or not kinds else 3), job.pairs

    def _of(self, one: NightlyComparison) -> list[StoredEstimate]:
        return self._verdicts.get((one.night, one.key), [])


def write(path: Path, agenda: Agenda) -> None:
    """Keep the plan; a reader sees the old one or the new one."""
    data = {"schema": _SCHEMA, **dataclasses.asdict(agenda)}
    atomic.text(path, atomic.json_text(data))


def read(path: Path) -> Agenda | None:
    """The plan of the night under way; None if there is none.  InfraError for a damaged one."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema") != _SCHEMA:
            raise ValueError("another version")
        jobs = tuple(Job(**{**job, "point": Subject(**job["point"])}) for job in data.pop("jobs"))
        return Agenda(**data, jobs=jobs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfraError(
            f"the plan {path} cannot be read ({error}); remove it, and a new night begins"
        ) from error


def _key(point: Subject, suite: str, unit: Experiment, data: Mapping[str, Any]) -> str:
    # A posting that the registry learns of later is the same one.
    which = point.head or point.revision or point.patch
    what = [point.subject, point.kind, which, point.base, suite]
    known = settings.stored()
    figures = {
        name: value
        for name, value in data.items()
        if known[name].identity not in (Identity.NEVER, Identity.WALL)
    }
    # A program of the user's own is its files and what is said beside them, wherever they lie.
    figures["workloads"] = [program.kept(one) for one in data["workloads"]]
    if own := [identity.definition(cell) for cell in unit.cells() if cell.workload.own]:
        figures["programs"] = own
    return hashlib.sha256(json.dumps([what, figures], sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
