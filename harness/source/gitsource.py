# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree by the name of a tag, branch or commit: from KERNEL_GIT, or fetched before."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.source import promisor, signature
from harness.source.git import run_git
from harness.source.gitnames import (
    check_revision,
    is_full_id,
    is_short_id,
    makefile_version,
    public_url,
    ref_part,
)
from harness.source.gitstore import GitStore, remote_key
from harness.util.errors import UserError

_log = logging.getLogger(__name__)

KERNEL_GIT_EXAMPLE = "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git"


@dataclass(frozen=True, slots=True)
class Got:
    """A commit in the store, the name that repeats it, and where it is from."""

    name: str
    commit: str
    origin: Mapping[str, str]


def get(
    rev: str, *, store: GitStore, kernel_git: str | None, keyring: Path | None, missing_ok: bool
) -> Got:
    """Bring a tag, branch or commit into the store.

    A tag's signature is checked when there is a ``keyring``.  With ``missing_ok`` a local
    repository may lack the content of some files: the tree is then taken without them, and the
    origin lists them.  Raises UserError for a name that is not there or means two things, for a
    bad signature, and for missing files that were not agreed to.
    """
    check_revision(rev)
    if not kernel_git:
        return _fetched_before(rev, store, keyring)
    shown = public_url(kernel_git)
    _log.info(f"looking for {rev} in {shown}")
    local = Path(kernel_git).expanduser().resolve()
    holed = _holed(rev, local, store, missing_ok) if local.is_dir() else None
    if holed:
        _log.warning(
            f"the tree of {rev} is taken without {len(holed.missing)} files that {shown} lacks, "
            f"{holed.missing[0]} among them"
        )
        origin = {"repository": shown, "revision": rev, "commit": holed.original}
        origin["missing_files"] = "\n".join(holed.missing)
        return Got(f"git:{holed.original}", holed.commit, origin)
    try:
        commit = store.fetch(kernel_git, rev)
    except UserError as error:
        hint = _same_version(rev, local) if local.is_dir() else ""
        raise UserError(f"{error}{hint}") from error
    origin = {"repository": shown, "revision": rev, "commit": commit}
    origin |= _signature(rev, kernel_git, store, keyring)
    # A branch moves, so it is the commit that names it.
    return Got(f"git:{rev if store.fetched(rev) else commit}", commit, origin)


def _fetched_before(rev: str, store: GitStore, keyring: Path | None) -> Got:
    stored = store.commit_of(rev) if is_short_id(rev) else None
    if stored:
        return Got(f"git:{stored}", stored, {"commit": stored})
    known = store.fetched(rev)
    if len(set(known.values())) > 1:
        raise UserError(
            f"{rev} was fetched from {' and from '.join(sorted(known))}, and they "
            "differ: set KERNEL_GIT= to the one you mean"
        )
    for url, commit in known.items():
        origin = {"repository": url, "revision": rev, "commit": commit}
        return Got(f"git:{rev}", commit, origin | _signature(rev, url, store, keyring))
    what = "commit" if is_full_id(rev) else "tag or commit"
    raise UserError(
        f"{rev} is neither a folder here nor a {what} fetched before: to get it from git, set "
        f"KERNEL_GIT= to a repository, like {KERNEL_GIT_EXAMPLE}; for Debian's kernel write "
        "debian/X.Y"
    )


def _signature(rev: str, kernel_git: str, store: GitStore, keyring: Path | None) -> dict[str, str]:
    """What is known of a tag's signature; nothing for a branch or commit."""
    local = Path(kernel_git).expanduser()
    source = str(local.resolve()) if local.is_dir() else kernel_git
    ref = f"refs/harness/git/{remote_key(source)}/tags/{ref_part(rev)}"
    if keyring is None or store.commit_of(ref) is None:
        return {}
    key = signature.verify_tag(store.path, ref, name=rev, keyring=keyring)
    if key is None:
        _log.warning(f"tag {rev} of {public_url(kernel_git)} is not signed")
        return {"signature": "none"}
    return {"signature": f"good, by key {key}"}


def _holed(rev: str, repo: Path, store: GitStore, missing_ok: bool) -> promisor.Holed | None:
    """The commit without what the repository lacks of it; None when that is nothing."""
    commit = _local_commit(repo, rev)
    if commit is None or store.commit_of(commit):
        return None  # not there: fetching says so; in the store: whole
    missing = promisor.missing_files(repo, commit)
    if not missing:
        return None
    if not missing_ok:
        raise promisor.refuse(repo, commit, missing)
    return promisor.fetch(store, repo, commit, missing)


def _local_commit(repo: Path, rev: str) -> str | None:
    names = [f"refs/tags/{rev}", f"refs/heads/{rev}", *([rev] if is_short_id(rev) else [])]
    for name in names:
        done = run_git(["rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"], cwd=repo)
        if done.returncode == 0:
            return done.stdout.decode().strip()
    return None


def _same_version(rev: str, repo: Path) -> str:
    """For a tag that a local repository lacks: the first commit of that version, as a hint only."""
    wanted = re.fullmatch(r"v(\d+\.\d+(?:\.\d+)*(?:-rc\d+)?)", rev)
    roots = run_git(["rev-list", "--max-parents=0", "--all"], cwd=repo).stdout.decode().split()
    for root in roots if wanted else ():
        done = run_git(["show", f"{root}:Makefile"], cwd=repo)
        try:
            version = makefile_version(done.stdout.decode(errors="replace"), where=root)
        except UserError:
            continue
        if wanted and version.replace(".0", "", 1) == wanted[1]:
            return f"; its first commit is of version {version}: if you mean that, write {root}"
    return ""
