# SPDX-License-Identifier: GPL-2.0-only
"""Which commit a series is based on: asked of its mails, checked against trees.

``base-commit:`` names it.  Else the blob ids in the index lines are looked for in the trees at
hand.  What a cover letter says in prose does not count: it is wrong often enough.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.series import blobmatch
from harness.series.blobmatch import Agreement, ExpectedBlob
from harness.series.mail import mbox
from harness.series.model import Series
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Source
from harness.util.errors import HarnessError, UserError

_log = logging.getLogger(__name__)

AUTO = "auto"
"""What a user writes for a base to be found."""

_MAX_TAGS = 400  # of a local repository, newest first: some 10 ms each


@dataclass(frozen=True, slots=True)
class Basis:
    """The base that a series is applied to.

    ``by`` tells who named it: user, base-commit or blobs.  ``stated`` is the series' base-commit,
    None if it has none.  ``files`` of the base are named by the series' index lines, and
    ``differ`` are those that the base has not as named.  ``warning`` is "" when all agrees.
    """

    by: str
    used: str
    commit: str
    stated: str | None
    files: int
    differ: tuple[str, ...]
    warning: str

    def as_data(self) -> dict[str, Any]:
        """Plain values for a manifest; no more than ten files are named."""
        return {
            "by": self.by,
            "used": self.used,
            "commit": self.commit,
            "stated": self.stated,
            "files": self.files,
            "differ": list(self.differ[:10]),
            "differ_count": len(self.differ),
            "warning": self.warning,
        }


def expectations(series: Series) -> tuple[ExpectedBlob, ...]:
    """What the series expects of its base."""
    return blobmatch.expected(mbox.read(raw, name="").diff for raw in mbox.split(series.mbox))


def check(series: Series, source: Source, *, store: GitStore, by: str = "user") -> Basis:
    """Hold a base against what the series says.

    A base that is not the stated commit is right all the same when every file that the series
    touches is as it expects: a tarball has another commit id than the tag, and the same files.
    """
    used, commit = source.name, source.commit
    wanted = expectations(series)
    found = blobmatch.agreement(wanted, _tree(store.path, commit, wanted))
    stated = series.base_commit_hint
    warning = ""
    if stated not in (commit, dict(source.origin).get("commit")) and not found.whole:
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
    return Basis(by, used, commit, stated, found.files, found.differ, warning)


def resolve(series: Series, *, store: GitStore, kernel_git: str | None) -> tuple[str, str]:
    """The name of the series' base for `sources.resolve`, and by what it was found.

    By "base-commit" when that commit is at hand, else by "blobs".  Raises UserError saying what
    was looked for and where when neither finds one.
    """
    stated = series.base_commit_hint
    why = "it has no base-commit line"
    if stated:
        if _at_hand(stated, store, kernel_git):
            return f"git:{stated}", "base-commit"
        why = f"its base-commit {stated} is neither in the store nor in KERNEL_GIT"
    wanted = expectations(series)
    if not any(one.blob for one in wanted):
        raise UserError(f"{series.name}: {why}, and no index line names a blob: give BASE=")
    found = [name for name, one in _candidates(wanted, store, kernel_git) if one.whole]
    if not found:
        raise UserError(
            f"{series.name}: {why}, and no tree at hand has its {len(wanted)} files as its index "
            "lines name them: give BASE=, or KERNEL_GIT= a local repository with that tree"
        )
    also = f" (as well as {', '.join(found[1:4])})" if len(found) > 1 else ""
    _log.info(f"{series.name}: {why}; by its blob ids the base is {found[0]}{also}")
    return found[0], "blobs"


def _at_hand(commit: str, store: GitStore, kernel_git: str | None) -> bool:
    if store.commit_of(commit):
        return True
    if not kernel_git:
        return False
    local = Path(kernel_git).expanduser()
    if local.is_dir():
        args = ["rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
        return run_git(args, cwd=local).returncode == 0
    try:
        store.fetch(kernel_git, commit)
    except HarnessError:
        return False
    return True


def _candidates(
    wanted: tuple[ExpectedBlob, ...], store: GitStore, kernel_git: str | None
) -> list[tuple[str, Agreement]]:
    """The trees of a local KERNEL_GIT and of the store, under names that `sources` knows."""
    found: list[tuple[str, Agreement]] = []
    local = Path(kernel_git).expanduser() if kernel_git else None
    if local and local.is_dir():
        # Oldest first: of versions that fit alike, the one the series can have been made on.
        for name, commit in _revisions(local):
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
    roots = run_git(["rev-list", "--max-parents=0", "--all"], cwd=repo).stdout.decode().split()
    return [*((root, root) for root in roots), *tips]


def _tree(repo: Path, commit: str, wanted: tuple[ExpectedBlob, ...]) -> dict[str, str]:
    """The blob ids of the files that matter; without those that the commit lacks."""
    if not wanted:
        return {}
    done = run_git(["ls-tree", "-z", commit, "--", *(one.path for one in wanted)], cwd=repo)
    rows = [row.split("\t", 1) for row in done.stdout.decode(errors="surrogateescape").split("\0")]
    return {row[1]: row[0].split()[2] for row in rows if len(row) == 2}
