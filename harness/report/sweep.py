# SPDX-License-Identifier: GPL-2.0-only
"""Workloads of a result that differ in nothing but how many processes they run."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from harness.results.manifest import Manifest, WorkloadFacts

_PROCESSES = ("nproc", "procs", "workers")
"""Parameters that are a number of processes, as the workloads' programs call them."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One workload's definition with several numbers of processes.

    workload: the definition's name; parameter: what is given several numbers
    points: (number, name of the workload in this result), the smallest number first
    """

    workload: str
    parameter: str
    points: tuple[tuple[int, str], ...]


def gather(manifest: Manifest) -> tuple[Sweep, ...]:
    """Every sweep of two numbers or more, in the order of names."""
    found: defaultdict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
    for name, facts in sorted(manifest.workloads.items()):
        number = _processes(facts)
        definition = str((facts.model_extra or {}).get("name", ""))
        if number is None or not definition:
            continue
        parameter, count = number
        rest = {key: value for key, value in facts.effective.items() if key != parameter}
        found[definition, parameter, repr(sorted(rest.items()))].setdefault(count, name)
    return tuple(
        Sweep(workload, parameter, tuple(sorted(points.items())))
        for (workload, parameter, _), points in sorted(found.items())
        if len(points) > 1 and _alike(manifest, points)
    )


def _processes(facts: WorkloadFacts) -> tuple[str, int] | None:
    """The parameter that is a number of processes, and the number."""
    effective: Mapping[str, object] = facts.effective
    for name in _PROCESSES:
        text = str(effective.get(name, ""))
        if re.fullmatch(r"0*[1-9]\d{0,8}", text):
            return name, int(text)
    return None


def _alike(manifest: Manifest, points: Mapping[int, str]) -> bool:
    """Whether all have one memory limit, or one for each of their processes."""
    texts = {count: manifest.workload(name).memory_max for count, name in points.items()}
    if len(set(texts.values())) == 1:
        return True
    limits = {count: int(text) / count for count, text in texts.items() if text.isdecimal()}
    return len(limits) == len(texts) and len(set(limits.values())) == 1
