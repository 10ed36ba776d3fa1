# SPDX-License-Identifier: GPL-2.0-only
"""Old results of a nightly are removed: docs/nightly.md states the rule.

The history keeps every figure.  Of a verdict that changed the evidence stays, as a bundle.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.experiment import defaults
from harness.studies import bundle
from harness.studies.nightly.moves import Move
from harness.studies.nightly.store import HistoryStore, NightlyComparison
from harness.util.errors import HarnessError

_log = logging.getLogger(__name__)
Line = tuple[str, str, str, str]


def thin(root: Path, history: HistoryStore, moves: Iterable[Move], keep: int) -> list[str]:
    """Remove the results that no night of the last ``keep`` ones looked at; their folders.

    The newest point of each line stays whole.  A result that moved a line, or whose verdicts are
    others than those of the point before, is packed into a bundle first, and stays where that is
    refused.
    """
    nights = [one.id for one in history.nights()]
    oldest = nights[-keep] if len(nights) >= keep else 0
    moved = {one.at.comparison.key for one in moves}
    gone = []
    for one, changed in _older(history):
        folder = root / one.folder
        if one.night >= oldest or not folder.is_dir():
            continue
        if (changed or one.key in moved) and not _packed(folder):
            continue
        hidden = folder.with_name(f".{folder.name}.thinned")
        shutil.rmtree(hidden, ignore_errors=True)
        folder.rename(hidden)  # never half of a result
        shutil.rmtree(hidden)
        gone.append(one.folder)
    if gone:
        _log.info(f"thinned: {len(gone)} results that the last {keep} nights did not look at")
    return gone


def _older(history: HistoryStore) -> Iterator[tuple[NightlyComparison, bool]]:
    """All but the newest of each line, and whether the verdicts differ from those before it."""
    verdicts: dict[tuple[int, str], list[tuple[str, str, str]]] = {}
    for each in history.estimates():
        if each.role == "primary":
            found = verdicts.setdefault((each.night, each.key), [])
            found.append((each.cell, each.metric, each.verdict))
    lines: dict[Line, list[NightlyComparison]] = {}
    for one in {each.key: each for each in history.comparisons()}.values():
        lines.setdefault((one.subject, one.base, one.suite, one.name), []).append(one)
    for many in lines.values():
        before = None
        for one in sorted(many, key=lambda each: (each.date, each.night))[:-1]:
            now = sorted(verdicts.get((one.night, one.key), ()))
            yield one, before is not None and now != before
            before = now


def _packed(folder: Path) -> bool:
    """Whether a bundle of a result is there now."""
    target = folder.with_name(folder.name + defaults.BUNDLE_SUFFIX)
    try:
        if not target.is_file():
            bundle.make([folder], target)
    except HarnessError as error:
        _log.warning(f"not thinned: {error}")
        return False
    return True
