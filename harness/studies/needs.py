# SPDX-License-Identifier: GPL-2.0-only
"""What the boots of a comparison need beside kernels: images, selftests, plugins of QEMU."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from harness.build import image, kselftest
from harness.build.image import Image, Recipe
from harness.build.kselftest import Selftests
from harness.build.pair import Arm, Context
from harness.experiment.cell import Cell
from harness.experiment.spec import Experiment
from harness.run.identity import BootMethod
from harness.source.apt import AptSource
from harness.studies import methods
from harness.vm import accel, counter, instrument

_log = logging.getLogger(__name__)

Images: TypeAlias = dict[tuple[str, ...], Image]
"""By packages on top: the plain image, (), and those that the cells ask for."""


def images(recipes: Mapping[tuple[str, ...], Recipe], context: Context) -> Images:
    """The root images; much of making one is waiting for the network."""
    archives = AptSource(context.cache.downloads, mirror=context.mirror).archives()
    return {
        packages: image.build(recipe, cache=context.cache, mirror=archives.main)
        for packages, recipe in recipes.items()
    }


def selftests(
    cells: Sequence[Cell], made: Mapping[str, Arm], context: Context
) -> dict[str, Selftests]:
    """By arm, the kernels' own tests that the cells ask for; none if none does."""
    tests = tuple(dict.fromkeys(test for cell in cells for test in cell.workload.selftests))
    if not tests:
        return {}
    builder = kselftest.SelftestBuilder(
        cache=context.cache, store=context.store, sandbox=context.sandbox, jobs=context.jobs
    )
    return {
        name: builder.build(
            kselftest.SelftestRequest(name, arm.request.commit, arm.request.tree, tests)
        )
        for name, arm in made.items()
    }


def instruments(
    experiment: Experiment, clock: str, wanted: Sequence[str], cells: Sequence[Cell]
) -> tuple[str, ...]:
    """The plugins that the first boots of both kernels are repeated with, if that can be done."""
    if not experiment.schedule.profile:
        return ()
    if why := methods.unprofiled(clock, experiment.guest.cpus):
        _log.warning(f"no profile: {why}")
        return ()
    split = [cell.name for cell in cells if cell.splits_memory]
    if split and instrument.ONE_NODE & set(wanted):
        _log.warning(f"no misses and locks of {', '.join(split)}: {methods.SPLIT}")
    return tuple(wanted)


def plugins(
    experiment: Experiment, cells: Sequence[Cell], method: BootMethod, names: Sequence[str]
) -> dict[str, Path]:
    """The plugins that any boot needs, by name, built for the QEMU that is here."""
    version = accel.qemu_version()
    counts = counter.interface(cells, method.clock, experiment.guest.cpus, version) is not None
    wanted = [*([instrument.COUNT] if counts else []), *names]
    api = instrument.interface(version)
    return {name: instrument.plugin(method.tools, name, api) for name in wanted} if api else {}
