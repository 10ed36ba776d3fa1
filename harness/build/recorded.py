# SPDX-License-Identifier: GPL-2.0-only
"""The trees and the series of a result's spec file: what its names meant, not what they mean now.

Where a name means something else by now, the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.experiment.meant import Meant, MeantSeries, MeantTree
from harness.series import kept, locator, series
from harness.series.locator import GitRange, Listed
from harness.series.model import AppliedSeries, Series
from harness.source.git import commit_of
from harness.source.sources import Source
from harness.util.errors import HarnessError, UserError

if TYPE_CHECKING:
    from harness.build.pair import Context

_log = logging.getLogger(__name__)


def tree(
    asked: str,
    recorded: MeantTree,
    meant: Meant,
    context: Context,
    resolve: Callable[[str], Source],
) -> Source:
    """The tree that the name ``asked`` meant.  UserError where it cannot be had."""
    if recorded.name.startswith("git:"):
        _say_moved(asked, recorded.commit, context)
    if recorded.diff and recorded.on and recorded.on_commit:
        parent = _exact(recorded.on, recorded.on_commit, resolve)
        _log.info(f"{asked}: taken is {recorded.diff} on {parent.name}, as it was measured")
        return kept.restore_tree(
            recorded,
            parent,
            meant,
            store=context.store,
            scratch=context.cache.build,
            sandbox=context.sandbox,
        )
    found = _exact(recorded.name, recorded.commit, resolve)
    _require(recorded.tree, found.tree, found.name)
    return found


def _exact(name: str, commit: str, resolve: Callable[[str], Source]) -> Source:
    """The source of that name, or of that commit where the name means another one by now."""
    exact = f"git:{commit}"
    may_move = name.startswith("git:") and name != exact
    try:
        found = resolve(name)
    except UserError:
        if not may_move:
            raise
        return resolve(exact)
    return resolve(exact) if may_move and found.commit != commit else found


def patches(
    asked: str, recorded: MeantSeries, meant: Meant, context: Context, registry: Path
) -> Series:
    """The series that the name ``asked`` meant."""
    found = kept.load_series(recorded, meant.file(recorded.patches))
    now = _now(asked, recorded, found, context, registry)
    if now:
        _log.warning(f"{asked} {now}; taken is what it meant: {recorded.patches} of the result")
    return found


def require(recorded: MeantSeries, applied: AppliedSeries) -> None:
    """Refuse with UserError a series that does not give the tree that was measured."""
    if recorded.tree:
        _require(recorded.tree, applied.tree, f"{recorded.name}, applied to its base,")


def _require(wanted: str, found: str, what: str) -> None:
    if found != wanted:
        raise UserError(
            f"{what} is tree {found[:12]}, and the result was measured on {wanted[:12]}: this "
            "repeats another measurement; without the key 'meant' the spec file takes what its "
            "names mean now"
        )


def _say_moved(asked: str, commit: str, context: Context) -> None:
    now = _commit(asked, context)
    if now is not None and now != commit:
        _log.warning(f"{asked} is commit {now[:12]} now; taken is {commit[:12]}, which it meant")


def _commit(name: str, context: Context) -> str | None:
    """What a name of a local KERNEL_GIT means now; None where nobody can tell."""
    local = Path(context.kernel_git).expanduser() if context.kernel_git else None
    if local is None or not local.is_dir():
        return None
    return commit_of(local, name.removeprefix("git:"))


def _now(asked: str, recorded: MeantSeries, found: Series, context: Context, registry: Path) -> str:
    """What a name means by now where that is something else; asks no network."""
    try:
        place = locator.find(asked, registry=registry, kernel_git=context.kernel_git)
    except HarnessError:
        return ""  # it is not there any more, which is what the file is for
    if isinstance(place, Listed) and place.revision:
        return "" if place.name == recorded.name else f"is {place.name} now"
    if not isinstance(place, Path | GitRange):
        return ""
    try:
        now = series.load(
            asked,
            registry=registry,
            kernel_git=context.kernel_git,
            store=context.store,
            base=dict(recorded.origin).get("start"),
        )
    except HarnessError as error:
        return "" if isinstance(place, GitRange) else f"cannot be read now ({error})"
    if now.digest == found.digest:
        return ""
    tip = dict(now.origin).get("tip")
    moved = tip if tip != recorded.origin.get("tip") else None  # else only the work tree changed
    return f"ends at commit {moved[:12]} now" if moved else "holds other patches now"
