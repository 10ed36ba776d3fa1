# SPDX-License-Identifier: GPL-2.0-only
"""A patch series as data: its patches, and the commits that they become on a base."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from harness.series.mail.cover import Cover


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch; ``patch_id`` is git's stable one, ``sha256`` covers author, date and text too."""

    number: int
    subject: str
    message_id: str | None
    patch_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Series:
    """Ordered patches, and all of them as one mbox (of the mboxrd kind).

    ``locator`` finds it again (registry:NAME, mail:ID, dir:PATH, mbox:PATH, PATH:a..b);
    ``base_commit_hint`` is what a ``base-commit:`` line says; ``notes`` tell what was left out
    and why; ``origin`` are (key, value) pairs of where mails or commits are from; ``cover`` has
    the headers of its cover letter (or one patch), None if it was never mailed.  ``whole`` is the
    series that this one is the beginning of, None if it is all of it.  ``doubts`` are those of
    the notes that tell why the patches may not be what was meant; ``needs`` are lines of the
    mails that name patches or a tree to put them on (``prerequisite-patch-id:``, ``base-tree:``).
    """

    name: str
    title: str
    locator: str
    patches: tuple[Patch, ...]
    base_commit_hint: str | None
    mbox: bytes = field(repr=False)
    notes: tuple[str, ...]
    origin: tuple[tuple[str, str], ...] = ()
    cover: Cover | None = None
    whole: Series | None = field(default=None, repr=False)
    doubts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The hash of all patches in order."""
        return hashlib.sha256(" ".join(p.sha256 for p in self.patches).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """The tree after one patch: its number from 1, its subject, the commit with it applied."""

    number: int
    subject: str
    commit: str


@dataclass(frozen=True, slots=True)
class AppliedSeries:
    """A series on its base: the last commit, its tree, and one commit for each patch in order."""

    series: Series
    commit: str
    tree: str
    commits: tuple[str, ...]

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The patches, in the order of ``commits``."""
        return self.series.patches

    @property
    def steps(self) -> tuple[Step, ...]:
        """The commits of the store from the first patch to the last, each to be built by itself."""
        return tuple(
            Step(patch.number, patch.subject, commit)
            for patch, commit in zip(self.patches, self.commits, strict=True)
        )
