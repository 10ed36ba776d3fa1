# SPDX-License-Identifier: GPL-2.0-only
"""``make nightly``: look what is new, measure it within a budget, keep the history, draw the trend.

A night is a plan in a file (``night.json``). Killed at any moment, the next call goes on with the
first comparison of the plan that is not done, and that one with its first missing boot. The
history gets each comparison in one transaction when it is done. A night whose budget runs out
ends its guests, keeps their boots, and reports; the next night plans anew, and what was begun goes
on in its own folder.
"""

from __future__ import annotations

import datetime
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.build import pair
from harness.build.pair import Context, KernelPair
from harness.experiment import cell
from harness.report import files
from harness.results.manifest import ResultKind
from harness.run import identity, manifest
from harness.series import unlisted
from harness.studies import ability, compare
from harness.studies.arms import choice
from harness.studies.nightly import (
    agenda,
    moves,
    news,
    outcome,
    report,
    search,
    store,
    thin,
    trend,
    words,
)
from harness.studies.nightly.agenda import Agenda
from harness.studies.nightly.config import Config
from harness.studies.nightly.forecast import Expected, Pace, forecast
from harness.studies.nightly.job import Job, Subject
from harness.studies.nightly.moves import Move
from harness.studies.nightly.news import Trouble
from harness.studies.nightly.store import (
    HistoryStore,
    Night,
    NightlyComparison,
    NightlyFailure,
    StoredEstimate,
)
from harness.studies.nightly.words import TriageWord
from harness.studies.result import StudyResult, sealed
from harness.util import atomic, progress
from harness.util.errors import Exit, HarnessError, InfraError, UserError
from harness.util.paths import REPO

_log = logging.getLogger(__name__)

REGISTRY = REPO / "kernels" / "series"
_KINDS = {Exit.USER: "user", Exit.KERNEL: "kernel", Exit.INFRA: "infra"}
_AGAIN = 60.0  # seconds until the alarm rings again: longer than guests take to end
_DONORS = 12  # the newest results whose boots of the base may serve


class Spent(KeyboardInterrupt):
    """The budget is spent: guests end as they do when somebody interrupts the command."""


def nightly(config: Config, context: Context) -> StudyResult:
    """Run one night, or the rest of one that was cut off.

    Raises UserError when another one is running in that folder, and what the history raises.
    What fails in a comparison, a list or a repository is part of the report.
    """
    root = context.results / config.name
    words.read(words.beside(config.path))  # a mistake is said now, not in the morning
    identity.claimed(root, ResultKind.NIGHTLY)
    with manifest.locked(root), store.opened(root / store.NAME) as history:
        night = _Night(config, context, root, history)
        ran = night.work(_under_way(config, context, root, history) or night.plan())
        night.search()
        return night.close(ran)


def _under_way(
    config: Config, context: Context, root: Path, history: HistoryStore
) -> Agenda | None:
    """The plan of a night that was cut off, if it is of the same nightly.yaml."""
    found = agenda.read(root / agenda.NAME)
    if found is None:
        return None
    known = {one.id: one for one in history.nights()}.get(found.night)
    if known is None or known.state != store.OPEN:
        return None  # it ended, and only its file was left behind
    if found.config != config.sha256:
        _log.info(f"{config.path} was changed: the night of {found.started} is given up")
        state = replace(known, state=store.REPLACED, ended=_now(), left_over=len(found.left))
        history.end(state)
        return None
    _log.info(f"going on with the night of {found.started}: {len(found.left)} to do")
    return found


