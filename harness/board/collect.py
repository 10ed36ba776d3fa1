# SPDX-License-Identifier: GPL-2.0-only
"""The folder of results -> the board's comparisons.  Only what is new or changed is read.

What is known stays known: a result that was removed keeps its page and its address.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.board import claims, record
from harness.board.claims import MemoryRow
from harness.board.record import BoardComparison, Known
from harness.experiment import defaults
from harness.results import checksums
from harness.results.manifest import ResultKind
from harness.series import registry
from harness.util.errors import UserError

_log = logging.getLogger(__name__)
_DEEPEST = 3
_PARTIAL = (ResultKind.WALK.record, ResultKind.BISECT.record)
"""Of studies whose parts are no series as somebody sent it."""
_TRIAL = re.compile(r"patch-\d\d+")
"""The parts of a walk or bisection under way, which has no record yet."""
_NEEDED = ("manifest.json", "experiment.json", "report/estimates.csv", "report/report.html")
_OVERHEAD = "report/overhead.csv"
_HISTORY = "history.sqlite"
Stamp = tuple[int, int]


@dataclass(slots=True)
class FoundResults:
    """What there is.

    comparisons: by address; stamps: by place below the results, the stamp of its SHA256SUMS and the
    address, "" for what the board does not show
    memory: by place, what a result of make overhead measured of a published table
    folders: by address, of those that are there
    fresh: addresses of those that were read anew
    histories: of nightly runs; gone: addresses whose folder is no longer there
    """

    comparisons: dict[str, BoardComparison] = field(default_factory=dict)
    stamps: dict[str, tuple[Stamp, str]] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    histories: list[Path] = field(default_factory=list)
    folders: dict[str, Path] = field(default_factory=dict)
    memory: dict[str, list[MemoryRow]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


Keep = Callable[[BoardComparison, Path, dict[str, Any]], None]
"""Takes what was read of a folder: of ten thousand, only the short form is held."""


def collect(
    root: Path, board: Path, known: FoundResults, kernels: Known, keep: Keep
) -> FoundResults:
    """All finished comparisons below ``root``.

    known: what the last build had; what of it is unchanged is taken over without being read
    keep: called with each comparison that was read anew, its folder, and all that its JSON says
    """
    found = FoundResults(comparisons=dict(known.comparisons))
    for place, folder in folders(root, board, found.histories):
        stamp = _stamp(folder / checksums.NAME)
        was = known.stamps.get(place)
        if was and was[0] == stamp and (not was[1] or was[1] in found.comparisons):
            found.stamps[place] = was
            if place in known.memory:
                found.memory[place] = known.memory[place]
        else:
            found.stamps[place] = (stamp, read_one(folder, place, kernels, found, keep))
        address = found.stamps[place][1]
        if address:
            found.folders[address] = folder
            _bundled(folder, address, found)
    there = {address for _, address in found.stamps.values()}
    found.gone = found.comparisons.keys() - there
    for address in found.gone:  # a thinned result has left its bundle
        folder = root / found.comparisons[address].name
        if folder.with_name(folder.name + defaults.BUNDLE_SUFFIX).is_file():
            found.folders[address] = folder
            _bundled(folder, address, found)
    return found


def registered(folder: Path) -> tuple[Known, dict[str, registry.Entry]]:
    """The registry of series: what places a patched kernel, and its entries by name."""
    entries = {name: registry.read(name, registry=folder) for name in registry.names(folder)}
    postings = {
        one.message_id: (name, one.name) for name, entry in entries.items()
        for one in entry.revisions
    }  # fmt: skip
    return Known(frozenset(entries), postings), entries


def read_one(
    folder: Path, place: str, kernels: Known, found: FoundResults, keep: Keep | None = None
) -> str:
    """Read a folder into ``found``; the address of its comparison, "" for what has none.

    What is not as it was recorded is left out, and that is said.
    """
    sums = checksums.read(folder)
    if sums and _OVERHEAD in sums.lines and (measured := claims.overhead(folder)):
        found.memory[place] = measured
    if sums is None or any(name not in sums.lines for name in _NEEDED if name[0] in "mr"):
        return ""  # begun, or of another kind
    changed = [name for name in _NEEDED if sums.lines.get(name) not in (None, _hash(folder / name))]
    if changed:
        _log.warning(f"{place}: left out, {changed[0]} is not as SHA256SUMS recorded it")
        return ""
    try:
        summary, data = record.read(folder, place, _hash(folder / checksums.NAME), kernels)
    except (ValueError, UserError) as error:
        _log.warning(f"{place}: left out, {error}")
        return ""
    found.comparisons[summary.address] = summary
    found.fresh.add(summary.address)
    if keep:
        keep(summary, folder, data)
    return summary.address


def _bundled(folder: Path, address: str, found: FoundResults) -> None:
    """Note the bundle beside a result; it may be made after the board was."""
    path = folder.with_name(folder.name + defaults.BUNDLE_SUFFIX)
    name = path.name if path.is_file() else ""
    if found.comparisons[address].bundle != name:
        found.comparisons[address] = replace(found.comparisons[address], bundle=name)


def folders(root: Path, board: Path, histories: list[Path]) -> Iterator[tuple[str, Path]]:
    """(place, folder) of each result with hashes, sorted; of walks and bisections nothing."""
    stack = [(root, 0)]
    while stack:
        folder, depth = stack.pop()
        with os.scandir(folder) as items:
            names = {one.name: one for one in items}
        if folder != root and "boots" in names:
            if checksums.NAME in names:
                yield folder.relative_to(root).as_posix(), folder
            continue
        is_partial = any(name in _PARTIAL or _TRIAL.fullmatch(name) for name in names)
        if (is_partial and folder != root) or depth > _DEEPEST:
            continue
        if _HISTORY in names:
            histories.append(folder / _HISTORY)
        below = [
            Path(one.path) for one in names.values()
            if one.name[0] != "." and one.is_dir(follow_symlinks=False)
            and one.name not in ("report", "boots") and Path(one.path) != board
        ]  # fmt: skip
        stack += [(one, depth + 1) for one in sorted(below, reverse=True)]


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def as_data(found: FoundResults) -> dict[str, Any]:
    """What the next build takes for known, but for the comparisons, which have a file."""
    return {
        "memory": found.memory,
        "stamps": {place: [*stamp, name] for place, (stamp, name) in found.stamps.items()},
    }


def of_data(data: Mapping[str, Any], comparisons: Iterable[Mapping[str, Any]]) -> FoundResults:
    """The same read back, with the comparisons as `BoardComparison.as_data` gave them."""
    made = map(BoardComparison.of, comparisons)
    stamps = {place: ((one[0], one[1]), one[2]) for place, one in data.get("stamps", {}).items()}
    memory = {place: list(rows) for place, rows in data.get("memory", {}).items()}
    return FoundResults({one.address: one for one in made}, stamps, memory=memory)
