# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree by the name of a tag, branch or commit: from KERNEL_GIT, or fetched before."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from harness.source import promisor, signature
from harness.source.git import commit_of, first_commits, run_git
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


Named = tuple[str, str, dict[str, str]]
"""A name that means the same commit later, that commit in the store, and where it is from."""


def get(
    rev: str, *, store: GitStore, kernel_git: str | None, keyring: Path | None, missing_ok: bool
) -> Named:
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
    original, missing = _missing(rev, local, store)
    if missing:
        if not missing_ok:
            raise promisor.refuse(local, original, missing)
        commit = promisor.fetch(store, local, original, missing)
        _log.warning(
            f"the tree of {rev} is taken without {len(missing)} files that {shown} lacks, "
            f"{missing[0]} among them"
        )
        origin = {"repository": shown, "revision": rev, "commit": original}
        origin["missing_files"] = "\n".join(missing)
        return f"git:{original}", commit, origin
    try:
        commit = store.fetch(kernel_git, rev)
    except UserError as error:
        hint = _same_version(rev, local) if local.is_dir() else ""
        raise UserError(f"{error}{hint}") from error
    origin = {"repository": shown, "revision": rev, "commit": commit}
    origin |= _signature(rev, kernel_git, store, keyring)
    # A branch moves, so it is the commit that names it.
    return f"git:{rev if store.fetched(rev) else commit}", commit, origin


def _fetched_before(rev: str, store: GitStore, keyring: Path | None) -> Named:
    stored = store.commit_of(rev) if is_short_id(rev) else None
    if stored:
        return f"git:{stored}", stored, {"commit": stored}
    known = store.fetched(rev)
    if len(set(known.values())) > 1:
        raise UserError(
            f"{rev} was fetched from {' and from '.join(sorted(known))}, and they "
            "differ: set KERNEL_GIT= to the one you mean"
        )
    for url, commit in known.items():
        origin = {"repository": url, "revision": rev, "commit": commit}
        return f"git:{rev}", commit, origin | _signature(rev, url, store, keyring)
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


def _missing(rev: str, repo: Path, store: GitStore) -> tuple[str, tuple[str, ...]]:
    """The commit in a local repository, and the files of it that the repository lacks."""
    if not repo.is_dir():
        return "", ()
    names = [f"refs/tags/{rev}", f"refs/heads/{rev}", *([rev] if is_short_id(rev) else [])]
    commit = next((found for name in names if (found := commit_of(repo, name))), None)
    if commit is None or store.commit_of(commit):
        return "", ()  # not there: fetching says so; in the store: whole
    return commit, promisor.missing_files(repo, commit)


def _same_version(rev: str, repo: Path) -> str:
    """For a tag that a local repository lacks: the first commit of that version, as a hint only."""
    wanted = re.fullmatch(r"v(\d+\.\d+(?:\.\d+)*(?:-rc\d+)?)", rev)
    for root in first_commits(repo) if wanted else ():
        done = run_git(["show", f"{root}:Makefile"], cwd=repo)
        try:
            version = makefile_version(done.stdout.decode(errors="replace"), where=root)
        except UserError:
            continue
        if wanted and version.replace(".0", "", 1) == wanted[1]:
            return f"; its first commit is of version {version}: if you mean that, write {root}"
    return ""
