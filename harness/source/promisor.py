# SPDX-License-Identifier: GPL-2.0-only
"""A commit from a repository that lacks some of its files, as a partial clone does.

git refuses to fetch from it.  Here the commit is taken without those files, when the user says so,
and which ones they are is kept with it: a tree with holes must never pass for a whole one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.source.git import ask, last_line, run_git
from harness.source.gitstore import IDENTITY, GitStore, remote_key
from harness.util.errors import InfraError, UserError

_MOST = 1000
"""More missing files than this are no hole but a tree that is not there."""


def missing_files(repo: Path, commit: str) -> tuple[str, ...]:
    """The paths of a commit whose content a local repository does not have, sorted."""
    listed = ask(repo, "rev-list", "--objects", "--missing=print", f"{commit}^{{tree}}", "--")
    absent = {line[1:] for line in listed.splitlines() if line.startswith("?")}
    if not absent:
        return ()
    tree = ask(repo, "ls-tree", "-r", "-z", commit)
    rows = (row.split("\t", 1) for row in tree.split("\0") if row)
    files = tuple(sorted(row[1] for row in rows if row[0].split()[2] in absent))
    if not files:
        raise InfraError(f"{repo} lacks folders of commit {commit}: it cannot be used")
    return files


def refuse(repo: Path, commit: str, missing: tuple[str, ...]) -> UserError:
    """What to tell a user who did not ask for a tree with holes."""
    some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return UserError(
        f"{repo} lacks the content of {len(missing)} files of commit {commit[:12]} ({some}): "
        "complete it, or take the tree without them by KERNEL_GIT_MISSING=ok"
    )


def fetch(store: GitStore, repo: Path, commit: str, missing: tuple[str, ...]) -> str:
    """Bring a commit of a local repository into the store without its missing files: its id there.

    The same commit and holes always give the same commit.  Raises UserError when so much is
    missing that the rest is no tree.
    """
    if len(missing) > _MOST:
        raise UserError(
            f"{repo} lacks the content of {len(missing)} files of commit {commit[:12]}: it is a "
            "partial clone; complete it with git fetch --refetch"
        )
    ref = f"refs/harness/git/{remote_key(str(repo))}/holed/{commit}"
    known = store.commit_of(ref)
    if known is None:
        known = _import(store, repo, commit, missing)
        store.set_ref(ref, known)
    return known


def _import(store: GitStore, repo: Path, commit: str, missing: tuple[str, ...]) -> str:
    objects = ask(repo, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
    with tempfile.TemporaryDirectory(dir=store.path, prefix="holed-") as scratch:
        env = {
            "GIT_DIR": str(store.path),
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_WORK_TREE": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
            **IDENTITY,
        }

        def git(*args: str, stdin: bytes = b"") -> str:
            done = run_git(args, stdin=stdin, env=env)
            if done.returncode != 0:
                raise InfraError(f"git {args[0]} failed for {repo}: {last_line(done.stderr)}")
            return done.stdout.decode(errors="replace").strip()

        git("read-tree", commit)
        names = b"".join(name.encode(errors="surrogateescape") + b"\0" for name in missing)
        git("update-index", "--force-remove", "-z", "--stdin", stdin=names)
        tree = git("write-tree")
        message = f"{commit} without {len(missing)} files that its repository lacks"
        made = git("commit-tree", tree, "-m", message)
        # All that the commit needs, copied: the store must not depend on the repository.
        pack = str(store.path / "objects" / "pack" / "pack")
        git("pack-objects", "--quiet", "--revs", pack, stdin=f"{made}\n".encode())
    return made
