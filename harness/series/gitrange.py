# SPDX-License-Identifier: GPL-2.0-only
"""A range of commits as the patches that ``git format-patch`` would mail."""

from __future__ import annotations

import re

from harness.series import patchset
from harness.series.locator import GitRange
from harness.series.mail import mbox
from harness.series.patchset import PatchSet
from harness.source.git import commit_of, last_line, run_git
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


def read(place: GitRange) -> PatchSet:
    """The patches of a range; their origin says which commits they are.

    The base is the commit that the range starts from.  Raises UserError for a name that the
    repository does not have, a range without commits, or one with merges.
    """
    base, tip = _commit(place, place.base), _commit(place, place.tip)
    start = _said(place, "merge-base", base, tip).split()
    if len(start) != 1:
        raise UserError(
            f"{place.base} and {place.tip} have no commit of {place.repository} in common"
        )
    shown = f"{place.base}..{place.tip}"
    if _said(place, "rev-list", "--merges", "--max-count=1", f"{base}..{tip}", "--"):
        raise UserError(f"the range {shown} has merges: give one without, or rebase it")
    if not _said(place, "rev-list", "--max-count=1", f"{base}..{tip}", "--"):
        raise UserError(f"the range {shown} holds no commits")
    done = run_git([*_FORMAT, f"{base}..{tip}", "--"], cwd=place.repository, settings=_SETTINGS)
    if done.returncode != 0:
        raise InfraError(f"git format-patch failed: {last_line(done.stderr)}")
    # A body can hold a line like mbox's own: only lines with a whole commit id begin a patch.
    parts = re.split(rb"^From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\n", done.stdout, flags=re.M)
    mails = [mbox.read(raw, name=shown) for raw in parts if raw.strip()]
    found = patchset.assemble(mails, where=f"the range {shown}")
    origin = {"range": shown, "repository": str(place.repository), "tip": tip, "start": start[0]}
    return PatchSet(
        found.patches, None, start[0], found.notes, origin=tuple(sorted(origin.items()))
    )


def _commit(place: GitRange, name: str) -> str:
    found = commit_of(place.repository, name)
    if found is None:
        raise UserError(f"{place.repository} has no commit {name}")
    return found


def _said(place: GitRange, *args: str) -> str:
    """What git prints; "" when it fails."""
    done = run_git(args, cwd=place.repository)
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""
