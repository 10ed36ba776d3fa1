# SPDX-License-Identifier: GPL-2.0-only
"""The machines that ran the guests, where there were several: what each is, and its own noise.

A pair stays on one host, so a difference between hosts is in no pair's difference; what could be is
said: a pair that was torn, a host whose noise or whose effect is another one than the others'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import stdev

from scipy.stats import kruskal, levene

from harness.report.model import Estimate
from harness.report.numbers import fine
from harness.results.frames import Frames
from harness.stats import rounding

_LEAST = 3
"""Pairs of a host before its noise or effect is held against those of others."""
_RISK = 0.01
"""Of calling equal hosts different, over all tests of a report (Bonferroni)."""

Place = tuple[str, int]
"""(cell, pair)"""


def gather(data: Frames, primary: Sequence[Estimate]) -> tuple[tuple[str, str], ...]:
    """(label, text) lines; none if one host ran all boots, or nobody said which."""
    boots = data.boots[data.boots["host"] != ""]
    if boots["host"].nunique() < 2:
        return ()
    by_pair: dict[Place, set[str]] = {}
    for cell, pair, host in zip(boots["cell"], boots["pair"], boots["host"], strict=True):
        by_pair.setdefault((cell, pair), set()).add(host)
    whole = {place: next(iter(names)) for place, names in by_pair.items() if len(names) == 1}
    lines = []
    for name, group in boots.groupby("host", sort=True):
        facts = " or ".join(sorted(set(group["host_facts"])))
        pairs = sum(host == name for host in whole.values())
        noise = ", ".join(_noise(row, whole, str(name)) for row in primary if row.again)
        said = f"; A/A sd {noise}" if noise else ""
        lines.append((f"Host {name}", f"{facts}; {len(group)} boots, {pairs} whole pairs{said}"))
    lines.append(("Hosts compared", "; ".join(_differences(primary, whole))))
    torn = sorted(place for place, names in by_pair.items() if len(names) > 1)
    if torn:
        shown = ", ".join(f"{cell} {pair:02d}" for cell, pair in torn[:10])
        lines.append(
            (
                "Pairs on two hosts",
                f"{len(torn)} ({shown}{', ...' if len(torn) > 10 else ''}): a difference between "
                "these hosts is in their figures",
            )
        )
    return tuple(lines)


def _noise(row: Estimate, whole: Mapping[Place, str], name: str) -> str:
    values = [value for pair, value in row.again if whole.get((row.cell, pair)) == name]
    spread = f"{fine(stdev(values))} %" if len(values) > 1 else "unknown"
    return f"{row.cell} {spread} (n {len(values)})"


def _differences(primary: Sequence[Estimate], whole: Mapping[Place, str]) -> list[str]:
    """Sentences for what differs between hosts, or one that nothing does."""
    tests = [
        *(("the noise", row, _by_host(row.again, row, whole), "levene") for row in primary),
        *(("the effect", row, _by_host(row.changes, row, whole), "kruskal") for row in primary),
    ]
    known = [
        (what, row, groups, p)
        for what, row, groups, how in tests
        if (p := _p(groups, how)) is not None
    ]
    if not known:
        return [f"no two hosts have {_LEAST} pairs of any cell: nothing can be said"]
    found = [
        f"DIFFER in {what} of {row.cell} (p {p:.2g}): "
        + ", ".join(f"{name} {_typical(what, values)}" for name, values in sorted(groups.items()))
        for what, row, groups, p in known
        if p < _RISK / len(known)
    ]
    return found or [
        f"no difference in noise or effect beyond chance ({len(known)} tests, {100 * _RISK:g} % "
        "risk over all)"
    ]


def _by_host(
    values: Sequence[tuple[int, float]], row: Estimate, whole: Mapping[Place, str]
) -> dict[str, list[float]]:
    """The values of hosts that have enough of them."""
    found: dict[str, list[float]] = {}
    for pair, value in values:
        host = whole.get((row.cell, pair))
        if host is not None:
            found.setdefault(host, []).append(value)
    return {host: mine for host, mine in found.items() if len(mine) >= _LEAST}


def _p(groups: Mapping[str, Sequence[float]], how: str) -> float | None:
    """The p value that all hosts are alike; None where it cannot be had."""
    samples = _settled(list(groups.values()))
    if len(samples) < 2 or len({value for one in samples for value in one}) < 2:
        return None
    test = levene(*samples, center="median") if how == "levene" else kruskal(*samples)
    p = float(test.pvalue)
    return p if math.isfinite(p) else None


def _settled(samples: Sequence[Sequence[float]]) -> list[list[float]]:
    """Changes in per cent, where those that are equal but for rounding are the same float."""
    flat = [value for one in samples for value in one]
    found = iter(rounding.settled(flat, [rounding.ROUNDING * (100 + abs(one)) for one in flat]))
    return [[next(found) for _ in one] for one in samples]


def _typical(what: str, values: Sequence[float]) -> str:
    middle = sorted(values)[len(values) // 2]
    return f"sd {fine(stdev(values))} %" if what == "the noise" else f"{fine(middle, sign=True)} %"
