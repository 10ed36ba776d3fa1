# SPDX-License-Identifier: GPL-2.0-only
"""Which commit a series is based on: asked of its mails, checked against trees.

``base-commit:`` names it, and the kernel's public trees are asked for it where nobody here has it.
Else the blob ids in the index lines are looked for in the trees at hand.  What a cover letter says
in prose does not count: it is wrong often enough.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from harness.results.manifest import BasisFacts
from harness.series import blobmatch
from harness.series.blobmatch import Agreement
from harness.series.mail import mbox
from harness.series.model import Series
from harness.source import gitsource
from harness.source.git import commit_of, first_commits, run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Source
from harness.source.upstream import NOWHERE, Elsewhere
from harness.util.errors import HarnessError, InfraError, UserError

_log = logging.getLogger(__name__)

AUTO = "auto"
"""What a user writes for a base to be found."""

_MAX_TAGS = 400  # of a local repository, newest first: some 10 ms each


def expectations(series: Series) -> dict[str, str]:
    """The blob ids that the series expects of its base, by path."""
    return blobmatch.expected(mbox.read(raw, name="").diff for raw in mbox.split(series.mbox))


def check(series: Series, source: Source, *, store: GitStore, by: str = "user") -> BasisFacts:
    """Hold a base against what the series says; no more than ten files that differ are named.

    A base that is not the stated commit is right all the same when every file that the series
    touches is as it expects: a tarball has another commit id than the tag, and the same files.
    """
    used, commit = source.name, source.commit
    wanted = expectations(series)
    found = blobmatch.agreement(wanted, _tree(store.path, commit, wanted))
    stated = series.base_commit_hint
    warning = ""
    if by == "blobs" and stated and found.whole:
        warning = (
            f"{series.name} names base-commit {stated}, which is not at hand; its {found.files} "
            f"files are the same on {used} ({commit[:12]}), the rest of the tree may not be"
        )
    elif stated not in (commit, dict(source.origin).get("commit")) and not found.whole:
        other = f"base-commit {stated}" if stated else "another tree"
        files = f"{len(found.differ)} of the {found.files} files that it touches"
        some = f" ({', '.join(found.differ[:3])})" if found.differ else ""
        if found.differ:
            warning = (
                f"{series.name} was made on {other}, not on {used} ({commit[:12]}): "
                f"{files} differ there{some}"
            )
        elif stated:
            warning = (
                f"{series.name} names {other}, the base is {used} ({commit[:12]}), and no index "
                "line tells whether the files are the same"
            )
    if series.needs and not found.whole:
        first = f"{warning}; it" if warning else series.name
        warning = f"{first} names {series.needs[0]}{_more(series.needs)}, which was not applied"
    return BasisFacts(
        by=by,
        used=used,
        commit=commit,
        stated=stated,
        files=found.files,
        differ=found.differ[:10],
        differ_count=len(found.differ),
        warning=warning,
    )


def resolve(
    series: Series, *, store: GitStore, kernel_git: str | None, elsewhere: Elsewhere = NOWHERE
) -> tuple[str, str]:
    """The name of the series' base for `sources.resolve`, and by what it was found.

    By "base-commit" when that commit can be had, else by "blobs".  Raises UserError saying what
    was looked for and where when neither finds one, InfraError when a server could not be asked.
    """
    stated = series.base_commit_hint
    why, down = "it has no base-commit line", None
    if stated:
        own = dict(series.origin).get("repository")
        if own and commit_of(Path(own), stated):
            return f"{own}:{stated}", "base-commit"
        try:
            if _to_be_had(stated, store, kernel_git, elsewhere):
                return f"git:{stated}", "base-commit"
        except InfraError as error:
            down = error
        public = ", ".join(one.name for one in elsewhere.upstreams)
        also = f" nor in kernel.org's {public}" if public and not down else ""
        why = f"its base-commit {stated} is neither in the store nor in KERNEL_GIT{also}"
    wanted = expectations(series)
    clones = [one for one in (kernel_git, elsewhere.clone) if one]
    candidates = _candidates(wanted, store, clones)
    found = [name for name, one in candidates if one.whole]
    if not found:
        if down:
            raise down
        if not any(wanted.values()):
            raise UserError(f"{series.name}: {why}, and no index line names a blob: give BASE=")
        needs = f"; it names {series.needs[0]}{_more(series.needs)}" if series.needs else ""
        raise UserError(
            f"{series.name}: {why}, and no tree at hand has its {len(wanted)} files as its index "
            f"lines name them{_nearest(candidates)}{needs}: give BASE=, or KERNEL_GIT= a local "
            "repository with that tree"
        )
    if down:
        _log.warning(str(down))
    also = f" (as well as {', '.join(found[1:4])})" if len(found) > 1 else ""
    _log.info(f"{series.name}: {why}; by its blob ids the base is {found[0]}{also}")
    return found[0], "blobs"


def _more(lines: Sequence[str]) -> str:
    return f" and {len(lines) - 1} more" if len(lines) > 1 else ""


def _nearest(candidates: Sequence[tuple[str, Agreement]]) -> str:
    """The tree that fits best, in words; "" where none has one of the files as it should be."""
    fits = [(len(one.differ), name, one) for name, one in candidates if len(one.differ) < one.files]
    if not fits:
        return ""
    count, name, one = min(reversed(fits), key=lambda item: item[0])
    verb = "differs" if count == 1 else "differ"
    files = ", ".join(one.differ[:3])
    return f" (the nearest is {name}: {count} of {one.files} files {verb}, {files})"


def _to_be_had(commit: str, store: GitStore, kernel_git: str | None, elsewhere: Elsewhere) -> bool:
    """Whether a commit is at hand, or is now fetched."""
    if store.commit_of(commit):
        return True
    for place in (kernel_git, elsewhere.clone):
        local = Path(place).expanduser() if place else None
        if local and local.is_dir():
            if commit_of(local, commit):
                return True
        elif place:
            with contextlib.suppress(HarnessError):
                store.fetch(place, commit)
                return True
    return gitsource.published(commit, elsewhere, store)


def _candidates(
    wanted: Mapping[str, str], store: GitStore, clones: Sequence[str]
) -> list[tuple[str, Agreement]]:
    """The trees of local clones and of the store, under names that `sources` knows."""
    found: list[tuple[str, Agreement]] = []
    if not any(wanted.values()):
        return found
    for local in (Path(one).expanduser() for one in clones):
        # Oldest first: of versions that fit alike, the one the series can have been made on.
        for name, commit in _revisions(local) if local.is_dir() else ():
            tree = _tree(local, commit, wanted)
            found.append((f"git:{name}", blobmatch.agreement(wanted, tree)))
    for name, commit in _imported(store):
        found.append((name, blobmatch.agreement(wanted, _tree(store.path, commit, wanted))))
    return found


def _imported(store: GitStore) -> list[tuple[str, str]]:
    """(name, commit) of the trees in the store, packages by their own names."""
    found: dict[str, str] = {}
    for ref in store.refs("refs/harness"):
        kind, commit = ref.split("/")[2], store.commit_of(ref)
        if commit is None or kind == "applied":
            continue
        note = store.read_note(ref.replace("refs/harness/", "refs/harness/notes/", 1)) or {}
        package, version = note.get("package"), note.get("version")
        name = f"git:{commit}"
        if kind == "debian" and package and version:
            name = f"debian/{package.removeprefix('linux-source-')}={version}"
        found.setdefault(commit, name)
    return [(name, commit) for commit, name in found.items()]


def _revisions(repo: Path) -> list[tuple[str, str]]:
    """(name, commit) of the tags, branches and first commits of a repository, oldest first."""
    peeled = "%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    form = [f"--count={_MAX_TAGS}", "--sort=-creatordate", f"--format=%(refname:short) {peeled}"]
    listed = run_git(["for-each-ref", *form, "refs/tags", "refs/heads"], cwd=repo).stdout
    rows = [line.split(" ") for line in listed.decode(errors="replace").splitlines()]
    tips = [(row[0], row[1]) for row in reversed(rows) if len(row) == 2]
    return [*((root, root) for root in first_commits(repo)), *tips]


def _tree(repo: Path, commit: str, wanted: Collection[str]) -> dict[str, str]:
    """The blob ids of the files that matter; without those that the commit lacks."""
    if not wanted:
        return {}
    done = run_git(["ls-tree", "-z", commit, "--", *wanted], cwd=repo)
    rows = [row.split("\t", 1) for row in done.stdout.decode(errors="surrogateescape").split("\0")]
    return {row[1]: row[0].split()[2] for row in rows if len(row) == 2}
