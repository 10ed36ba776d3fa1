# SPDX-License-Identifier: GPL-2.0-only
"""``make revisions``: the effect of each revision of a series, on its own base or one for all.

Revisions that have one base are the arms of one study: their boots run interleaved, those of the
base serve all of them, and each is compared with the one before it, pair by pair.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.build import pair
from harness.build.pair import Context, PairPlan, Trees
from harness.experiment import spec
from harness.experiment.meant import Meant
from harness.experiment.settings import PAIRS, Kernels
from harness.experiment.spec import Experiment
from harness.report import files
from harness.results import manifest as facts
from harness.results.manifest import ResultKind
from harness.run import evidence, identity, manifest
from harness.series import rangediff, registry
from harness.series.basis import AUTO
from harness.series.rangediff import CommitRange, Digest
from harness.series.registry import Entry, Revision
from harness.source.git import last_line, run_git
from harness.source.gitnames import for_others
from harness.stats import verdict
from harness.studies import ability, compare, methods
from harness.studies.arms import analysis
from harness.studies.arms import measure as arms
from harness.studies.result import StudyResult, sealed
from harness.studies.revisions import table
from harness.studies.revisions.table import Posting, RevisionHistory
from harness.util.errors import Exit, HarnessError, InfraError, KernelFailure, UserError
from harness.util.paths import REPO
from harness.vm import accel

_log = logging.getLogger(__name__)

REGISTRY = REPO / "kernels" / "series"


def revisions(experiment: Experiment, only: Sequence[str], context: Context) -> StudyResult:
    """Compare each revision (``only`` some, all if empty) with its base; a table of all.

    The base is the one that the revision was made on, or the one that ``experiment`` names.  A
    revision's comparison is the one of ``make compare BASE=auto PATCH=NAME-vN``, in the same
    results folder: what was measured there is kept.  A revision that does not apply, build or
    whose base is not at hand is named in the table.  Raises the harness's typed errors.
    """
    entry = _entry(experiment)
    wanted = [entry.revision(name) for name in only] or list(entry.revisions)
    one = experiment.changed(base=_base(experiment), name=None, only=())
    found = _identity(one, context)
    words = f"revisions-{entry.name}"
    folder = context.results / identity.named(experiment, words, found, grows=False).title
    with manifest.locked(folder):
        before = _before(folder, found)
        case = _Revisions(one, entry, context, folder)
        postings = {posting.name: posting for posting in before}
        for new in case.post(wanted, dict(postings)):
            old = postings.get(new.name)
            is_known = old and not new.digest  # the revision before it was not asked for this time
            postings[new.name] = (
                replace(new, since=old.since, digest=old.digest) if old and is_known else new
            )
        order = [revision.name for revision in entry.revisions]
        shown = [postings[name] for name in order if name in postings]
        chosen = [posting.name for posting in shown] if len(shown) < len(order) else []
        every = RevisionHistory(
            entry.name, entry.title, _command(experiment, chosen, context), tuple(shown)
        )
        identity.keep(folder, found)
        table.record(folder, every)
        case.keep(experiment.changed(only=tuple(chosen)))
        made = sealed(folder, table.make)
    return replace(made, status=case.status)


def _identity(experiment: Experiment, context: Context) -> dict[str, Any]:
    """What all comparisons of one study share; the registry says what each kernel is."""
    chosen = accel.choose(experiment.guest.accel, cache=context.cache)
    method = methods.of(experiment, chosen, context)
    options = {name: str(experiment.value(name)) for name in ("config", "fragments")}
    if experiment.kernels.base != AUTO:
        options["base"] = experiment.kernels.base
    return identity.of(experiment, method, options, kind=ResultKind.REVISIONS)


def _base(experiment: Experiment) -> str:
    """The base of all revisions, or ``auto``: each has its own."""
    base = experiment.kernels.base
    return AUTO if base == Kernels().base else base


def _before(folder: Path, found: dict[str, Any]) -> tuple[Posting, ...]:
    """The revisions that an earlier call compared.  UserError if they are of another study."""
    identity.require(folder, found, grows=False)
    if not (folder / ResultKind.REVISIONS.record).is_file():
        return ()
    if not (folder / identity.NAME).is_file():
        raise UserError(
            f"'{folder}' was written by an older version, which kept no settings: leave NAME= out "
            "or give another"
        )
    return table.read(folder).postings


def _entry(experiment: Experiment) -> Entry:
    name = experiment.kernels.patch or ""
    known = [
        one for one in registry.names(REGISTRY) if registry.read(one, registry=REGISTRY).revisions
    ]
    if experiment.kernels.head or experiment.kernels.upto or name not in known:
        raise UserError(
            f"revisions takes PATCH= with a name of {REGISTRY} that has revisions: "
            f"{', '.join(known) or 'there is none'}"
        )
    return registry.read(name, registry=REGISTRY)


def _command(experiment: Experiment, only: Sequence[str], context: Context) -> str:
    git = for_others(context.kernel_git) if context.kernel_git else ""
    meant = experiment.changed(base=_base(experiment))
    words = [manifest.repeat_command(meant, "revisions", git=git)]
    return " ".join([*words, *([f"ONLY={','.join(only)}"] if only else [])])


class _Revisions:
    """The revisions so far: what failed first, which results can share boots, the last commits."""

    def __init__(
        self, experiment: Experiment, entry: Entry, context: Context, folder: Path
    ) -> None:
        self._experiment, self._entry, self._context = experiment, entry, context
        self._folder = folder
        self._donors: list[Path] = []
        self._before: tuple[str, CommitRange] | None = None
        self._statuses: dict[str, Exit] = {}
        self._trees: dict[str, Trees] = {}
        self._plans: dict[str, PairPlan] = {}

    def keep(self, asked: Experiment) -> None:
        """Write the spec file of the study, and the patches of each revision beside it.

        What an earlier call kept of other revisions stays.
        """
        context, folder = self._context, self._folder
        place = folder / evidence.SPEC
        before = spec.load(place, {}).meant.revisions if place.is_file() else {}
        found = dict(before) | {
            name: evidence.keep(folder, trees, context.store, prefix=f"{name}-")
            for name, trees in self._trees.items()
        }
        if any(map(manifest.repository, self._trees.values())):
            asked = asked.changed(kernel_git=context.kernel_git)
        meant = Meant(folder, revisions=found)
        manifest.write_spec(folder, asked, "revisions", context=context, meant=meant)

    @property
    def status(self) -> Exit:
        """That of the newest revision; a failure of any revision goes first."""
        every = list(self._statuses.values())
        failed = [one for one in every if one in (Exit.USER, Exit.KERNEL, Exit.INFRA)]
        return failed[0] if failed else every[-1]

    def post(
        self, revisions: Sequence[Revision], before: Mapping[str, Posting]
    ) -> Iterator[Posting]:
        """Run or reuse the comparisons of some revisions; ``before`` are those of earlier calls.

        Revisions with one base are measured together.
        """
        postings = [self._planned(revision) for revision in revisions]
        groups: dict[str, list[Posting]] = {}
        for posting in postings:
            if posting.failure:
                yield posting
                continue
            old = before.get(posting.name)
            if old and (kept := self._kept(posting, old)):
                yield kept
                continue
            groups.setdefault(self._plans[posting.name].keys["base"], []).append(posting)
        for number, group in enumerate(groups.values()):
            if len(group) > 1:
                yield from self._together(group, number)
            else:
                yield self._alone(group[0])
        self._statuses = {
            one.name: self._statuses[one.name] for one in revisions if one.name in self._statuses
        }

    def _experiment_of(self, name: str) -> Experiment:
        meant = self._experiment.meant.of(name)
        return replace(self._experiment.changed(patch=f"{self._entry.name}-{name}"), meant=meant)

    def _planned(self, revision: Revision) -> Posting:
        """Get and apply one revision, and say how it is built."""
        name = revision.name
        _log.info(f"revision {self._entry.name}-{name} of {revision.date or 'an unknown day'}")
        posting = Posting(name, revision.date or "")
        one = self._experiment_of(name)
        try:
            trees = pair.prepare(one, self._context)
            posting = self._described(posting, trees)
            self._plans[name] = pair.plan(trees, one, self._context)
        except (KernelFailure, UserError) as error:
            return self._failed(posting, error)
        return posting

    def _kept(self, new: Posting, old: Posting) -> Posting | None:
        """What an earlier call measured of this very kernel with as many pairs; None if nothing."""
        place = self._context.results / old.folder
        data = identity.read(place) if old.folder else None
        if data is None or data["kernels"] != self._plans[new.name].keys:
            return None
        asked = self._experiment.schedule.pairs or PAIRS[str(data["clock"])]
        found = facts.load(place)
        if not found.cells or (found.pairs or 0) < asked:
            return None
        _log.info(f"{new.name} was compared already: {old.folder}")
        self._statuses[new.name] = _status(place)
        return replace(new, folder=old.folder, study=old.study)

    def _alone(self, posting: Posting) -> Posting:
        """A revision that has no base with another one: a comparison of its own."""
        one = self._experiment_of(posting.name)
        try:
            made = self._plans[posting.name].build(ability.watcher(one))
        except (KernelFailure, UserError) as error:
            return self._failed(posting, error)
        if not self._context.shares:  # those of the repeated result are not to be gone on with
            one = one.changed(name=f"{self._folder.name}-{posting.name}")
        done = compare.compare(one, self._context, made=made, donors=self._donors)
        self._donors.append(done.folder)
        self._statuses[posting.name] = done.status
        return replace(posting, folder=done.folder.name)

    def _together(self, group: Sequence[Posting], number: int) -> Iterator[Posting]:
        """Revisions with one base: the arms of one study."""
        names = {one.name: None for one in group}
        asked = self._experiment.changed(arms=names)
        if asked.study.reference not in names:
            asked = asked.changed(reference=analysis.BASE)
        if not self._context.shares:
            asked = asked.changed(name=f"{self._folder.name}-together-{number + 1}")
        chosen = {one.name: self._experiment_of(one.name).changed(name=one.name) for one in group}
        trees = {one.name: self._trees[one.name] for one in group}
        folder = arms.measure(asked, chosen, self._context, trees=trees).folder
        for posting in group:
            arm = next(one for one in analysis.arms(folder) if one.name == posting.name)
            if arm.folder:
                self._statuses[posting.name] = _status(folder / arm.folder)
                yield replace(posting, folder=f"{folder.name}/{arm.folder}", study=folder.name)
            else:
                self._statuses[posting.name] = Exit.KERNEL
                yield replace(posting, failure=arm.failure)

    def _failed(self, posting: Posting, error: HarnessError) -> Posting:
        _log.warning(f"{posting.name}: {error}")
        self._statuses[posting.name] = error.status
        return replace(posting, failure=str(error))

    def _described(self, posting: Posting, trees: Trees) -> Posting:
        """What the series is now, and how it differs from the revision before."""
        self._trees[posting.name] = trees
        commits = trees.applied.commits if trees.applied else ()
        posting = replace(posting, base=trees.base.name, count=len(commits))
        if not commits:
            return posting
        here = CommitRange(trees.base.commit, commits[-1])
        before, self._before = self._before, (posting.name, here)
        if before is None:
            return posting
        digest = correspondence(self._context.cache.git, before[1], here)
        return replace(posting, since=before[0], digest=digest)


def _status(folder: Path) -> Exit:
    """That of a comparison that is there."""
    report = files.read(folder, counters=False)
    return Exit.KERNEL if report.failures else verdict.worst(report.verdicts)


def correspondence(repo: Path, old: CommitRange, new: CommitRange) -> Digest:
    """How the patches of two ranges correspond; both are commits of ``repo``.

    Raises InfraError when git cannot tell.
    """
    done = run_git(rangediff.arguments(old, new), cwd=repo)
    if done.returncode != 0:
        raise InfraError(f"git range-diff failed: {last_line(done.stderr)}")
    return rangediff.parse(done.stdout.decode(errors="replace"))
