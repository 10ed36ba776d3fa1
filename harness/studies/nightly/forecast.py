# SPDX-License-Identifier: GPL-2.0-only
"""When each revision or head will be done, by how long its cells took before.  Runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from harness.studies.nightly.job import Job
from harness.studies.nightly.store import NightlyComparison


@dataclass(frozen=True, slots=True)
class Expected:
    """What is left of one revision or head.

    jobs: comparisons left
    nights: how many more it takes, 0 for this one, None where one takes longer than a whole night
    seconds: of work in the last of them; None where nothing of the kind was ever measured
    """

    what: str
    jobs: int
    nights: int | None
    seconds: float | None

    def said(self, now: datetime | None = None) -> str:
        """In words; now: when this night's work goes on, None between nights."""
        count = f"{self.jobs} comparison{'' if self.jobs == 1 else 's'}"
        if self.nights is None:
            return f"{self.what}: {count}, one of which takes longer than the budget"
        if self.seconds is None:
            return f"{self.what}: {count}, nobody knows how long they take yet"
        if self.nights == 0 and now:
            done = now + timedelta(seconds=self.seconds)
            return f"{self.what}: {count}, done at about {done:%H:%M} UTC"
        when = "the next night" if self.nights <= 1 else f"{self.nights} nights"
        return f"{self.what}: {count}, done in {when}"


class Pace:
    """How long things took: seconds of a cell by suite and name, of a pair of kernels."""

    def __init__(self, past: Iterable[NightlyComparison]) -> None:
        whole = [one for one in past if one.seconds > 0]
        # A later look runs only what is missing.
        self.usual = {(one.suite, one.name): one.seconds for one in whole if one.looks == 1}
        self._any = median(one.seconds for one in whole) if whole else None
        made = [one.made_s for one in whole if one.made_s > 0]
        self.kernels = median(made) if made else 0.0

    def of(self, job: Job) -> float | None:
        """Seconds of a job, its kernels apart."""
        return self.usual.get((job.suite, job.name), self._any)


def forecast(
    jobs: Sequence[Job], pace: Pace, *, budget_s: float, used_s: float = 0.0, night: int = 0
) -> tuple[Expected, ...]:
    """For each revision or head in the order of the plan, by the rule of `measure`.

    A job that would not fit into what is left of a night waits for the next one.
    night: 0 where the first of the jobs may run in this night, 1 where it is over
    """
    done: dict[str, Expected] = {}
    rest, spent, made = list(jobs), used_s, set[str]()
    begun = spent
    while rest:
        waiting = []
        for job in rest:
            took, what = pace.of(job), job.point.folder
            was = done.get(what, Expected(what, 0, night, 0.0))
            if (took or 0.0) > budget_s:
                done[what] = replace(was, jobs=was.jobs + 1, nights=None)
                continue
            if spent >= budget_s or spent + (took or 0.0) > budget_s:
                waiting.append(job)
                continue
            kernels = f"{what}{job.arm}"
            spent += (took or 0.0) + (0.0 if kernels in made else pace.kernels)
            made.add(kernels)
            is_known = took is not None and was.seconds is not None
            nights = None if was.nights is None else night
            done[what] = Expected(what, was.jobs + 1, nights, spent - begun if is_known else None)
        rest, night, spent, begun = waiting, night + 1, 0.0, 0.0
    return tuple(done.values())
