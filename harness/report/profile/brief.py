# SPDX-License-Identifier: GPL-2.0-only
"""The few lines that other reports have of a profile: functions first, then what they cost."""

from __future__ import annotations

from collections.abc import Iterable

from harness.report.layout import wrap
from harness.report.profile import coststables, tables
from harness.report.profile.costs import Costs
from harness.report.profile.model import Profile

_MOST, _FUNCTIONS = 10, 6
"""Lines in all, and of functions where there are costs, too."""


def section(profile: Profile | None, costs: Costs | None) -> list[str]:
    """The block of another report, heading included: at most ten lines; empty without either."""
    if profile is None and costs is None:
        return []
    told: list[str] = [_head(profile)]
    # The last line says where the rest is, where there is any.
    room = _FUNCTIONS if costs and costs.operations else _MOST - 1
    whole = _fill(told, functions(profile), room) if profile else True
    whole &= _fill(told, coststables.brief(costs), _MOST - 1) if costs else True
    if not whole:
        told.append(f"More cells in {_places(profile, costs)}.")
    return told


def whole(profile: Profile | None, costs: Costs | None) -> list[str]:
    """The same for a screen, with all cells."""
    said = [*functions(profile)] if profile else []
    said += coststables.brief(costs) if costs else []
    return [_head(profile), *(line for one in said for line in wrap(one, rest="  "))]


def functions(profile: Profile) -> list[str]:
    """Of each cell's primary metric, the functions that changed most; what is wrong comes first."""
    said = [*profile.troubles, *map(tables.summary, profile.primary)]
    off = [one for one in profile.operations if tables.is_off(one) and not tables.is_hidden(one)]
    if off:
        worst = max(off, key=lambda one: max(abs(ratio) for _, ratio in one.off))
        more = f" (and {len(off) - 1} more)" if len(off) > 1 else ""
        said.insert(
            0,
            f"WARNING: totals of {worst.title}{more} differ from the timing boots' by "
            f"{tables.off_by(worst)}.",
        )
    return said


def _head(profile: Profile | None) -> str:
    if profile is None:
        return "What the change costs (one boot of each kernel under a plugin):"
    return "Where the change is (instructions, one profile boot of each kernel):"


def _places(profile: Profile | None, costs: Costs | None) -> str:
    files = ["profile.txt"] * (profile is not None) + ["costs.txt"] * (costs is not None)
    return ", ".join(files)


def _fill(told: list[str], said: Iterable[str], most: int) -> bool:
    """Add sentences as long as there are no more than ``most`` lines; whether all have room."""
    for one in said:
        lines = wrap(one, rest="  ")
        if len(told) + len(lines) > most:
            return False
        told += lines
    return True
