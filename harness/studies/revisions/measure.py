# SPDX-License-Identifier: GPL-2.0-only
"""``make revisions``: the effect of each revision of a series, each on its own base."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.build import pair
from harness.build.pair import Context, Trees
from harness.experiment import spec
from harness.experiment.meant import Meant
from harness.experiment.settings import Kernels
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.run import evidence, identity, manifest
from harness.series import rangediff, registry
from harness.series.basis import AUTO
from harness.series.rangediff import CommitRange, Digest
from harness.series.registry import Entry, Revision
from harness.source.git import last_line, run_git
from harness.source.gitnames import for_others
from harness.studies import compare, methods
from harness.studies.result import StudyResult, sealed
from harness.studies.revisions import table
from harness.studies.revisions.table import Posting, RevisionHistory
from harness.util.errors import Exit, HarnessError, InfraError, KernelFailure, UserError
from harness.util.paths import REPO
from harness.vm import accel

_log = logging.getLogger(__name__)

REGISTRY = REPO / "kernels" / "series"


def revisions(experiment: Experiment, only: Sequence[str], context: Context) -> StudyResult:
    """Compare each revision (``only`` some, all if empty) with its own base; a table of all.

    A revision's comparison is the one of ``make compare BASE=auto PATCH=NAME-vN``, in the same
    results folder: what was measured there is kept.  A revision that does not apply, build or
    whose base is not at hand is named in the table.  Raises the harness's typed errors.
    """
    entry = _entry(experiment)
    if experiment.kernels.base not in (AUTO, Kernels().base):
        raise UserError("each revision is compared with its own base: leave BASE out")
    wanted = [entry.revision(name) for name in only] or list(entry.revisions)
    one = experiment.changed(base=AUTO, name=None, only=())
    found = _identity(one, context)
    words = f"revisions-{entry.name}"
    folder = context.results / identity.named(experiment, words, found, grows=False).title
    with manifest.locked(folder):
        before = _before(folder, found)
        case = _Revisions(one, entry, context, folder)
        postings = {posting.name: posting for posting in before}
        for revision in wanted:
            new, old = case.post(revision), postings.get(revision.name)
            if old and not new.digest:  # the revision before it was not asked for this time
                new = replace(new, since=old.since, digest=old.digest)
            postings[revision.name] = new
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
    return identity.of(experiment, method, options, kind=ResultKind.REVISIONS)


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
    words = [manifest.repeat_command(experiment.changed(base=AUTO), "revisions", git=git)]
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
        self._statuses: list[Exit] = []
        self._trees: dict[str, Trees] = {}

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
        failed = [one for one in self._statuses if one in (Exit.USER, Exit.KERNEL, Exit.INFRA)]
        return failed[0] if failed else self._statuses[-1]

    def post(self, revision: Revision) -> Posting:
        """Run or reuse one revision's comparison."""
        name = f"{self._entry.name}-{revision.name}"
        _log.info(f"revision {name} of {revision.date or 'an unknown day'}")
        meant = self._experiment.meant.of(revision.name)
        one = replace(self._experiment.changed(patch=name), meant=meant)
        posting = Posting(revision.name, revision.date or "")
        try:
            trees = pair.prepare(one, self._context)
            posting = self._described(posting, trees)
            made = pair.plan(trees, one, self._context).build(compare.watcher(one))
        except (KernelFailure, UserError) as error:
            return self._failed(posting, error)
        if not self._context.shares:  # those of the repeated result are not to be gone on with
            one = one.changed(name=f"{self._folder.name}-{revision.name}")
        done = compare.compare(one, self._context, made=made, donors=self._donors)
        self._donors.append(done.folder)
        self._statuses.append(done.status)
        return replace(posting, folder=done.folder.name)

    def _failed(self, posting: Posting, error: HarnessError) -> Posting:
        _log.warning(f"{posting.name}: {error}")
        self._statuses.append(error.status)
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


def correspondence(repo: Path, old: CommitRange, new: CommitRange) -> Digest:
    """How the patches of two ranges correspond; both are commits of ``repo``.

    Raises InfraError when git cannot tell.
    """
    done = run_git(rangediff.arguments(old, new), cwd=repo)
    if done.returncode != 0:
        raise InfraError(f"git range-diff failed: {last_line(done.stderr)}")
    return rangediff.parse(done.stdout.decode(errors="replace"))
