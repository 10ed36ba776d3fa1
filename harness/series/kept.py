# SPDX-License-Identifier: GPL-2.0-only
"""What a result keeps of its trees: the patches of its series, and diffs of trees nobody can get.

Both are written beside the result's spec.yaml, and a run of that file takes them from there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.experiment.meant import DIFF, Meant, MeantSeries, MeantTree
from harness.series import series
from harness.series.mail import cover, mbox
from harness.series.model import AppliedSeries, Series
from harness.series.patchset import PatchSet
from harness.source.git import ask, last_line, run_git
from harness.source.gitstore import IDENTITY, GitStore
from harness.source.sources import Source
from harness.util import atomic
from harness.util.errors import InfraError, UserError
from harness.util.sandbox import Sandbox

_log = logging.getLogger(__name__)

SERIES = "series.mbox"
_MOST_FILES = 2000
_MOST_BYTES = 16 << 20
_WORDS = (
    "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
    "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip


def keep_series(applied: AppliedSeries, folder: Path, *, name: str = SERIES) -> MeantSeries:
    """Write the patches into ``folder``, also those behind the last one that was applied."""
    one = applied.series.whole or applied.series
    atomic.binary(folder / name, one.mbox)
    return MeantSeries(
        name=one.name,
        title=one.title,
        locator=one.locator,
        patches=name,
        tree=applied.tree,
        base_commit=one.base_commit_hint,
        notes=one.notes,
        doubts=one.doubts,
        origin=dict(one.origin),
        letter=cover.as_data(one.cover) if one.cover else None,
    )


def load_series(kept: MeantSeries, path: Path) -> Series:
    """The series as it was, of the patches in a file: each mail of it is one, in that order."""
    mails = tuple(
        mbox.read(raw, name=f"mail {number} of {path}")
        for number, raw in enumerate(mbox.split(path.read_bytes()), 1)
    )
    if not mails:
        raise UserError(f"'{path}' holds no patches")
    found = PatchSet(
        mails,
        kept.title,
        kept.base_commit,
        kept.notes,
        origin=tuple(sorted(kept.origin.items())),
        cover=cover.from_data(kept.letter) if kept.letter else None,
        doubts=kept.doubts,
    )
    return series.made(kept.name, kept.locator, found)


def keep_tree(
    source: Source, file: str, *, folder: Path, store: GitStore, base: Source | None = None
) -> MeantTree:
    """Say what a source is; what nobody else can get of it is written into ``folder``.

    That is the diff against ``base``, or against the commit that its folder has checked out.
    """
    plain = MeantTree(name=source.name, commit=source.commit, tree=source.tree)
    if source.kind not in ("dir", "git", DIFF) or (source.kind == "git" and base is None):
        return plain
    for on, on_commit, objects in _parents(source, base):
        found = _difference(store, on_commit, source.commit, objects=objects)
        if found is not None:
            atomic.binary(folder / file, found)
            return replace(plain, diff=file, on=on, on_commit=on_commit)
    return plain


def _parents(source: Source, base: Source | None) -> Iterator[tuple[str, str, str]]:
    """What a source may be kept as a diff against: name, commit, folder of further objects."""
    origin = dict(source.origin)
    if source.kind == DIFF:
        yield origin["on"], origin["on_commit"], ""
    if base is not None and base.kind in ("debian", "git", "tar"):
        yield base.name, base.commit, ""
    if source.kind == "dir" and "head" in origin:
        # Its objects are read where they are: nothing is copied for a diff.
        where = ("rev-parse", "--path-format=absolute", "--git-path", "objects")
        objects = ask(Path(origin["folder"]).expanduser(), *where).strip()
        yield f"git:{origin['head']}", origin["head"], objects


def _difference(store: GitStore, old: str, new: str, *, objects: str) -> bytes | None:
    """The diff between two commits; None if it is larger than a change to a kernel is.

    ``objects`` is a folder of objects beside those of the store, "" for none.
    """
    env = {"GIT_DIR": str(store.path)}
    if objects:
        env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = objects
    names = run_git(["diff-tree", "-r", "--name-only", old, new, "--"], env=env)
    if names.returncode != 0:
        _log.warning(f"no diff of {old[:12]} is kept: {last_line(names.stderr)}")
        return None
    if names.stdout.count(b"\n") > _MOST_FILES:
        return None
    done = run_git([*_WORDS, old, new, "--"], env=env)
    if done.returncode != 0:
        raise InfraError(f"git diff-tree failed: {last_line(done.stderr)}")
    return done.stdout if len(done.stdout) <= _MOST_BYTES else None


def restore_tree(
    kept: MeantTree,
    parent: Source,
    meant: Meant,
    *,
    store: GitStore,
    scratch: Path,
    sandbox: Sandbox,
) -> Source:
    """The source that was measured: the kept diff on its parent.

    Raises UserError where that does not give the very tree.
    """
    file = meant.file(str(kept.diff))
    ref = f"refs/harness/kept/{kept.tree}"
    commit = store.commit_of(ref)
    if commit is None:
        commit = _patched(kept, parent, file, store=store, scratch=scratch, sandbox=sandbox)
        store.set_ref(ref, commit)
    origin = {"on": parent.name, "on_commit": parent.commit, "sha256": atomic.sha256_file(file)}
    version = store.kernel_version(commit)
    return Source(kept.name, DIFF, commit, kept.tree, version, tuple(origin.items()))


def _patched(
    kept: MeantTree,
    parent: Source,
    file: Path,
    *,
    store: GitStore,
    scratch: Path,
    sandbox: Sandbox,
) -> str:
    with series.worktree(store, parent.commit, scratch) as tree:
        diff = tree.parent / "kept.diff"
        diff.write_bytes(file.read_bytes())
        if diff.stat().st_size:  # git takes an empty one for a mistake
            how = ("--cached", "--whitespace=nowarn", "--", str(diff))
            done = store.git_in(tree, "apply", *how, sandbox=sandbox)
            if done.returncode != 0:
                raise UserError(
                    f"'{file}' does not apply to {parent.name} ({parent.commit[:12]}): "
                    f"{last_line(done.stderr)}"
                )
        written = store.git_in(tree, "write-tree", sandbox=sandbox).stdout.decode().strip()
        if written != kept.tree:
            raise UserError(
                f"'{file}' on {parent.name} gives tree {written[:12]}, and the result was "
                f"measured on {kept.tree[:12]}: the base is another one than then"
            )
        message = f"{parent.name} and a diff"
        made = store.git_in(
            tree, "commit-tree", written, "-m", message, env=IDENTITY, sandbox=sandbox
        )
        commit = made.stdout.decode().strip()
    if made.returncode != 0 or not store.commit_of(commit):
        raise InfraError(f"git commit-tree failed: {last_line(made.stderr)}")
    return commit