class _Night:
    """The night under way."""

    def __init__(self, config: Config, context: Context, root: Path, history: HistoryStore) -> None:
        self._config, self._context, self._root, self._history = config, context, root, history
        self._made: dict[tuple[Subject, str], KernelPair | HarnessError] = {}
        self._agenda = Agenda(0, "", "", 0.0, ())
        self._made_s = 0.0

    def plan(self) -> Agenda:
        """Look what is new and write the plan."""
        context, config, started = self._context, self._config, _now()
        with progress.stage("news"):
            found = news.look(config, context.mails, registry_folder=REGISTRY, now=started)
        past = self._history
        jobs = agenda.plan(config, found.points, past.comparisons(), past.estimates())
        number = past.begin(
            Night(0, started, "", config.sha256, config.budget, 0.0, len(jobs), len(jobs),
                  store.OPEN, 0)
        )  # fmt: skip
        past.note([_trouble(number, one) for one in found.troubles])
        for one in found.troubles:
            _log.warning(f"{one.place}: {one.error}")
        made = Agenda(number, started, config.sha256, 0.0, jobs)
        agenda.write(self._root / agenda.NAME, made)
        _log.info(f"night {number}: {len(jobs)} comparisons to do")
        return made

    def work(self, plan: Agenda) -> int:
        """Run what is left of the plan while the budget lasts; how many were done."""
        self._agenda, ran, point = plan, 0, None
        self._foretell()
        for job in plan.left:
            left = self._config.budget - self._agenda.used_s
            if left <= 0:
                break
            usual = Pace(self._history.comparisons()).usual.get((job.suite, job.name), 0.0)
            if usual > left:
                continue  # a shorter one may still fit
            if point not in (None, job.point):
                self._foretell()
            point = job.point
            begun = time.monotonic()
            try:
                with _limited(left):
                    state = self._one(job)
            except Spent:
                _log.warning(f"the budget is spent in the middle of {job.folder}")
                self._keep(job.key, "todo", begun)
                break
            self._keep(job.key, state, begun)
            ran += 1
        return ran

    def _foretell(self) -> None:
        """Say when what is left will be done."""
        now = datetime.datetime.now(datetime.UTC)
        for one in self._forecast(0):
            _log.info(f"forecast: {one.said(now)}")

    def _forecast(self, night: int) -> tuple[Expected, ...]:
        plan, budget = self._agenda, self._config.budget
        used = 0.0 if night else plan.used_s
        pace = Pace(self._history.comparisons())
        return forecast(plan.left, pace, budget_s=budget, used_s=used, night=night)

    def search(self) -> None:
        """Spend what is left of the budget on finding the patches that moved a line."""
        if self._config.bisect != "auto":
            return
        for move in search.wanted(self._moves(), self._words()):
            left = self._config.budget - self._agenda.used_s
            if left <= 0:
                return
            _log.info(f"bisect-{move.id}: {move.line.title} moved at {move.at.label}")
            begun = time.monotonic()
            try:
                with _limited(left):
                    where = replace(
                        self._context,
                        results=self._root,
                        kernel_git=self._config.kernel_git or self._context.kernel_git,
                    )
                    found = search.run(move, where, self._agenda.night)  # fmt: skip
            except Spent:
                _log.warning(f"the budget is spent in the middle of bisect-{move.id}")
                return
            except InfraError as error:
                _log.warning(f"bisect-{move.id}: {error}")
                self._history.note([NightlyFailure(self._agenda.night, "", f"bisect-{move.id}",
                                                   "infra", str(error))])  # fmt: skip
            else:
                _log.info(f"bisect-{move.id}: {found.detail}")
                self._history.searched(found)
            finally:
                self._keep("", "", begun)

    def _words(self) -> dict[str, TriageWord]:
        """What people said; nothing where somebody broke the file since the night began."""
        try:
            return words.read(words.beside(self._config.path))
        except UserError as error:
            _log.warning(f"the words on what moved are left out: {error}")
            return {}

    def _moves(self) -> tuple[Move, ...]:
        lines = trend.read(self._history, name=self._config.name).lines
        return moves.find(self._history, lines)

    def close(self, ran: int) -> StudyResult:
        """End the night in the history, and report."""
        plan = self._agenda
        mine = [one for one in self._history.comparisons() if one.night == plan.night]
        own = [one for one in self._history.failures(plan.night) if not one.key]
        statuses = [one.status for one in mine]
        statuses += [Exit.USER if one.kind == "user" else Exit.INFRA for one in own]
        # What nobody judged has not passed.
        statuses += [Exit.UNDECIDED] if plan.left else []
        status = outcome.gravest(statuses)
        self._history.end(
            Night(
                plan.night, plan.started, _now(), plan.config, self._config.budget,
                round(plan.used_s, 1), len(plan.jobs), len(plan.left),
                store.SPENT if plan.left else store.WHOLE, int(status),
            )
        )  # fmt: skip
        expected = [f"{one.said()}." for one in self._forecast(1)]
        report.record(self._root, self._config.name, plan.left, self._unlisted(), expected)
        if self._config.path.is_file():
            atomic.binary(self._root / "nightly.yaml", self._config.path.read_bytes())
        if said := self._words():
            words.write(self._root / words.COPY, list(said.values()))
        if self._config.keep:
            thin.thin(self._root, self._history, self._moves(), self._config.keep)
        (self._root / agenda.NAME).unlink(missing_ok=True)
        made = sealed(self._root, report.make)
        return replace(made, done=ran)

    def _unlisted(self) -> list[str]:
        """What the registry lacks by now, as far as local mirrors tell."""
        mails = self._context.mails
        if not mails.mirrors:
            return []
        try:
            found = unlisted.check(REGISTRY, mails)
        except HarnessError as error:
            _log.warning(f"the registry was not compared with the mirrors: {error}")
            return []
        return [one.sentence for one in found if one.newer]

    def _keep(self, key: str, state: str, begun: float) -> None:
        used = self._agenda.used_s + time.monotonic() - begun
        self._agenda = self._agenda.after(key, state, used)
        agenda.write(self._root / agenda.NAME, self._agenda)

    def _one(self, job: Job) -> str:
        """Run one comparison into the history; what became of it."""
        _log.info(f"{job.folder} ({job.why})")
        begun, self._made_s = time.monotonic(), 0.0
        try:
            done, skipped = self._compare(job)
        except HarnessError as error:
            _log.warning(f"{job.folder}: {error}")
            kind = _KINDS.get(error.status, "infra")
            self._add(job, error.status, 0.0, [], [(job.point.folder, kind, str(error))])
            return "failed"
        if done is None:
            self._add(job, Exit.OK, 0.0, [], [(job.folder, "skipped", skipped)])
            return "done"
        # Kernels are built once for all cells of a revision: their time says nothing of this one.
        seconds = time.monotonic() - begun - self._made_s if done.done else 0.0
        found, night = files.read(done.folder, counters=False), self._agenda.night
        self._add(
            job,
            done.status,
            seconds,
            outcome.estimates(found, night=night, key=job.key, arm=job.arm),
            outcome.failures(found),
        )  # fmt: skip
        return "done"

    def _compare(self, job: Job) -> tuple[StudyResult | None, str]:
        """The comparison; or None and why these kernels cannot run its cell."""
        context = self._context_of(job.point)
        experiment = job.experiment(str(self._root / agenda.NAME))
        experiment = choice.single(experiment, context, "nightly")
        made = self._kernels(job.point, job.arm, experiment, context)
        good, skipped = cell.runnable(
            experiment.cells(), ability.abilities(made[0]), memory=experiment.guest.memory
        )
        if not good:
            return None, skipped[0].reason
        same = f"{job.name.removesuffix(f'-{job.arm}')}*"  # those of the other arms, too
        donors = [one for one in self._root.glob(f"*/{same}") if one.is_dir()]
        donors.sort(key=lambda one: one.stat().st_mtime, reverse=True)
        try:
            return compare.compare(experiment, context, made=made, donors=donors[:_DONORS]), ""
        except identity.OtherResult as error:
            raise UserError(
                f"{error.what}. Give that workload or back-end another 'name' in "
                f"{self._config.path}, or remove that folder"
            ) from error

    def _context_of(self, point: Subject) -> Context:
        git = point.git or self._config.kernel_git or self._context.kernel_git
        return replace(self._context, results=self._root / point.folder, kernel_git=git)

    def _kernels(self, point: Subject, arm: str, experiment: Any, context: Context) -> KernelPair:
        """Both kernels, made once a night for all cells; a failure is the same for all."""
        key = (point, arm)
        if key not in self._made:
            begun = time.monotonic()
            try:
                self._made[key] = pair.make(experiment, context)
            except InfraError:
                raise  # it may pass
            except HarnessError as error:
                self._made[key] = error
            self._made_s = time.monotonic() - begun
        found = self._made[key]
        if isinstance(found, HarnessError):
            raise found
        return found

    def _add(
        self,
        job: Job,
        status: Exit,
        seconds: float,
        estimates: list[StoredEstimate],
        failures: list[tuple[str, str, str]],
    ) -> None:
        point, night = job.point, self._agenda.night
        place = f"{self._config.name}/{job.folder}"
        asked = search.asked(job, self._history.comparisons(), place)
        self._history.add(
            NightlyComparison(
                night, job.key, point.subject, point.kind, point.revision, point.date, point.base,
                job.suite, job.name, job.folder, job.pairs, job.looks + 1, round(seconds, 1),
                int(status), asked, round(self._made_s, 1),
            ),
            estimates,
            [NightlyFailure(night, job.key, *one) for one in failures],
        )  # fmt: skip


def _trouble(night: int, one: Trouble) -> NightlyFailure:
    return NightlyFailure(
        night, "", one.place, _KINDS.get(one.error.status, "infra"), str(one.error)
    )


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise Spent in the block when the time is over.  Only in the main thread.

    And again later: what is raised inside a destructor or a hook of the garbage collector is lost.
    """

    def over(*_: object) -> None:
        raise Spent

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
