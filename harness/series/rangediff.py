# SPDX-License-Identifier: GPL-2.0-only
"""What changed between two revisions of a series, as ``git range-diff`` prints it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.util.errors import InfraError

_LINE = re.compile(
    r"^ *(?P<old>-|\d+): +(?P<left>-+|[0-9a-f]+) (?P<mark>[=!<>]) +(?P<new>-|\d+): "
    r"+(?P<right>-+|[0-9a-f]+) (?P<subject>.*)$"
)
_KINDS = {"=": "same", "!": "changed", "<": "dropped", ">": "new"}


@dataclass(frozen=True, slots=True)
class CommitRange:
    """The commits after ``base`` up to ``tip``."""

    base: str
    tip: str


@dataclass(frozen=True, slots=True)
class PatchChange:
    """One patch: its number before and after (None where it is not), and what became of it.

    kind: same, changed, dropped or new
    """

    old: int | None
    new: int | None
    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The patches of both revisions, in git's order."""

    changes: tuple[PatchChange, ...]

    def count(self, kind: str) -> int:
        """How many patches are of a kind."""
        return sum(change.kind == kind for change in self.changes)

    @property
    def text(self) -> str:
        """The counts as one clause."""
        return ", ".join(f"{self.count(kind)} {kind}" for kind in _KINDS.values())


def arguments(old: CommitRange, new: CommitRange) -> tuple[str, ...]:
    """What git is run with for `parse` to read its answer."""
    ranges = (f"{old.base}..{old.tip}", f"{new.base}..{new.tip}")
    return ("range-diff", "--no-color", "--no-patch", "--no-notes", *ranges, "--")


def parse(text: str) -> Digest:
    """Git's lines, one a patch; InfraError for a line that is none."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if not match:
            raise InfraError(f"git range-diff says what is not understood: {line[:100]!r}")
        old, new = (None if match[side] == "-" else int(match[side]) for side in ("old", "new"))
        found.append(PatchChange(old, new, _KINDS[match["mark"]], match["subject"]))
    return Digest(tuple(found))
