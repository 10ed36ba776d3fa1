# SPDX-License-Identifier: GPL-2.0-only
"""A range of commits as the patches that ``git format-patch`` would mail."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.series import patchset
from harness.series.locator import GitRange
from harness.series.mail import mbox
from harness.series.mail.mbox import Mail
from harness.series.patchset import PatchSet
from harness.source import folderindex, sources
from harness.source.git import ask, commit_of, last_line, run_git
from harness.source.gitstore import GitStore
from harness.util.errors import InfraError, UserError

# What the repository's own configuration could change, stated.
_SETTINGS = (
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.renames=true",
    "format.attach=",
    "format.headers=",
    "format.useAutoBase=false",
    "format.encodeEmailHeaders=true",
    "i18n.logOutputEncoding=UTF-8",
)
_FORMAT = (
    "format-patch", "--stdout", "--numbered", "--start-number=1", "--subject-prefix=PATCH",
    "--full-index", "--binary", "--no-ext-diff", "--no-textconv", "--no-attach", "--no-signoff",
    "--no-thread", "--no-cover-letter", "--no-signature", "--no-to", "--no-cc", "--no-notes",
    "--no-add-header", "--no-base", "--no-stat", "-p",
)  # fmt: skip


# What is not committed has no author, date or text: always the same, so that the same change is the
# same commit.
_UNCOMMITTED = """\
From: harness <harness@localhost>
Date: Thu, 01 Jan 1970 00:00:00 +0000
Subject: not committed yet

The changes of the work tree that are in no commit.
---

"""


def read(place: GitRange, *, store: GitStore | None = None, base: str | None = None) -> PatchSet:
    """The patches of a range; their origin says which commits they are.

    The base is the commit that the range starts from; where the range names none it is what
    ``base`` has in common with the tip, or the nearest tag.  What a work tree has and no commit is
    the last patch; ``store`` is where that tree is kept.  Raises UserError for a name that the
    repository does not have, a range without commits, or one with merges.
    """
    tip = _commit(place, place.tip or "HEAD")
    start, note = _start(place, tip, base)
    shown = f"{note[0]}..{place.tip}" if note else place.shown
    if _said(place, "rev-list", "--merges", "--max-count=1", f"{start}..{tip}", "--"):
        own = f"write {place.repository}:<base>..{place.tip}" if note else "give one without"
        raise UserError(f"the range {shown} has merges: {own}, or rebase it")
    rest = None if place.tip else _uncommitted(place, tip, store)
    patches, notes = _committed(place, start, tip, shown)
    if not patches and rest is None:
        raise UserError(f"the range {shown} holds no commits")
    origin = {"range": shown, "repository": str(place.repository), "tip": tip, "start": start}
    if rest is not None:
        patches, origin = (*patches, rest), {**origin, "uncommitted": "yes"}
        notes = (*notes, f"the last patch is what {place.repository} has and no commit")
    said = (note[1],) if note else ()
    return PatchSet(patches, None, start, (*said, *notes), origin=tuple(sorted(origin.items())))


def _start(place: GitRange, tip: str, base: str | None) -> tuple[str, tuple[str, str] | None]:
    """The commit that the range starts from; where it was found: its name, and how, in words."""
    if place.base:
        start = _said(place, "merge-base", _commit(place, place.base), tip).split()
        if len(start) != 1:
            raise UserError(
                f"{place.base} and {place.tip or 'HEAD'} have no commit of {place.repository} in "
                "common"
            )
        return start[0], None
    if base and (start := _said(place, "merge-base", base, tip).split()):
        return start[0], (start[0][:12], f"it starts at {start[0][:12]}, where it leaves BASE")
    tag = _said(place, "describe", "--tags", "--abbrev=0", "--match=v[0-9]*", tip)
    if not tag:
        name = f"{place.repository}:<base>..{place.tip}"
        raise UserError(
            f"no tag v* is below {place.tip or 'HEAD'} in {place.repository}: write {name}"
        )
    return _commit(place, f"refs/tags/{tag}"), (tag, f"it starts at {tag}, the nearest tag")


def _committed(
    place: GitRange, start: str, tip: str, shown: str
) -> tuple[tuple[Mail, ...], tuple[str, ...]]:
    """The patches of the commits, and what was left out."""
    done = run_git([*_FORMAT, f"{start}..{tip}", "--"], cwd=place.repository, settings=_SETTINGS)
    if done.returncode != 0:
        raise InfraError(f"git format-patch failed: {last_line(done.stderr)}")
    # A body can hold a line like mbox's own: only lines with a whole commit id begin a patch.
    parts = re.split(rb"^From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\n", done.stdout, flags=re.M)
    mails = [mbox.read(raw, name=shown) for raw in parts if raw.strip()]
    if not mails:
        return (), ()
    found = patchset.assemble(mails, where=f"the range {shown}")
    return found.patches, found.notes


def _uncommitted(place: GitRange, tip: str, store: GitStore | None) -> Mail | None:
    """What the work tree has on top of a commit as a patch, None if nothing."""
    folder = place.repository
    if store is None or not (folder / ".git").exists():
        return None
    version = sources.require_kernel(folder, name=str(folder))
    tree = store.tree_of(sources.import_tree(folder, store, version=version, checkout=True))
    objects = ask(folder, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
    env = {"GIT_DIR": str(store.path), **folderindex.lending(Path(objects))}

    def diff(options: Sequence[str], paths: Sequence[str] = ()) -> bytes:
        words = ["diff-tree", "-r", "--no-renames", *options, f"{tip}^{{tree}}", tree, "--", *paths]
        done = run_git(words, env=env)
        if done.returncode != 0:
            raise InfraError(f"git diff-tree failed for {folder}: {last_line(done.stderr)}")
        return done.stdout

    # What a partial clone never had is not deleted.
    lacking = _lacking(diff(["--raw", "-z"]), env)
    without = [f":(exclude,literal){path}" for path in lacking]
    text = diff(["-p", "--full-index", "--binary", "--no-ext-diff", "--no-textconv"], without)
    return mbox.read(_UNCOMMITTED.encode() + text, name="not committed yet") if text else None


def _lacking(raw: bytes, env: Mapping[str, str]) -> list[str]:
    """The paths that a raw diff deletes and whose content is nowhere."""
    words = raw.decode(errors="surrogateescape").split("\0")[:-1]
    rows = [(row.split(), path) for row, path in zip(words[::2], words[1::2], strict=True)]
    gone = [(row[2], path) for row, path in rows if row[4] == "D"]
    asked = "".join(f"{blob}\n" for blob, _ in gone).encode()
    said = run_git(["cat-file", "--batch-check=%(objectname)"], env=env, stdin=asked).stdout
    answers = said.decode().splitlines()
    return [
        path for (_, path), line in zip(gone, answers, strict=True) if line.endswith(" missing")
    ]


def _commit(place: GitRange, name: str) -> str:
    found = commit_of(place.repository, name)
    if found is None:
        raise UserError(f"{place.repository} has no commit {name}")
    return found


def _said(place: GitRange, *args: str) -> str:
    """What git prints; "" when it fails."""
    done = run_git(args, cwd=place.repository)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
