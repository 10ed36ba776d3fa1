# SPDX-License-Identifier: GPL-2.0-only
"""How the boots of an experiment are made: clock, disk, guest programs, images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.build import image, program
from harness.build.image import Recipe
from harness.build.pair import Context
from harness.experiment.arch import HERE
from harness.experiment.cell import Cell
from harness.experiment.settings import PAIRS
from harness.experiment.spec import Experiment
from harness.results import listing
from harness.run.identity import BootMethod
from harness.util.errors import UserError
from harness.vm import accel, disk, instrument
from harness.vm.accel import Accelerator


def of(experiment: Experiment, chosen: Accelerator, context: Context) -> BootMethod:
    """What will boot the cells; makes the guest programs, and those of the user's own.

    Errors as `choose_clock` and `program.build_all`.
    """
    clock = choose_clock(experiment, chosen.name)
    made = recipes(experiment.cells())
    program.build_all(experiment.cells(), cache=context.cache, sandbox=context.sandbox)
    return BootMethod(
        accelerator=chosen,
        clock=clock,
        disk=disk.choose(experiment.guest.disk, clock),
        tools=image.build_tools(cache=context.cache),
        image=made.pop(()).key,
        images={packages: one.key for packages, one in made.items()},
    )


def missing_images(cells: Sequence[Cell], context: Context) -> dict[str, int]:
    """Bytes of the root images that are still to be made, if there are any."""
    places = {context.cache.images / one.key for one in recipes(cells).values()}
    absent = [one for one in places if not (one / "root.img").is_file()]
    return {"root images": len(absent) * image.SPACE} if absent else {}


def recipes(cells: Sequence[Cell]) -> dict[tuple[str, ...], Recipe]:
    """By packages on top: the plain image, (), and those that the cells ask for."""
    recipe = image.read_recipe()
    wanted = sorted({(), *(cell.packages for cell in cells)})
    return {packages: image.with_packages(recipe, packages) for packages in wanted}


def donors(context: Context) -> tuple[Path, ...]:
    """The results whose boots of the base may serve others in the same folder of results."""
    return listing.with_boots(context.results) if context.shares else ()


def resolved(experiment: Experiment, clock: str) -> Experiment:
    """The experiment with what depends on the clock filled in."""
    return experiment.changed(pairs=experiment.schedule.pairs or PAIRS[clock])


def counted(experiment: Experiment) -> Experiment:
    """The experiment under the instruction clock, which needs TCG."""
    wanted = experiment.guest.accel
    return experiment.changed(clock="insn", accel="tcg" if wanted == "auto" else wanted)


SPLIT = "the plugins that tell them know the memory of one NUMA node"
"""Why a cell whose memory is split has no misses and locks."""


def unprofiled(clock: str, cpus: int) -> str:
    """Why nothing can be profiled, as a clause; "" if it can."""
    if clock != "insn":
        return (
            "a profile counts the instructions of one vCPU under TCG, and this clock is wall time"
        )
    if cpus > 1:
        return f"a profile counts the instructions of one vCPU, and these guests have {cpus}"
    version = accel.qemu_version()
    if instrument.interface(version) is None:
        return f"profiles need a plugin for QEMU 7.2, 8 or 10, and this is '{version}'"
    return "" if accel.has_plugins() else f"this QEMU ('{version}') was built without plugins"


def choose_clock(experiment: Experiment, accelerator: str) -> str:
    """The clock: "insn" wherever the guest runs under TCG unless wall time is asked for.

    Raises UserError when the instruction clock cannot be had as asked.
    """
    clock, cpus = experiment.guest.clock, experiment.guest.cpus
    if clock == "auto":
        clock = "wall" if accelerator == "kvm" else "insn"
    if clock == "insn" and accelerator == "kvm":
        raise UserError("the instruction clock needs TCG: use --accel tcg with --clock insn")
    if clock == "insn" and cpus > HERE.insn_cpus:
        raise UserError(
            f"the instruction clock has timers for {HERE.insn_cpus} CPUs, not for {cpus}: "
            f"use CPUS={HERE.insn_cpus} or fewer, or CLOCK=wall"
        )
    return clock
