# SPDX-License-Identifier: GPL-2.0-only
"""What a results folder says of itself: its manifest, and whom it belongs to."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from harness.build import kconfig
from harness.build.image import Image
from harness.build.kselftest import Selftests
from harness.build.pair import Arm, Context, Trees, debugging
from harness.experiment import program, settings, word
from harness.experiment.cell import ArmOnlyCell, Cell, Skipped
from harness.experiment.defaults import BUNDLE_SUFFIX
from harness.experiment.meant import DIFF, KEY, Meant
from harness.experiment.settings import Repeat, SpecKey
from harness.experiment.spec import Experiment
from harness.experiment.workload import Workload
from harness.results import manifest as schema
from harness.results.manifest import (
    ArmFacts,
    ArmOnlyFacts,
    BackendFacts,
    GuestFacts,
    ImageFacts,
    Manifest,
    ResultKind,
    SelftestFacts,
    SkippedFacts,
    StageFacts,
    SymbolFacts,
    WorkloadFacts,
)
from harness.run import evidence, reuse
from harness.run.plan import Run
from harness.series import series
from harness.source.gitnames import for_others, public_url
from harness.source.sources import Source
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.progress import StageTime
from harness.vm import accel, disk, hostfacts
from harness.vm.accel import Accelerator

_PUBLIC = ("registry:", "mail:")
"""How the locator of a series begins that others can get."""
_OF_A_RUN = ("stages", "boots_run", "boots_kept", "qemu_seconds")


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for, where the matrix that is run was made from it.

    target: of make; ``words`` its variables that no experiment has, like "FILL=256M"
    """

    experiment: Experiment
    target: str = "compare"
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is decided before the first boot of a comparison.

    ``cells`` are those that these kernels can run, ``skipped`` the experiment's other ones;
    ``halves`` are those of the cells that one kernel runs alone; ``plugins`` are QEMU's by name,
    those that any boot needs, and ``instruments`` the names of those that have boots of their own;
    ``variants`` the images with further packages, ``selftests`` the
    kernels' own tests by arm.
    """

    experiment: Experiment
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...]
    arms: Mapping[str, Arm]
    config_diff: tuple[kconfig.SymbolDifference, ...]
    accelerator: Accelerator
    clock: str
    disk: str
    image: Image
    tools: Path
    plugins: Mapping[str, Path] = field(default_factory=dict)
    instruments: tuple[str, ...] = ()
    variants: Mapping[tuple[str, ...], Image] = field(default_factory=dict)
    observer: tuple[Mapping[str, Any], ...] = ()
    selftests: Mapping[str, Selftests] = field(default_factory=dict)
    halves: tuple[ArmOnlyCell, ...] = ()
    request: Request | None = None

    @property
    def asked(self) -> Request:
        """What was asked for, with the very versions that were run."""
        asked = self.request or Request(self.experiment)
        one = asked.experiment.changed(name=self.experiment.name)
        return replace(asked, experiment=pinned(one, self.trees))

    @property
    def command(self) -> str:
        """The make command that repeats it, for others, too."""
        asked = self.asked
        title = self.experiment.title
        return command(asked.experiment, self.trees, asked.target, asked.words, title=title)

    @property
    def trees(self) -> Trees:
        """What the kernels were made of."""
        base, other = self.arms["base"], self.arms["patch"]
        return Trees(base.source, other.source, other.applied, None)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the results folder against a second comparison."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".lock"
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another comparison is writing to '{folder}'; wait for it, or give this one NAME="
            ) from error
        try:
            yield
        finally:
            # A mistake found before anything was measured leaves no folder behind.
            if folder.is_dir() and [path.name for path in folder.iterdir()] == [lock.name]:
                lock.unlink()
                folder.rmdir()


def write(folder: Path, setting: Setting, ran: Run, stages: Sequence[StageTime]) -> None:
    """Write manifest.json; ``stages`` are the times of this call.

    A call that found every boot done keeps what the manifest said of the run, so that the same
    result has the same report.
    """
    made = describe(setting)
    if ran.done == 0 and (folder / schema.NAME).is_file():
        old = schema.load(folder)
        run = {key: getattr(old, key) for key in _OF_A_RUN}
    else:
        run = {
            "stages": tuple(StageFacts(stage=one.stage, seconds=one.seconds) for one in stages),
            "boots_run": ran.done,
            "boots_kept": ran.kept,
            "qemu_seconds": round(ran.qemu_seconds, 1),
        }
    run["shared_boots"] = dict(Counter(reuse.read(folder).values()))
    atomic.text(folder / schema.NAME, atomic.json_text(made.model_copy(update=run).as_data()))
    for name, arm in setting.arms.items():
        # Readers of the result do not have this machine's cache.
        atomic.binary(folder / f"{name}.config", (arm.kernel.path / "config").read_bytes())


def keep(folder: Path, setting: Setting, context: Context) -> None:
    """Write what was asked for as a spec file, and beside it what its names mean."""
    asked = setting.request or Request(setting.experiment)
    trees = setting.trees
    write_spec(folder, asked.experiment, asked.target, trees=trees, context=context)


def write_spec(
    folder: Path,
    experiment: Experiment,
    target: str = "compare",
    *,
    trees: Trees | None = None,
    context: Context | None = None,
    meant: Meant | None = None,
) -> None:
    """Write the experiment as a spec file into its results folder.

    With ``trees`` also the patches and diffs that nobody else may have, and what the names of the
    experiment mean; ``meant`` says that where there are no trees.
    """
    if context is not None and (experiment.host.kernel_git or (trees and repository(trees))):
        experiment = experiment.changed(kernel_git=context.kernel_git)
    if trees is not None and context is not None:
        meant = evidence.keep(folder, trees, context.store)
    data = {
        name: value
        for name, value in experiment.as_data().items()
        if value is not None and _told(settings.stored()[name], value, target)
    }
    data.pop("name", None)  # run again, it is another result
    if not data["pairs"]:
        del data["pairs"]  # as many as the clock needs
    if experiment.matrix.suite:
        data = {key: value for key, value in data.items() if key not in ("backends", "workloads")}
    if "kernel_git" in data:
        data["kernel_git"] = public_url(data["kernel_git"])
    evidence.keep_programs(folder, experiment)
    if "workloads" in data:
        data["workloads"] = [program.kept(item) for item in data["workloads"]]
    if own := evidence.keep_fragments(folder, experiment):
        meant = replace(meant or Meant(folder), fragments=own)
    if meant is not None:
        data[KEY] = evidence.as_data(meant)
    plain = json.loads(json.dumps(data, sort_keys=True))
    if "arms" in data:
        plain["arms"] = json.loads(json.dumps(data["arms"]))  # in the order that was asked for
    text = yaml.safe_dump(plain, sort_keys=False)
    head = f"# What was run, to be run again: make {target} SPEC=this\n"
    atomic.text(folder / evidence.SPEC, head + text)


def _told(one: SpecKey, value: Any, target: str) -> bool:
    """Whether a spec file has a setting: of host and study only what is not the default."""
    if not one.taken_by(target):
        return False
    return one.part not in ("host", "study") or value != one.default


def describe(setting: Setting) -> Manifest:
    """What is known of a comparison before its first boot."""
    experiment, chosen = setting.experiment, setting.accelerator
    return Manifest(
        kind=ResultKind(setting.asked.target),
        name=experiment.title,
        command=setting.command,
        clock=setting.clock,
        accel=chosen.name,
        accel_reason=chosen.reason,
        qemu_version=accel.qemu_version(),
        host=_host(),
        arms={
            name: _arm(arm, experiment.kernels.head_guest if name == "patch" else None)
            for name, arm in setting.arms.items()
        },
        debug=tuple(
            sorted({item for arm in setting.arms.values() for item in debugging(arm.kernel)})
        ),
        config_diff=tuple(SymbolFacts(**asdict(item)) for item in setting.config_diff),
        guest=GuestFacts(
            memory=experiment.guest.memory,
            cpus=experiment.guest.cpus,
            swap=experiment.guest.swap,
            disk=setting.disk,
            disk_latency_ns=disk.LATENCY_NS if setting.disk == "sim" else None,
            settings=experiment.matrix.conditions,
            **({"cmdline": " ".join(cmdline)} if (cmdline := experiment.guest.cmdline) else {}),
        ),
        backends={
            cell.backend.name: BackendFacts(
                kind=cell.backend.kind,
                settings=dict(cell.backend.settings),
                waits_io=cell.backend.waits_io,
            )
            for cell in setting.cells
        },
        workloads={cell.workload.name: _workload(cell.workload) for cell in setting.cells},
        cells=tuple(cell.name for cell in setting.cells),
        halves=tuple(ArmOnlyFacts(**asdict(item)) for item in setting.halves),
        skipped=tuple(SkippedFacts(**asdict(item)) for item in setting.skipped),
        observer=tuple(dict(item) for item in setting.observer),
        selftests={
            name: SelftestFacts.model_validate(one.as_data())
            for name, one in setting.selftests.items()
        },
        pairs=experiment.schedule.pairs,
        aa=experiment.schedule.aa,
        seed=experiment.schedule.seed,
        suite=experiment.matrix.suite,
        preset=experiment.matrix.preset
        or ("its groups' own" if experiment.matrix.suite else "quick"),
        image=_image(setting.image, ()),
        images=tuple(_image(one, names) for names, one in sorted(setting.variants.items())),
    )


def pinned(experiment: Experiment, trees: Trees) -> Experiment:
    """The experiment with the very versions that it is run with instead of "the newest"."""
    head = trees.other.name if experiment.kernels.head else None
    patch = experiment.kernels.patch
    if trees.applied and trees.applied.series.locator.startswith(_PUBLIC):
        patch = trees.applied.series.locator.removeprefix("registry:")  # the very revision
    return experiment.changed(base=trees.base.name, patch=patch, head=head)


def repository(trees: Trees) -> str:
    """What a command for others says as KERNEL_GIT=; empty where nothing came from there."""
    origins = [dict(one.origin) for one in (trees.base, trees.other) if one.kind == "git"]
    needed = [one.get("repository", "") for one in origins if "upstream" not in one]
    needed += ["" for one in (trees.base,) if _is_on_commit(one)]
    return for_others(next((one for one in needed if "://" in one), "")) if needed else ""


def _is_on_commit(source: Source) -> bool:
    """Whether a tree is kept as a diff on a commit of KERNEL_GIT."""
    origin = dict(source.origin)
    is_checkout = source.kind == "dir" and "head" in origin
    return is_checkout or (source.kind == DIFF and origin["on"].startswith("git:"))


def command(
    experiment: Experiment,
    trees: Trees,
    target: str = "compare",
    words: Sequence[str] = (),
    *,
    title: str,
) -> str:
    """The make command that repeats a result, for others, too; ``title`` is the result's name.

    Where only this machine has what was measured, that is in the bundle of the result.
    """
    git = repository(trees)
    if not only_here(trees):
        return " ".join((repeat_command(experiment, target, git=git), *words))
    where = [shlex.quote(f"KERNEL_GIT={git}")] if git else []
    return " ".join(["make", "repeat", f"RESULT={title}{BUNDLE_SUFFIX}", *where])


def only_here(trees: Trees) -> bool:
    """Whether something that was measured cannot be got by its name elsewhere."""
    if trees.applied and not trees.applied.series.locator.startswith(_PUBLIC):
        return True
    other = () if trees.applied else (trees.other,)
    local = (one.kind in ("dir", DIFF) for one in (trees.base, *other))
    return any(local) or any(_is_unpublished(one) for one in other)


def _is_unpublished(source: Source) -> bool:
    """Whether a head is a commit of a clone on this machine, and no tag."""
    place = dict(source.origin).get("repository", "")
    return source.kind == "git" and source.name == f"git:{source.commit}" and "://" not in place


def repeat_command(experiment: Experiment, target: str = "compare", *, git: str = "") -> str:
    """The make command that repeats this comparison (or another target) from the same inputs.

    What no variable can say (settings of guests, declared arms) is in the result's spec.yaml, and
    the command names that.  ``git`` is KERNEL_GIT=, as `repository` says it.
    """
    matrix = experiment.matrix
    nested = () if matrix.suite else (*matrix.backends, *matrix.workloads)
    where = [shlex.quote(f"KERNEL_GIT={git}")] if git else []
    kernels = experiment.kernels
    declared = kernels.head_guest or any((kernels.arms or {}).values())
    if matrix.guest or declared or not all(map(word.shown, nested)):
        return " ".join(
            ["make", target, f"SPEC=results/{experiment.title}/{evidence.SPEC}", *where]
        )
    words = ["make", target]
    for name, one in settings.stored().items():
        value = experiment.value(name)
        if not one.taken_by(target):
            continue
        if value is not None and (
            one.repeat is Repeat.ALWAYS or (one.repeat is Repeat.CHANGED and value != one.default)
        ):
            words.append(shlex.quote(f"{name.upper()}={one.show(value)}"))
    return " ".join([*words, *where])


def _arm(arm: Arm, switched: Mapping[str, Any] | None = None) -> ArmFacts:
    kernel, source = arm.kernel, arm.source
    return ArmFacts(
        name=source.name,
        kind=source.kind,
        version=kernel.release,
        commit=arm.request.commit,
        tree=arm.request.tree,
        origin=dict(source.origin),
        kernel=kernel.key,
        compiler=kernel.compiler,
        build_seconds=kernel.seconds,
        artefact_sha256=dict(kernel.sha256),
        config_sha256=dict(kernel.sha256)["config"],
        series=series.facts(arm.applied, arm.basis) if arm.applied else None,
        switch=dict(switched or {}),
        unset=arm.unset,
    )


def _workload(workload: Workload) -> WorkloadFacts:
    run = {"effective": dict(workload.parameters), "memory_max": workload.memory_max}
    return WorkloadFacts.model_validate({**workload.data, **run})


def _image(one: Image, packages: Sequence[str]) -> ImageFacts:
    return ImageFacts(key=one.key, packages_sha256=one.packages_sha256, on_top=tuple(packages))


def _host() -> dict[str, Any]:
    return {
        "cpu": hostfacts.cpu_model(),
        "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
