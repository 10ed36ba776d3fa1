# SPDX-License-Identifier: GPL-2.0-only
"""The main job: two kernels in, a results folder with a report out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.build import image, kbuild, kselftest, pair, trace
from harness.build.image import Image, Recipe
from harness.build.kselftest import Selftests
from harness.build.pair import Arm, Context, KernelPair
from harness.experiment import spec
from harness.experiment.cell import Ability, ArmOnlyCell, Cell, Skipped, halves, runnable
from harness.experiment.spec import Experiment
from harness.report import files, live
from harness.report.live import Survey, View
from harness.results import checksums, observer
from harness.results.manifest import ResultKind
from harness.run import eviction, manifest, plan, resources, reuse
from harness.run.cluster import cluster
from harness.run.engine import Engine, Local
from harness.run.manifest import Request, Setting
from harness.source.apt import AptSource
from harness.source.gitstore import GitStore
from harness.studies.result import StudyResult
from harness.util import progress, scratch
from harness.util.errors import Exit, UserError
from harness.util.paths import Cache
from harness.vm import accel, disk
from harness.vm.boot import BootRequest, VmConfig
from harness.vm.guest import Keys
from harness.vm.watch import Deadlines

_log = logging.getLogger(__name__)


def compare(
    experiment: Experiment,
    site: Context,
    *,
    made: KernelPair | None = None,
    donors: Sequence[Path] = (),
) -> StudyResult:
    """Run ``experiment`` from sources to report; goes on where an earlier call was stopped.

    ``made`` and ``donors`` are as in `measured`.
    Raises the harness's typed errors; see ``harness.util.errors`` for what each means.
    """
    with (
        measured(experiment, site, made=made, donors=donors) as (folder, ran),
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
    return StudyResult(ResultKind.COMPARE, folder, text, page, written.status)


def _as_planned(ticket: BootRequest) -> BootRequest:
    return ticket


@contextmanager
def measured(
    experiment: Experiment,
    site: Context,
    *,
    change: Callable[[BootRequest], BootRequest] = _as_planned,
    written: int | None = None,
    made: KernelPair | None = None,
    donors: Sequence[Path] = (),
    request: Request | None = None,
    alone: bool = False,
) -> Iterator[tuple[Path, plan.Run]]:
    """Run all boots of ``experiment`` that have no result yet; gives the sealed results folder.

    The folder is held against others until the block ends, for what the caller derives from it.
    ``change`` is asked for each boot of the plan; ``written`` is what one boot writes to its swap
    disk at most, in bytes, if that is less than the whole disk.  ``made`` are the kernels if they
    are built already; ``donors`` are results folders whose boots of the base may serve this one,
    too (see ``share``).  ``request`` is what ``experiment`` was made from, if it was.  With
    ``alone`` a cell that one kernel cannot run is run on the other.
    """
    folder = site.results / experiment.title
    before = progress.finished()  # by a walk's earlier trials
    command = request.target if request else "compare"
    # What no kernel could run is told before an hour of building, not after it.
    _runnable(experiment, {}, command)
    _log.info(spec.describe(experiment))
    _log.info(f"results go to {folder}")
    scratch.sweep()
    with (
        manifest.locked(folder),
        _engine(experiment, site) as engine,
        live.view() as shown,
    ):
        setting = _set_up(experiment, site, made, command, written, alone=alone)
        setting = replace(setting, request=request)
        manifest.identify(folder, setting)
        checksums.resume(folder)
        _log.info(f"{setting.experiment.pairs} pairs of boots for each cell")
        planned = _planned(setting, change)
        shared = reuse.boots(planned, folder, donors)
        if shared:
            _log.info(f"{shared} boots of the base are shared with other results")
        ran = _boot_all(planned, setting, site, folder, written, shown, engine)
        boots = {ticket.folder: ticket.kernel for block in planned for ticket in block.tickets}
        for trouble in trace.record(folder, boots, site.sandbox):
            _log.warning(trouble)
        manifest.write(folder, setting, ran, progress.stages(before))
        checksums.raw(folder)
        yield folder, ran
    for failure in ran.failed:
        _log.warning(failure)
    _say_times(ran, before)


def _set_up(
    experiment: Experiment,
    site: Context,
    kernels: KernelPair | None,
    command: str,
    written: int | None,
    *,
    alone: bool,
) -> Setting:
    cache = site.cache
    chosen = accel.choose(experiment.accel, cache=cache)
    clock = choose_clock(experiment, chosen.name)
    _log.info(f"accelerator: {chosen.name} ({chosen.reason}); clock: {clock}")
    kind, most = disk.choose(experiment.disk, clock), eviction.limit()
    experiment = resolved(experiment, clock)
    # What this machine has no room for is told before anything is fetched, and before an hour of
    # building when it is known what is to be built.
    cells, _ = _runnable(experiment, {}, command)
    missing = _images_to_make(cells, cache)
    ask = partial(
        resources.admitted, experiment, cells, clock=clock, kind=kind, site=site, written=written
    )
    first = {} if kernels or any(cache.kernels.glob("[!.]*")) else {"building": kbuild.SPACE}
    for warning in ask(to_make={**first, **missing}).warnings:
        _log.warning(warning)
    if kernels is None:
        trees = pair.prepare(experiment, site)
        needed = pair.places(trees, experiment, site) | _image_places(cells, cache)
        eviction.keep_below(cache, most, needed=needed)
        ask(to_make={"building": pair.space(trees, experiment, site), **missing})
        kernels = pair.construct(trees, experiment, site)
    made, config_diff = kernels
    archives = AptSource(cache.downloads, mirror=site.mirror).archives()
    tools = image.build_tools(cache=cache)
    half = _halves(experiment, made, command) if alone else ()
    cells, skipped = _runnable(experiment, made, command, half)
    for cell in cells:
        on_top = disk.guest_bytes(cell.backend, cell.disk_on(kind), experiment.swap)
        memory = experiment.memory + on_top
        disk.boot_words(cell.backend, memory, experiment.swap)  # an error now, not at that boot
    images = _images(cells, cache, archives.main)
    selftests = _selftests(cells, made, site)
    seen = observer.known(cache, kernel=made["base"].kernel.key, tools=tools.name, clock=clock)
    return Setting(
        experiment=experiment,
        cells=cells,
        skipped=skipped,
        arms=made,
        config_diff=config_diff,
        accelerator=chosen,
        clock=clock,
        disk=kind,
        image=images.pop(()),
        variants=images,
        tools=tools,
        observer=seen,
        selftests=selftests,
        halves=half,
    )


def _images(cells: Sequence[Cell], cache: Cache, mirror: str) -> dict[tuple[str, ...], Image]:
    """By packages on top: the plain image, (), and those that the cells ask for."""
    return {
        packages: image.build(recipe, cache=cache, mirror=mirror)
        for packages, recipe in _recipes(cells).items()
    }


def _recipes(cells: Sequence[Cell]) -> dict[tuple[str, ...], Recipe]:
    recipe = image.read_recipe()
    wanted = sorted({(), *(cell.workload.packages for cell in cells)})
    return {packages: image.with_packages(recipe, packages) for packages in wanted}


def _selftests(
    cells: Sequence[Cell], made: Mapping[str, Arm], site: Context
) -> dict[str, Selftests]:
    """By arm, the kernels' own tests that the cells ask for; none if none does."""
    tests = tuple(dict.fromkeys(test for cell in cells for test in cell.workload.selftests))
    if not tests:
        return {}
    builder = kselftest.SelftestBuilder(
        cache=site.cache, store=GitStore(site.cache.git), sandbox=site.sandbox, jobs=site.jobs
    )
    return {
        name: builder.build(
            kselftest.SelftestRequest(name, arm.order.commit, arm.order.tree, tests)
        )
        for name, arm in made.items()
    }


