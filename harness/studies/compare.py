# SPDX-License-Identifier: GPL-2.0-only
"""The main job: two kernels in, a results folder with a report out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.build import kbuild, pair, places, program, symbols, trace, vmlinux
from harness.build.kbuild import Kernel
from harness.build.pair import Context, KernelPair, PairPlan
from harness.experiment import spec, switch
from harness.experiment.cell import Cell
from harness.experiment.spec import Experiment
from harness.experiment.switch import Switch
from harness.report import files, live, summary
from harness.results import checksums, observer
from harness.results.manifest import ResultKind
from harness.run import eviction, identity, manifest, plan, resources, reuse
from harness.run.identity import BootMethod
from harness.run.manifest import Request, Setting
from harness.studies import ability, booting, methods, needs
from harness.studies.result import StudyResult
from harness.util import ahead, progress, scratch
from harness.util.errors import Exit
from harness.util.progress import StageTime
from harness.vm import accel, counter, disk, instrument
from harness.vm.accel import Accelerator
from harness.vm.boot import BootRequest

_log = logging.getLogger(__name__)


INSTRUMENTS = (instrument.PROFILE, instrument.CACHES, instrument.LOCKS)
"""All that a profile can be made with."""


def compare(
    experiment: Experiment,
    context: Context,
    *,
    made: KernelPair | None = None,
    donors: Sequence[Path] = (),
    instruments: Sequence[str] = (instrument.PROFILE,),
) -> StudyResult:
    """Run ``experiment`` from sources to report; goes on where an earlier call was stopped.

    ``made``, ``donors`` and ``instruments`` are as in `Boots`.
    Raises the harness's typed errors; see ``harness.util.errors`` for what each means.
    """
    with (
        measured(experiment, context, Boots(made=made, donors=donors, instruments=instruments)) as (
            folder,
            ran,
        ),
        progress.stage("report"),
    ):
        made_of = report(folder)
        checksums.report(folder)
    status = Exit.KERNEL if ran.failed else made_of.status
    return replace(made_of, status=status, done=ran.done)


def report(folder: Path) -> StudyResult:
    """Write the report of a comparison again.  Runs nothing; errors as in `files.make`."""
    written = files.make(folder)
    text = (written.folder / "report.txt").read_text(encoding="utf-8")
    page = written.folder / "report.html"
    screen = "\n".join(summary.text(written.report, written.folder)) + "\n"
    return StudyResult(ResultKind.COMPARE, folder, text, page, written.status, screen)


@dataclass(frozen=True, slots=True)
class Boots:
    """What a study asks of the boots of an experiment.

    change: asked for each boot of the plan
    written: what one boot writes to its swap disk at most, in bytes, if that is less than the
    whole disk
    made: the kernels if they are built already
    donors: results folders whose boots of the base may serve this one, too (see ``reuse``)
    request: what the experiment was made from, if it was
    alone: a cell that one kernel cannot run is run on the other
    words: of the result's name in place of the experiment's own
    instruments: the plugins that a profile has boots for; those for misses and locks take longer
    """

    change: Callable[[BootRequest], BootRequest] = lambda boot_request: boot_request
    written: int | None = None
    made: KernelPair | None = None
    donors: Sequence[Path] = ()
    request: Request | None = None
    alone: bool = False
    words: str = ""
    instruments: Sequence[str] = (instrument.PROFILE,)

    @property
    def command(self) -> str:
        """The command that runs them."""
        return self.request.target if self.request else "compare"


@contextmanager
def measured(
    experiment: Experiment, context: Context, boots: Boots
) -> Iterator[tuple[Path, plan.Run]]:
    """Run all boots of ``experiment`` that have no result yet; gives the sealed results folder.

    The folder is held against others until the block ends, for what the caller derives from it.
    """
    before = progress.finished()  # by a walk's earlier trials
    cells = admitted(experiment, boots.command)
    chosen = accel.choose(experiment.guest.accel, cache=context.cache)
    with (
        booting.engine(context, chosen) as engine,
        live.view() as shown,
        begun(experiment, cells, chosen, context, boots) as one,
    ):
        folder, setting = one.folder, one.setting
        _log.info(f"{setting.experiment.schedule.pairs} pairs of boots for each cell")
        planned = plan_of(setting, boots)
        donors = dict.fromkeys([*boots.donors, *methods.donors(context)])
        shared = reuse.boots(planned, folder, donors)
        if shared:
            _log.info(f"{shared} boots of the base are shared with other results")
        place = booting.Place(folder / "boots", folder)
        ran = booting.boot_all(planned, [setting], context, place, shown, engine, boots.written)
        finish(one, planned, ran, context, progress.stages(before))
        yield folder, ran
    for failure in ran.failed:
        _log.warning(failure)
    booting.say_times(ran, before)


def admitted(experiment: Experiment, command: str) -> tuple[Cell, ...]:
    """The cells that some kernel could run: what none could is told before an hour of building."""
    cells, _ = ability.runnable(experiment, command)
    for cell in cells:
        disk.require_room(cell.backend, experiment.guest.memory, experiment.guest.swap)
    _log.info(spec.describe(experiment))
    scratch.sweep()
    return cells


@dataclass(frozen=True, slots=True)
class Begun:
    """A comparison whose kernels are built: nothing is booted yet, and its folder is held."""

    folder: Path
    setting: Setting


@contextmanager
def begun(
    experiment: Experiment,
    cells: Sequence[Cell],
    chosen: Accelerator,
    context: Context,
    boots: Boots,
) -> Iterator[Begun]:
    """Get and build all that the boots need; the folder is held until the block ends."""
    sketch = _sketched(experiment, cells, chosen, context, boots)
    folder = context.results / sketch.experiment.title
    _log.info(f"results go to {folder}")
    with manifest.locked(folder):
        identity.require(folder, sketch.identity, grows=boots.request is None)
        sketch = _continued(sketch, folder, boots)
        setting = _set_up(sketch, context, boots)
        identity.keep(folder, sketch.identity)
        checksums.resume(folder)
        manifest.keep(folder, setting, context)
        yield Begun(folder, setting)


def finish(
    one: Begun,
    planned: Sequence[plan.Block],
    ran: plan.Run,
    context: Context,
    stages: Sequence[StageTime],
) -> None:
    """Write what a comparison says of itself once all boots of its plan have run; seal it."""
    folder, setting = one.folder, one.setting
    kernels = {request.folder: request.kernel for block in planned for request in block}
    for trouble in trace.record(folder, kernels, context.sandbox):
        _log.warning(trouble)
    for trouble in _places(folder, planned, context):
        _log.warning(trouble)
    base, patch = (setting.arms[name].kernel.path for name in ("base", "patch"))
    if trouble := vmlinux.record(folder, base, patch):
        _log.warning(trouble)
    manifest.write(folder, setting, ran, stages)
    checksums.raw(folder)


@dataclass(frozen=True, slots=True)
class _Sketch:
    """A comparison before its kernels are built.

    ``planned`` is None where they were given.  ``images`` are made meanwhile.
    """

    experiment: Experiment
    method: BootMethod
    identity: Mapping[str, Any]
    planned: PairPlan | None
    images: Future[needs.Images]


def _sketched(
    experiment: Experiment,
    cells: Sequence[Cell],
    chosen: Accelerator,
    context: Context,
    boots: Boots,
) -> _Sketch:
    """Get the sources, apply the series, and name the result after all that identifies it."""
    clock = methods.choose_clock(experiment, chosen.name)
    # A QEMU that cannot count is told now.
    counter.interface(cells, clock, experiment.guest.cpus, accel.qemu_version())
    _log.info(f"accelerator: {chosen.name} ({chosen.reason}); clock: {clock}")
    kind, guest = disk.choose(experiment.guest.disk, clock), experiment.guest
    for cell in cells:  # an error now, not at that boot
        memory = guest.memory + disk.guest_bytes(cell.backend, cell.disk_on(kind), guest.swap)
        disk.boot_words(cell.backend, memory, guest.swap)
        disk.require_kind(cell.backend, cell.disk_on(kind))
    # What this machine has no room for is told before anything is fetched, and before an hour of
    # building when it is known what is to be built.
    load = resources.Load(methods.resolved(experiment, clock), cells, clock, kind, boots.written)
    eviction.limit()  # a mistake in it is told now
    built = boots.made or any(context.cache.kernels.glob("[!.]*"))
    to_make = {
        **({} if built else {"building": kbuild.SPACE}),
        **methods.missing_images(cells, context),
    }
    for warning in resources.admitted(load, context, to_make=to_make).warnings:
        _log.warning(warning)
    # A program of the user's that does not compile is told before a tree is fetched, and a tree
    # that cannot be had before the guest programs are built.
    program.build_all(cells, cache=context.cache, sandbox=context.sandbox)
    recipes = methods.recipes(cells)
    images = ahead.begin(partial(needs.images, recipes, context), name="images")
    planned = None
    if boots.made is None:
        planned = pair.plan(pair.prepare(experiment, context), experiment, context)
        keys = planned.keys
    else:
        keys = {arm: one.kernel.key for arm, one in boots.made[0].items()}
    method = methods.of(experiment, chosen, context)
    found = identity.of(experiment, method, keys, kind=ResultKind(boots.command))
    words = boots.words or experiment.words
    one = identity.named(experiment, words, found, grows=boots.request is None)
    return _Sketch(one, method, found, planned, images)


def _continued(sketch: _Sketch, folder: Path, boots: Boots) -> _Sketch:
    """With the cells and pairs that a comparison has in its folder already."""
    one = sketch.experiment
    if boots.request is None:
        one = identity.continued(one, folder)
    one = methods.resolved(one, sketch.method.clock)
    if one.matrix != sketch.experiment.matrix:
        _log.info(f"with the cells that are there: {spec.describe(one)}")
    found, kind = sketch.identity, ResultKind(boots.command)
    changed = identity.of(one, sketch.method, found["kernels"], kind=kind)
    return replace(sketch, experiment=one, identity=changed)


def _set_up(sketch: _Sketch, context: Context, boots: Boots) -> Setting:
    """Build and make what the boots need."""
    experiment, method, cache = sketch.experiment, sketch.method, context.cache
    cells, _ = ability.runnable(experiment, boots.command)
    load = resources.Load(experiment, cells, method.clock, method.disk, boots.written)
    kernels, told = boots.made, set[str]()
    if sketch.planned is not None:
        places = {cache.images / one.key for one in methods.recipes(cells).values()}
        needed = sketch.planned.places() | places
        eviction.keep_below(cache, eviction.limit(), needed=needed)
        to_make = {"building": sketch.planned.space(), **methods.missing_images(cells, context)}
        resources.admitted(load, context, to_make=to_make)
        watch = ability.watcher(experiment, command=boots.command, told=told)
        kernels = sketch.planned.build(None if boots.alone else watch)
    assert kernels is not None
    made, config_diff = kernels
    able = ability.abilities(made)
    half = ability.halves(experiment, able, boots.command) if boots.alone else ()
    cells, skipped = ability.runnable(experiment, boots.command, able, half)
    ability.tell(skipped, told)
    begun, recipes = sketch.images.result(), methods.recipes(cells)
    more = {name: recipe for name, recipe in recipes.items() if name not in begun}
    images = {name: one for name, one in begun.items() if name in recipes}
    images |= needs.images(more, context) if more else {}
    selftests = needs.selftests(cells, made, context)
    key = made["base"].kernel.key
    instruments = needs.instruments(experiment, method.clock, boots.instruments, cells)
    seen = observer.known(cache, kernel=key, tools=method.tools.name, clock=method.clock)
    return Setting(
        experiment=experiment,
        cells=cells,
        skipped=skipped,
        arms=made,
        config_diff=config_diff,
        accelerator=method.accelerator,
        clock=method.clock,
        disk=method.disk,
        image=images.pop(()),
        variants=images,
        tools=method.tools,
        plugins=needs.plugins(experiment, cells, method, instruments),
        instruments=instruments,
        observer=seen,
        selftests=selftests,
        halves=half,
        request=boots.request,
    )


def _places(folder: Path, planned: Sequence[plan.Block], context: Context) -> tuple[str, ...]:
    """Record what the profiles name; sentences of trouble."""
    kernels: dict[str, tuple[Kernel, list[Path]]] = {}
    for one in (one for block in planned for one in block if one.instrument):
        kernels.setdefault(one.arm, (one.kernel, []))[1].append(folder / "boots" / one.folder)
    failed = plan.failures(
        [tuple(one for one in block if one.instrument) for block in planned], folder / "boots"
    )
    named = (
        *places.record(folder, kernels, context.sandbox),
        *symbols.record(folder, kernels, context.sandbox),
    )
    return (*failed, *named)


def plan_of(setting: Setting, boots: Boots) -> list[plan.Block]:
    """The boots of a comparison."""
    schedule = setting.experiment.schedule
    kernels = {name: arm.kernel for name, arm in setting.arms.items()}
    if schedule.aa:
        kernels["control"] = kernels["base"]
    blocks = plan.blocks(setting.cells, kernels, pairs=schedule.pairs, seed=schedule.seed)
    only = {one.cell: one.arm for one in setting.halves}
    switched = switch.of(setting.experiment.kernels.head_guest)
    planned = [
        tuple(
            boots.change(_switched(boot_request, switched))
            for boot_request in block
            if only.get(boot_request.cell.name, boot_request.arm) == boot_request.arm
        )
        for block in blocks
    ]
    return planned + plan.instrumented(planned, setting.instruments)


def _switched(boot_request: BootRequest, switched: Switch) -> BootRequest:
    """The second kernel alone is switched: the base has nothing to switch."""
    return replace(boot_request, switch=switched) if boot_request.arm == "patch" else boot_request
