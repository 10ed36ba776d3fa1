# SPDX-License-Identifier: GPL-2.0-only
"""What ARMS= names: for each arm, the comparison with the base that it is.

An arm is declared by the spec file, by the registry's entry of the series (its own arms, or its
revisions), or, for "off" and "on", by the one option that the series brings and leaves off.  The
rest is known of any series: itself, a compiler, and the base with another layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.build import kbuild, newoptions, pair
from harness.build.pair import Context
from harness.experiment import switch
from harness.experiment.arms import CONTROL, NamedArm, is_compiler
from harness.experiment.spec import Experiment
from harness.series import basis, locator
from harness.series.locator import Listed
from harness.series.registry import Entry
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import near

REGISTRY = REPO / "kernels" / "series"
_SWITCHED = {"off": "n", "on": "y"}
PATCH, LAYOUT = "patch", "layout"
"""The series or second kernel as it is; the base with each function at a multiple of 64 bytes."""
_ALIGNED = "DEBUG_FORCE_FUNCTION_ALIGN_64B=y"
_COMPILERS = ("gcc", "clang")


def of(experiment: Experiment, context: Context) -> dict[str, Experiment]:
    """By arm, the experiment that compares it with the base.

    UserError for a name that nobody declares, with those that are known.
    """
    asked = experiment.kernels.arms or {}
    # The spec file of a result declares all arms: the series may be known by it alone.
    entry = _entry(experiment, context) if None in asked.values() else None
    brought: dict[str, tuple[str, ...]] = {}

    def arm(name: str, data: Any) -> NamedArm:
        if data is not None:
            return NamedArm.of(name, data, f"arm {name}")
        if entry and name in (entry.arms or {}):
            return NamedArm.of(name, (entry.arms or {})[name], f"{entry.path}: arms: {name}")
        if entry and name in (one.name for one in entry.revisions):
            return NamedArm.of(name, {"patch": f"{entry.name}-{name}"}, name)
        if name in _SWITCHED and experiment.kernels.patch:
            if not brought:
                brought["options"] = _brought(experiment, context)
            option = _one_option(brought["options"], experiment)
            return NamedArm.of(name, {"options": [f"{option}={_SWITCHED[name]}"]}, name)
        if name == PATCH:
            return NamedArm(name)
        if is_compiler(name):
            return NamedArm.of(name, {"cc": name}, name)
        if name == LAYOUT:
            base = _base(experiment, context)
            return NamedArm.of(name, {"head": base, "options": [_ALIGNED]}, name)
        raise UserError(_unknown(name, experiment, entry))

    found = {name: _compared(experiment, arm(name, data)) for name, data in asked.items()}
    for compiler in {one.kernels.cc for one in found.values()}:
        kbuild.compiler_version(compiler)  # one that is missing is told before anything is built
    return found


def single(experiment: Experiment, context: Context, command: str) -> Experiment:
    """The experiment of its one arm, for a command that measures one series; itself without arms.

    UserError where several are named.
    """
    if not experiment.kernels.arms:
        return experiment
    found = of(experiment, context)
    if len(found) > 1:
        raise UserError(
            f"make {command} measures one arm, and ARMS names {', '.join(found)}: name one of them"
        )
    return next(iter(found.values())).changed(name=experiment.name)


def declared(asked: Experiment, one: Experiment) -> dict[str, Any]:
    """An arm as a spec file declares it: what its name meant.  ``asked`` is what all arms share."""
    common, kernels = asked.kernels, one.kernels
    return {
        **({"patch": kernels.patch} if kernels.patch not in (None, common.patch) else {}),
        **({"head": kernels.head} if kernels.head not in (None, common.head) else {}),
        **({"cc": kernels.cc} if kernels.cc != common.cc else {}),
        "options": list(kernels.head_config[len(common.head_config) :]),
        **(kernels.head_guest or {}),
    }


def what(one: Experiment) -> str:
    """The kernel of an arm and its switch, in one clause."""
    kernels = one.kernels
    parts = [kernels.patch or f"kernel {kernels.head}", *kernels.head_config]
    if shown := switch.of(kernels.head_guest).shown:
        parts.append(f"in the guest {shown}")
    return ", ".join(parts)


def _entry(experiment: Experiment, context: Context) -> Entry | None:
    """The registry's entry of the series, if it is one of the registry."""
    patch = experiment.kernels.patch
    if not patch or experiment.meant.patch:
        return None
    place = locator.find(patch, registry=REGISTRY, kernel_git=context.kernel_git)
    return place.entry if isinstance(place, Listed) else None


def _base(experiment: Experiment, context: Context) -> str:
    """The name of the base, as a second kernel may be named."""
    name = experiment.kernels.base
    if name != basis.AUTO:
        return name
    return pair.prepare(experiment.changed(arms=None), context).base.name


def _brought(experiment: Experiment, context: Context) -> tuple[str, ...]:
    """The options that the series brings and leaves off."""
    trees = pair.prepare(experiment.changed(arms=None), context)
    if trees.applied is None:
        return ()
    return newoptions.off_by_default(context.store, trees.base.commit, trees.applied.commit)


def _one_option(found: tuple[str, ...], experiment: Experiment) -> str:
    if len(found) == 1:
        return found[0]
    patch = experiment.kernels.patch
    what = f"brings {len(found)} options that are off by default ({', '.join(found)})"
    said = what if found else "brings no option that is off by default"
    raise UserError(
        f"ARMS=off,on: {patch} {said}: declare each arm under 'arms' in a spec file, with its "
        "options (docs/arms.md)"
    )


def _unknown(name: str, experiment: Experiment, entry: Entry | None) -> str:
    known = [*(entry.arms or ()), *(one.name for one in entry.revisions)] if entry else []
    known = known or (["off", "on"] if experiment.kernels.patch else [])
    known += [PATCH, *_COMPILERS, LAYOUT, CONTROL]
    hint = near(name, known) or f"; there are {', '.join(known)}"
    of_what = experiment.kernels.patch or f"HEAD={experiment.kernels.head}"
    return (
        f"ARMS: nobody declares the arm '{name}' of {of_what}{hint}; a spec file may, under 'arms' "
        "(docs/arms.md)"
    )


def _compared(experiment: Experiment, arm: NamedArm) -> Experiment:
    """The base against the arm alone."""
    kernels = experiment.kernels
    values: dict[str, Any] = {
        "arms": None,
        "name": arm.name,
        "head_config": (*kernels.head_config, *arm.kernel.options),
        "head_guest": _joined(kernels.head_guest, arm.switch),
    }
    if arm.kernel.cc:
        values["cc"] = arm.kernel.cc
    if arm.kernel.patch:
        values |= {"patch": arm.kernel.patch, "head": None}
    if arm.kernel.head:
        values |= {"head": arm.kernel.head, "patch": None, "upto": None}
    meant = experiment.meant
    if arm.name in meant.revisions:
        meant = meant.of(arm.name)
    else:
        meant = meant.without({key for key in ("patch", "head") if key in values})
    return replace(experiment.changed(**values), meant=meant)


def _joined(
    common: Mapping[str, Any] | None, own: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """The switch of all arms, and that of one on top."""
    made = dict(common or {})
    for key, value in (own or {}).items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping) and key != "proof"
        made[key] = {**made[key], **value} if both else value
    return made or None
