# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree by the name of a tag, branch or commit: from KERNEL_GIT, from the public trees."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
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
from harness.source.gitstore import GitStore, NotThere, remote_key
from harness.source.upstream import NOWHERE, Elsewhere, Upstream, unreachable
from harness.util.errors import HarnessError, InfraError, UserError

_log = logging.getLogger(__name__)

KERNEL_GIT_EXAMPLE = "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git"


Named = tuple[str, str, dict[str, str]]
"""A name that means the same commit later, that commit in the store, and where it is from."""


def get(
    rev: str,
    *,
    store: GitStore,
    kernel_git: str | None,
    elsewhere: Elsewhere = NOWHERE,
    keyring: Path | None,
    missing_ok: bool,
) -> Named:
    """Bring a tag, branch or commit into the store: from KERNEL_GIT, else from ``elsewhere``.

    A tag's signature is checked when there is a ``keyring``.  With ``missing_ok`` a local
    repository may lack the content of some files: the tree is then taken without them, and the
    origin lists them.  Raises UserError for a name that is not there or means two things, for a
    bad signature, and for missing files that were not agreed to; InfraError where a server that
    may have it cannot be asked.
    """
    check_revision(rev)
    lacking: list[str] = []
    if kernel_git:
        _log.info(f"looking for {rev} in {public_url(kernel_git)}")
        try:
            return _from(kernel_git, rev, store, keyring, missing_ok=missing_ok)
        except NotThere as error:
            lacking.append(str(error))
    if elsewhere.clone and elsewhere.clone != kernel_git:
        _log.info(f"looking for {rev} in {elsewhere.clone}")
        try:
            return _from(elsewhere.clone, rev, store, keyring, missing_ok=missing_ok)
        except HarnessError as error:  # nobody named it: where it is of no use, others may be
            _log.info(str(error))
            lacking.append(str(error))
    if not kernel_git and (found := _fetched_before(rev, elsewhere.upstreams, store, keyring)):
        return found
    asked = [one for one in elsewhere.upstreams if one.may_have(rev)]
    if found := _published(rev, asked, store, keyring):
        return found
    among = f"; kernel.org's {', '.join(one.name for one in asked)} lack it, too" if asked else ""
    if lacking:
        raise UserError(lacking[0] + among)
    what = "commit" if is_full_id(rev) else "tag or commit"
    raise UserError(
        f"{rev} is neither a folder here nor a {what} fetched before{among}: to get it from git, "
        f"set KERNEL_GIT= to a repository, like {KERNEL_GIT_EXAMPLE}; for Debian's kernel write "
        "debian/X.Y"
    )


def published(rev: str, elsewhere: Elsewhere, store: GitStore) -> bool:
    """Bring a commit into the store from the public trees; False where none of them has it.

    Raises InfraError where one that may have it cannot be asked.
    """
    return _published(rev, elsewhere.upstreams, store, None) is not None


def _published(
    rev: str, upstreams: Sequence[Upstream], store: GitStore, keyring: Path | None
) -> Named | None:
    failed: list[str] = []
    down: dict[str, str] = {}
    for one in upstreams:
        if one.server not in down:
            down[one.server] = unreachable(one.server)
            failed += [f"{one.server}: {down[one.server]}"] if down[one.server] else []
        if down[one.server]:
            continue
        _log.info(f"looking for {rev} in {one.name}, {one.url}")
        try:
            commit = store.fetch(one.url, rev, all_for_commit=False)
        except NotThere:
            continue
        except InfraError as error:
            failed.append(str(error))
            continue
        origin = {"repository": one.url, "upstream": one.name, "revision": rev, "commit": commit}
        return _named(rev, commit, store), commit, origin | _signature(rev, one.url, store, keyring)
    if failed:
        raise InfraError(
            f"{rev} is in no clone at hand and cannot be fetched ({'; '.join(failed)}): set "
            "KERNEL_GIT= to a clone of the kernel, or KERNEL_MIRROR= to a server with the same "
            "paths, or take Debian's kernel, BASE=debian/X.Y"
        )
    return None


def _named(rev: str, commit: str, store: GitStore) -> str:
    # A branch moves, so it is the commit that names it.
    return f"git:{rev if store.fetched(rev) else commit}"


def _from(
    place: str, rev: str, store: GitStore, keyring: Path | None, *, missing_ok: bool
) -> Named:
    """From a repository that the user has, a path or a URL.  NotThere where it lacks that."""
    shown = public_url(place)
    local = Path(place).expanduser().resolve()
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
        commit = store.fetch(place, rev)
    except NotThere as error:
        hint = _same_version(rev, local) if local.is_dir() else ""
        raise NotThere(f"{error}{hint}") from error
    origin = {"repository": shown, "revision": rev, "commit": commit}
    return _named(rev, commit, store), commit, origin | _signature(rev, place, store, keyring)


def _fetched_before(
    rev: str, upstreams: Sequence[Upstream], store: GitStore, keyring: Path | None
) -> Named | None:
    stored = store.commit_of(rev) if is_short_id(rev) else None
    known = store.fetched(stored or rev)
    public = {one.url: {"upstream": one.name} for one in upstreams}
    if stored:
        url = next((url for url in known if url in public), None)
        origin = {"repository": url, **public[url], "revision": rev} if url else {}
        return f"git:{stored}", stored, {**origin, "commit": stored}
    if len(set(known.values())) > 1:
        raise UserError(
            f"{rev} was fetched from {' and from '.join(sorted(known))}, and they "
            "differ: set KERNEL_GIT= to the one you mean"
        )
    for url, commit in known.items():
        origin = {"repository": url, **public.get(url, {}), "revision": rev, "commit": commit}
        return f"git:{rev}", commit, origin | _signature(rev, url, store, keyring)
    return None


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