def abilities(made: Mapping[str, Arm]) -> list[Ability]:
    """What the kernels can do, by arm."""
    return [Ability(name, arm.kernel.config, arm.kernel.functions) for name, arm in made.items()]


def _runnable(
    experiment: Experiment, made: Mapping[str, Arm], command: str, half: Sequence[ArmOnlyCell] = ()
) -> tuple[tuple[Cell, ...], tuple[Skipped, ...]]:
    """The cells that both kernels can run; with no kernels yet, those that some kernel could.

    ``half`` are taken, too.  Raises UserError when that is none.
    """
    cells, skipped = runnable(
        experiment.cells(), abilities(made), memory=experiment.memory, command=command
    )
    taken = {one.cell for one in half}
    cells = tuple(one for one in experiment.cells() if one in cells or one.name in taken)
    skipped = tuple(one for one in skipped if one.cell not in taken)
    if not cells:
        raise UserError(
            f"no cell of the matrix can run; {skipped[0].cell}: {skipped[0].reason}; "
            "choose other BACKENDS or WORKLOADS"
        )
    for item in skipped if made else ():
        _log.warning(f"{item.cell} is skipped: {item.reason}")
    return cells, skipped


def _halves(
    experiment: Experiment, made: Mapping[str, Arm], command: str
) -> tuple[ArmOnlyCell, ...]:
    found = halves(experiment.cells(), abilities(made), memory=experiment.memory, command=command)
    for one in found:
        _log.warning(f"{one.cell} runs on {one.arm} alone: {one.reason}")
    return found


def resolved(experiment: Experiment, clock: str) -> Experiment:
    """The experiment with what depends on the clock filled in."""
    return replace(experiment, pairs=experiment.pairs or spec.PAIRS[clock])


