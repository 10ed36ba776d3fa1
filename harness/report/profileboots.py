# SPDX-License-Identifier: GPL-2.0-only
"""The boots of a result that were run for its profiles: under a plugin, and never timed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.results.console import Outcome
from harness.results.frames import ARMS
from harness.util import atomic

_FOLDER = re.compile(rf"(\d+)-({'|'.join(ARMS)})\.([a-z]+)")
"""As `harness.vm.boot` names it: pair, arm and plugin."""


@dataclass(frozen=True, slots=True)
class ProfileBoot:
    """One boot under a plugin of QEMU."""

    cell: str
    pair: int
    arm: str
    plugin: str
    outcome: str
    detail: str

    @property
    def failed(self) -> bool:
        """Whether there is nothing to be told from it."""
        return self.outcome != Outcome.OK


def gather(results: Path) -> tuple[ProfileBoot, ...]:
    """All that are there, in order; a name that begins with a dot is a boot still under way."""
    found = []
    for folder in sorted((results / "boots").glob("[!.]*/[!.]*")):
        named = _FOLDER.fullmatch(folder.name)
        if named is None or not folder.is_dir():
            continue
        facts = atomic.json_file(folder / "boot.json") or {}
        found.append(
            ProfileBoot(
                cell=folder.parent.name,
                pair=int(named[1]),
                arm=named[2],
                plugin=named[3],
                outcome=str(facts.get("outcome", "unreadable")),
                detail=str(facts.get("detail", "")),
            )
        )
    return tuple(found)
