# SPDX-License-Identifier: GPL-2.0-only
"""Profile and costs as plain values, for a report in JSON.

Source lines, edges and stacks are left out: lines.csv, edges.csv and profile/ have them.
"""

from __future__ import annotations

from typing import Any

from harness.costs.cycles import SCALES
from harness.experiment.cpumodel import EVENTS
from harness.report.profile.costs import Costs, HeldMost, ModelMisses, OperationCosts, Sides
from harness.report.profile.model import Cost, Operation, Profile


def profile(found: Profile) -> dict[str, Any]:
    """Every operation with its functions and parts."""
    return {
        "operations": [_operation(one) for one in found.operations],
        "troubles": list(found.troubles),
    }


def costs(found: Costs) -> dict[str, Any]:
    """Every operation with its misses, estimated cycles and locks."""
    return {
        "operations": [_costs(one) for one in found.operations],
        "troubles": list(found.troubles),
    }


def _operation(one: Operation) -> dict[str, Any]:
    return {
        "cell": one.cell,
        "metric": one.metric,
        "unit": one.unit,
        "total": _cost(one.total),
        "timing": _cost(one.timing),
        "without_compression": _cost(one.bare),
        "for": {item.name: _cost(item.cost) for item in one.roots},
        "parts": {item.name: _cost(item.cost) for item in one.parts},
        "functions": [
            {
                "name": item.name,
                "for": item.root.words,
                "file": item.file,
                "part": item.part,
                "state": item.state,
                "former": item.former,
                "own": _cost(item.own),
                "whole": _cost(item.whole),
                "calls": _cost(item.calls),
            }
            for item in one.functions
        ],
    }


def _cost(one: Cost) -> dict[str, float | None]:
    return {"base": one.base, "patch": one.patch}


def _costs(one: OperationCosts) -> dict[str, Any]:
    base, patch = one.ceilings
    return {
        "cell": one.cell,
        "metric": one.metric,
        "unit": one.unit,
        "models": [_model(mine) for mine in one.models],
        "lines": _sides(one.lines),
        "locks": [
            {
                "function": hold.function,
                "kind": hold.kind,
                "acquired": _sides(hold.acquired),
                "held": _sides(hold.held),
                "longest": _sides(hold.longest),
                "objects": _sides(hold.objects),
            }
            for hold in one.holds
        ],
        "named_locks": [
            {
                "name": named.name,
                "taken_in": list(named.takers),
                "acquired": _sides(named.acquired),
                "held": _sides(named.held),
                "longest": _sides(named.longest),
                "objects": _sides(named.objects),
            }
            for named in one.named
        ],
        "ceilings": {"base": base and _ceiling(base), "patch": patch and _ceiling(patch)},
        "ends_not_seen": sum(one.seen),
    }


def _model(mine: ModelMisses) -> dict[str, Any]:
    return {
        "model": mine.estimate.model,
        "cycles": _sides(mine.estimate.cycles()),
        "cycles_of_instructions": _sides(mine.estimate.insns),
        "cycles_of_misses": _sides(mine.estimate.misses),
        "change_pct_by_scale_of_miss": {
            str(scale): mine.estimate.change_pct(scale) for scale in SCALES
        },
        "misses": _events(mine.misses),
        "regions": {name: _events(sides) for name, sides in mine.regions.items()},
        "functions": {item.name: _events(item.misses) for item in mine.functions},
        "data": {item.name: _events(item.misses) for item in mine.data},
    }


def _events(sides: tuple[Sides, ...]) -> dict[str, Any]:
    return {event: _sides(side) for event, side in zip(EVENTS, sides, strict=True)}


def _sides(pair: tuple[float | None, float | None]) -> dict[str, float | None]:
    return {"base": pair[0], "patch": pair[1]}


def _ceiling(top: HeldMost) -> dict[str, Any]:
    return {
        "name": top.name,
        "taken_in": list(top.functions),
        "held": top.held,
        "cpus": top.cpus,
    }
