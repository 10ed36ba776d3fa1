# SPDX-License-Identifier: GPL-2.0-only
"""Under the wall clock: whether the host stayed as it was while guests ran.

A host that changed its clock rate, throttled, or gave its time to others between or during boots
is in the figures, and pairs do not take it out: such a cell gets no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from harness.report.model import Estimate
from harness.results import pairing
from harness.results.frames import Frames
from harness.stats.verdict import Kind

_STEAL_PCT = 1.0
"""Share of CPU time that another guest of this machine's own host may take in any boot."""
_OTHERS_PCT = 10.0
"""Share of the time of all CPUs that other programs may take in any boot."""
_EMULATED = "guests were emulated under the wall clock: that tests the harness and measures nothing"


def judged(rows: Sequence[Estimate], data: Frames, clock: str) -> list[Estimate]:
    """The rows; where the host moved under the wall clock, a verdict becomes none."""
    if clock != "wall":
        return list(rows)
    why = {
        str(cell): next(_hindrances(group), "")
        for cell, group in data.boots[data.boots["usable"]].groupby("cell")
    }
    return [_without(row, why.get(row.cell, "")) for row in rows]


def gather(data: Frames, clock: str) -> tuple[tuple[str, str], ...]:
    """(label, text) of what boots recorded of the host; none under another clock."""
    states = _states(data.boots)
    if clock != "wall" or not states:
        return ()
    text = (
        f"frequency governor {_all(states, 'governor')}, turbo {_all(states, 'turbo')}; at most "
        f"{_most(states, 'steal_pct'):g} % of CPU time stolen, {_most(states, 'others_pct'):g} % "
        f"taken by other programs, load {_most(states, 'load'):g}; throttled "
        f"{int(sum(_numbers(states, 'throttled')))} times"
    )
    pinned = {str(one.get("pinned", [])) for one in states}
    where = f"to CPUs {pinned.pop().strip('[]')}" if len(pinned) == 1 else "differently by boot"
    known = any(one.get("pinned") for one in states)
    return (("Host state", f"{text}; vCPUs {f'pinned {where}' if known else 'not pinned'}"),)


def _without(row: Estimate, reason: str) -> Estimate:
    if not reason or row.verdict is None or row.verdict.kind is Kind.NONE:
        return row
    return replace(row, verdict=replace(row.verdict, kind=Kind.NONE, reason=reason, more=None))


def _hindrances(boots: pd.DataFrame) -> Iterator[str]:
    """Why a cell's boots give no verdict, the gravest reason first."""
    if "tcg" in set(boots["accel"]):
        yield _EMULATED
    states = _states(boots)
    for name, what in (("governor", "frequency governor"), ("turbo", "turbo setting")):
        seen = sorted({str(one.get(name, "")) for one in states})
        if len(seen) > 1 or any(" then " in one for one in seen):
            yield f"the host's {what} moved: {', '.join(one or 'unknown' for one in seen)}"
    if count := int(sum(_numbers(states, "throttled"))):
        yield f"the host's CPUs were throttled for heat ({count} times)"
    if (most := _most(states, "steal_pct")) > _STEAL_PCT:
        yield f"{most:g} % of CPU time was stolen in a boot, {_STEAL_PCT:g} are allowed"
    if (most := _most(states, "others_pct")) > _OTHERS_PCT:
        yield f"other programs took {most:g} % of the CPUs in a boot, {_OTHERS_PCT:g} are allowed"


def _states(boots: pd.DataFrame) -> list[Mapping[str, Any]]:
    return [one.host_state for one in pairing.rows(boots) if one.host_state]


def _numbers(states: Sequence[Mapping[str, Any]], name: str) -> Iterator[float]:
    for one in states:
        value = one.get(name)
        if isinstance(value, int | float):
            yield float(value)


def _most(states: Sequence[Mapping[str, Any]], name: str) -> float:
    return max(_numbers(states, name), default=0.0)


def _all(states: Sequence[Mapping[str, Any]], name: str) -> str:
    return "/".join(sorted({str(one.get(name, "")) or "unknown" for one in states}))
