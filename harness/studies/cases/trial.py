# SPDX-License-Identifier: GPL-2.0-only
"""KERNELS= as pairs of kernels that one comparison boots."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.build import pair
from harness.build.pair import Context, Trees
from harness.experiment import spec
from harness.series import registry
from harness.series.basis import AUTO
from harness.util.errors import KernelFailure
from harness.util.paths import REPO

_log = logging.getLogger(__name__)

REGISTRY = REPO / "kernels" / "series"
ON = "+"
"""Between a base and the series on it, where the series does not say its base."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Two kernels that are booted together.

    name: of its second kernel; settings: of its comparison, which say both
    arms: by name of a kernel of KERNELS=, its arm
    """

    name: str
    settings: Mapping[str, Any]
    arms: Mapping[str, str]
    trees: Trees


def plan(
    kernels: Sequence[str], more: Mapping[str, Any], context: Context
) -> tuple[tuple[Trial, ...], dict[str, str]]:
    """The trials of these kernels, and by kernel why there is none.

    A series is booted beside its base; that serves a kernel of the list that is the same tree.
    The others are booted in pairs.  UserError for a kernel that cannot be had.
    """
    found, failures = [], dict[str, str]()
    for name in (name for name in kernels if is_series(name)):
        base, _, patch = name.rpartition(ON)
        settings = {"base": base or AUTO, "patch": patch}
        try:
            trees = _prepared(settings, more, context)
        except KernelFailure as error:
            _log.warning(f"{name}: {error}")
            failures[name] = str(error)
            continue
        found.append(Trial(name, settings, {name: "patch"}, trees))
    plain = {
        name: _prepared({"base": name, "head": name}, more, context)
        for name in kernels
        if not is_series(name)
    }
    for name, its in plain.items():
        tree = its.base.tree
        for number, one in enumerate(found):
            if one.trees.base.tree == tree and "base" not in one.arms.values():
                found[number] = replace(one, arms={name: "base", **one.arms})
                break
    there = {name for one in found for name in one.arms}
    return (*_together([name for name in plain if name not in there], plain), *found), failures


def is_series(name: str) -> bool:
    """Whether a kernel of KERNELS= is a series: of the registry, a mail, a range, or on a base."""
    return any(mark in name for mark in (ON, "@", "..")) or _is_registered(name)


def _is_registered(name: str) -> bool:
    known = registry.names(REGISTRY)
    return name in known or name.rpartition("-v")[0] in known


def _together(left: Sequence[str], plain: Mapping[str, Trees]) -> Iterable[Trial]:
    """Trials of kernels without a series: each of the others beside the first one."""
    if not left:
        return
    first, *others = left
    for other in others or (first,):
        trees = replace(plain[first], other=plain[other].base)
        arms = {first: "base", other: "patch"} if others else {first: "base"}
        yield Trial(other, {"base": first, "head": other}, arms, trees)


def _prepared(kernels: Mapping[str, Any], more: Mapping[str, Any], context: Context) -> Trees:
    return pair.prepare(spec.load(None, {**more, **kernels}, command="compare"), context)
