# SPDX-License-Identifier: GPL-2.0-only
"""What is known of counters, from ``kernels/counters.yaml``: which do not count the same in both
kernels, and which every report gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest
from harness.util import yamlfile
from harness.util.paths import REPO
from harness.util.versions import in_range, major_minor
from harness.util.yamlfile import Items, Text

PATH = REPO / "kernels" / "counters.yaml"


@dataclass(frozen=True, slots=True)
class Changed(yamlfile.Model):
    """Counters of ``was`` in versions in the range ``before``, of ``is_`` in those in ``after``.

    source: where in the kernel's source that is seen
    """

    counters: Items[Text]
    before: Text
    after: Text
    was: Text
    is_: Text
    source: str = ""

    def differs(self, base: str, patch: str) -> bool:
        """Whether two versions may count differently; what was not read may be either."""
        if major_minor(base) == major_minor(patch):
            return False
        return not any(
            in_range(base, known) and in_range(patch, known) for known in (self.before, self.after)
        )


@dataclass(frozen=True, slots=True)
class _Counters(yamlfile.Model):
    changed: Items[Changed] = ()
    always: Mapping[str, Items[Text]] = field(default_factory=dict)


def load(path: Path = PATH) -> tuple[Changed, ...]:
    """All that is known. UserError if a key is missing, unknown or no text."""
    return yamlfile.load(path, _Counters).changed


def always(probe: str) -> tuple[str, ...]:
    """The counters of a probe that every report gives; "*" stands for the rest of a name."""
    return tuple(yamlfile.load(PATH, _Counters).always.get(probe, ()))


def gather(manifest: Manifest) -> tuple[Changed, ...]:
    """What the two kernels of a run may count differently; nothing where a version is unknown."""
    base, patch = (manifest.arm(arm).version for arm in ARMS)
    if UNKNOWN in (base, patch):
        return ()
    return tuple(item for item in load() if item.differs(base, patch))


def notes(changed: Iterable[Changed], seen: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each entry that has some of the counters ``seen``."""
    there = set(seen)
    moved = ((item, there.intersection(item.counters)) for item in changed)
    return tuple(
        f"Not compared, since the two kernels count something else there: "
        f"{', '.join(sorted(names))}. Up to {item.before.strip('<=')} that is "
        f"{item.was}, from {item.after.strip('>=')} on {item.is_}."
        for item, names in moved
        if names
    )
