# SPDX-License-Identifier: GPL-2.0-only
"""Counters that do not count the same in both kernels, from ``kernels/counters.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest
from harness.util import yamlfile as data
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.versions import in_range, major_minor

PATH = REPO / "kernels" / "counters.yaml"
_KEYS = ("counters", "before", "after", "was", "is", "source")


@dataclass(frozen=True, slots=True)
class Changed:
    """Counters of ``was`` in versions in the range ``before``, of ``now`` in those in ``after``."""

    counters: frozenset[str]
    before: str
    after: str
    was: str
    now: str

    def differs(self, base: str, patch: str) -> bool:
        """Whether two versions may count differently; what was not read may be either."""
        if major_minor(base) == major_minor(patch):
            return False
        return not any(
            in_range(base, known) and in_range(patch, known) for known in (self.before, self.after)
        )


def load(path: Path = PATH) -> tuple[Changed, ...]:
    """All that is known. UserError if a key is missing, unknown or no text."""
    found = []
    items = data.listing(path, data.old_read(path, keys=("changed",)), "changed")
    for number, item in enumerate(items):
        where = f"changed[{number}]"
        if not isinstance(item, dict):
            raise UserError(f"{path}: {where} must hold keys and values")
        data.old_check(path, item, _KEYS, where)
        names = data.listing(path, item, "counters")
        texts = (data.text(path, item, key, where) for key in ("before", "after", "was", "is"))
        found.append(Changed(frozenset(map(str, names)), *texts))
    return tuple(found)


def gather(manifest: Manifest) -> tuple[Changed, ...]:
    """What the two kernels of a run may count differently; nothing where a version is unknown."""
    base, patch = (manifest.text("arms", arm, "version") for arm in ARMS)
    if UNKNOWN in (base, patch):
        return ()
    return tuple(item for item in load() if item.differs(base, patch))


def notes(changed: Iterable[Changed], seen: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each entry that has some of the counters ``seen``."""
    there = set(seen)
    return tuple(
        f"Not compared, since the two kernels count something else there: "
        f"{', '.join(sorted(item.counters & there))}. Up to {item.before.strip('<=')} that is "
        f"{item.was}, from {item.after.strip('>=')} on {item.now}."
        for item in changed
        if item.counters & there
    )