def choose_clock(experiment: Experiment, accelerator: str) -> str:
    """The clock: "insn" wherever the guest runs under TCG unless wall time is asked for.

    Raises UserError when the instruction clock cannot be had as asked.
    """
    clock = experiment.clock
    if clock == "auto":
        clock = "wall" if accelerator == "kvm" else "insn"
    if clock == "insn" and accelerator == "kvm":
        raise UserError("the instruction clock needs TCG: use --accel tcg with --clock insn")
    if clock == "insn" and experiment.cpus != 1:
        raise UserError(
            f"the instruction clock runs one CPU, not {experiment.cpus}: use CPUS=1 or CLOCK=wall"
        )
    return clock


def _planned(setting: Setting, change: Callable[[BootRequest], BootRequest]) -> list[plan.Block]:
    experiment = setting.experiment
    kernels = {name: arm.kernel for name, arm in setting.arms.items()}
    if experiment.aa:
        kernels["control"] = kernels["base"]
    blocks = plan.blocks(setting.cells, kernels, pairs=experiment.pairs, seed=experiment.seed)
    only = {one.cell: one.arm for one in setting.halves}
    return [
        plan.Block(
            tuple(
                change(ticket)
                for ticket in block.tickets
                if only.get(ticket.cell.name, ticket.arm) == ticket.arm
            )
        )
        for block in blocks
    ]


def _boot_all(
    planned: Sequence[plan.Block],
    setting: Setting,
    site: Context,
    folder: Path,
    written: int | None,
    shown: View,
    engine: Engine | None,
) -> plan.Run:
    experiment = setting.experiment
    if engine is None:
        needs = (setting.cells, setting.clock, setting.disk, site, written)
        engine = Local(resources.admitted(experiment, *needs, to_make={}).guests)
    folders = [[one.folder for one in block.tickets] for block in planned]
    survey = Survey(folders, folder / "boots", engine.workers)
    shown.boots(survey, folder, manifest.describe(setting), setting.clock)
    count = sum(len(block.tickets) for block in planned)
    with (
        scratch.folder() as name,
        progress.stage("boots", note=f"{count} of them, {engine.workers} side by side"),
    ):
        keys = Keys.make(Path(name))
        tools = Path(name) / "tools.img"
        image.make_tools_disk(tools, setting.tools, ssh=keys.for_guest)
        tests = _tests_disks(setting, keys, Path(name))
        host = VmConfig(
            root=setting.image.root,
            tools=tools,
            keys=keys,
            accel=setting.accelerator.name,
            clock=setting.clock,
            memory=experiment.memory,
            cpus=experiment.cpus,
            swap=experiment.swap,
            disk=setting.disk,
            deadlines=Deadlines.for_clock(setting.clock, workload=float(experiment.timeout)),
            variants={packages: one.root for packages, one in setting.variants.items()},
            selftests=tests,
        )
        return plan.run(planned, host, folder / "boots", engine=engine)


@contextmanager
def _engine(experiment: Experiment, site: Context) -> Iterator[Engine | None]:
    """The cluster that was asked for, looked at before anything is built; None: this machine."""
    if site.scheduler is None:
        yield None
        return
    chosen = accel.choose(experiment.accel, cache=site.cache)
    with cluster.connected(site.scheduler, chosen.name) as engine:
        yield engine


def _tests_disks(setting: Setting, keys: Keys, folder: Path) -> dict[str, Path]:
    """By arm, a tools disk that has the tests of its kernel, too."""
    made = {}
    for name, tests in setting.selftests.items():
        made[name] = folder / f"tools-{name}.img"
        image.make_tools_disk(made[name], setting.tools, ssh=keys.for_guest, selftests=tests.path)
    return made | ({"control": made["base"]} if made else {})


def _images_to_make(cells: Sequence[Cell], cache: Cache) -> dict[str, int]:
    """Bytes for the root images that are not there yet."""
    missing = [one for one in _image_places(cells, cache) if not (one / "root.img").is_file()]
    return {"root images": len(missing) * image.SPACE} if missing else {}


def _image_places(cells: Sequence[Cell], cache: Cache) -> frozenset[Path]:
    return frozenset(cache.images / recipe.key for recipe in _recipes(cells).values())


def _say_times(ran: plan.Run, before: int) -> None:
    stages = progress.stages(before)
    total = sum(item.seconds for item in stages)
    for item in stages:
        _log.info(f"  {item.stage:<16} {item.seconds:8.1f} s")
    _log.info(
        f"  {'all stages':<16} {total:8.1f} s, a guest running for {ran.qemu_seconds:.1f} s "
        f"({100 * ran.qemu_seconds / total if total else 0:.0f} %)"
    )
