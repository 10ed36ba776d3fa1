# SPDX-License-Identifier: GPL-2.0-only
"""A series tried patch by patch: base against the series as far as one of its patches.

Each trial is a comparison of its own, in a folder of its own below one folder, with everything
that a comparison has: report, hashes, resuming.  Kernels are built in the workspace of the base,
so that only what a patch touches is compiled; boots of the base serve all trials.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.build import kconfig, pair
from harness.build.kbuild import BuildFailed, Kernel
from harness.build.pair import Context, KernelPair, Trees
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.run import identity, manifest
from harness.run.identity import BootMethod
from harness.series.model import Step
from harness.studies import ability, compare, methods
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import KernelFailure, UserError
from harness.vm import accel, instrument

_log = logging.getLogger(__name__)

_NAME = "patch-"
GROWING = ("backends", "workloads", "suite", "preset", "guest")
"""What the cells of all trials are made from."""


@dataclass(frozen=True, slots=True)
class Built:
    """What building the series as far as one patch came to.

    failure: why there is no kernel, one sentence; "" if there is one
    seconds, objects: of that build, whenever it was; None if they are not known
    lacking: options of the second kernel alone that a later patch brings: it is not switched yet
    """

    number: int
    subject: str
    commit: str
    failure: str = ""
    seconds: float | None = None
    objects: int | None = None
    lacking: tuple[str, ...] = ()


Command = Callable[[str, Sequence[str]], str]
"""The command of a study by its target and further words of it."""


class Track:
    """A series laid out below ``folder``: any of its patches can be built and measured.

    ``kind`` is the study that does so, and ``method`` what boots its cells.
    beside: the tracks of other arms, whose boots of the base serve this one, too
    """

    beside: Sequence[Track] = ()

    def __init__(
        self,
        experiment: Experiment,
        context: Context,
        trees: Trees,
        method: BootMethod,
        kind: ResultKind,
    ) -> None:
        self.experiment = manifest.pinned(experiment, trees)
        self._asked = experiment
        self.folder = context.results / experiment.title
        self._trees, self._context = trees, replace(context, results=self.folder)
        self._method, self._kind, self._outside = method, kind, context
        self._made: dict[int, KernelPair] = {}
        self._said: Command | None = None

    def move(self, folder: Path, said: Command) -> None:
        """Make it one arm of the study in ``folder``, which ``said`` repeats."""
        self.folder = folder / self.folder.name
        self._context = replace(self._context, results=self.folder)
        self._said = said

    @property
    def trees(self) -> Trees:
        """The base, and the whole series on it."""
        return self._trees

    @property
    def keys(self) -> Mapping[str, str]:
        """The keys of the base and of the kernel with all patches."""
        return pair.plan(self._trees, self._asked, self._outside).keys

    def begin(self) -> None:
        """Make sure that what lies in the folder is of the same run, then build the base.

        UserError names each difference; then nothing has been written.
        """
        identity.claimed(self.folder, self._kind)
        for folder in self._trials():
            number = folder.name.removeprefix(_NAME).partition("-")[0]
            if not number.isdecimal() or folder.name != name(int(number)):
                continue
            if int(number) > len(self.steps):
                raise UserError(
                    f"'{folder}' is there, and this series has {len(self.steps)} patches: give "
                    f"another NAME=, or remove that result ('harness results rm "
                    f"{self.folder.name}')"
                )
            one = self._named(int(number))
            grows = self._kind is ResultKind.WALK
            found = self.identity(int(number), one, ResultKind.COMPARE)
            identity.require(folder, found, grows=grows)
            one = identity.continued(one, folder) if grows else one
            grown = {key: one.value(key) for key in GROWING}
            self.experiment = self.experiment.changed(**grown)
            self._asked = self._asked.changed(**grown)
        planned = pair.plan(self._trees, self.experiment, self._context)
        planned.build_base(ability.watcher(self.experiment))

    def identity(self, number: int, one: Experiment, kind: ResultKind) -> dict[str, Any]:
        """What a trial must have been begun with, if there is one."""
        trees = pair.cut(self._trees, number, self._context)
        keys = pair.plan(trees, self._named(number), self._context).keys
        return identity.of(one, self._method, keys, kind=kind)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The patches of the whole series."""
        return self._trees.applied.steps if self._trees.applied else ()

    @property
    def context(self) -> Context:
        """The caller's context, with results below this folder."""
        return self._context

    def facts(self) -> dict[str, Any]:
        """Which series on which base, for a record."""
        applied = self._trees.applied
        return {
            "base": self._trees.base.name,
            "version": self._trees.base.version,
            "series": applied.series.name if applied else "",
            "title": applied.series.title if applied else "",
            "count": len(self.steps),
        }

    def keep(self, target: str, **told: Any) -> None:
        """Write the study's spec file, and its patches beside it; ``told`` are its settings."""
        asked = self._asked.changed(**told)
        manifest.write_spec(self.folder, asked, target, trees=self._trees, context=self._context)

    def command(self, target: str, words: Sequence[str] = ()) -> str:
        """The make command that repeats the study; ``words`` are further ones of it."""
        if self._said is not None:
            return self._said(target, words)
        named = self.experiment.changed(name=self.folder.name)
        return manifest.command(named, self._trees, target, words, title=self.folder.name)

    def build(self, number: int) -> Built:
        """The kernel with the first ``number`` patches; what does not build is told, not raised."""
        step = self.steps[number - 1]
        known = Built(number, step.subject, step.commit, lacking=self._lacking(number))
        _log.info(f'patch {number} of {len(self.steps)}: "{step.subject}"')
        try:
            trees = pair.cut(self._trees, number, self._context)
            made = pair.plan(trees, self._named(number), self._context).build()
        except (KernelFailure, UserError) as error:
            # The base is built, so a configuration that does not take is the patch's doing, too.
            _log.warning(f"patch {number}: {error}")
            return replace(known, failure=self._failure(number, error))
        self._made[number] = made
        return replace(known, **_facts(made[0]["patch"].kernel))

    def measure(
        self, number: int, *, pairs: int = 0, instruments: Sequence[str] = ()
    ) -> StudyResult:
        """Compare the base with the first ``number`` patches, which are built.

        instruments: also profile both kernels with these plugins
        """
        one = self._named(number)
        one = one.changed(profile=one.schedule.profile or bool(instruments))
        return compare.compare(
            one.changed(pairs=pairs or one.schedule.pairs),
            self._context,
            made=self._made[number],
            donors=self.donors(),
            instruments=instruments or (instrument.PROFILE,),
        )

    def donors(self) -> list[Path]:
        """The results so far, and those beside the folder, whose boots of the base may serve."""
        others = (path for one in self.beside for path in one._trials())
        return [*self._trials(), *others, *methods.donors(self._outside)]

    def _trials(self) -> list[Path]:
        return sorted(path for path in self.folder.glob(f"{_NAME}*") if path.is_dir())

    def made(self, number: int) -> KernelPair:
        """Both kernels of a patch that is built."""
        return self._made[number]

    def _named(self, number: int) -> Experiment:
        one = self.experiment.changed(upto=number, name=name(number))
        # There is nothing to switch yet, nor can it be proved to have run.
        return one.changed(head_guest=None) if self._lacking(number) else one

    def _lacking(self, number: int) -> tuple[str, ...]:
        """The options of the second kernel alone that only later patches bring."""
        asked = kconfig.request((), version="", extra=self.experiment.kernels.head_config)
        names = [one.symbol.removeprefix("CONFIG_") for one in asked]
        store, commits = self._outside.store, [one.commit for one in self.steps]
        return tuple(
            one
            for one in names
            if not store.defines(commits[number - 1], one) and store.defines(commits[-1], one)
        )

    def _failure(self, number: int, error: Exception) -> str:
        """Why, and where the compiler's words are: they are evidence, and the cache may go."""
        if not isinstance(error, BuildFailed) or not error.log.is_file():
            return str(error)
        place = Path("failed") / f"{name(number)}-build.log"
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(error.log, self.folder / place)
        return f"{error.reason}; the whole log is {place}"


def lay(experiment: Experiment, context: Context, kind: ResultKind, words: str) -> Track:
    """Get the base and the series and apply all of it; builds nothing.

    ``words`` begin the name of the results folder unless the experiment has one.
    Raises the harness's typed errors; UserError for a clock under which boots cannot be shared.
    """
    if experiment.kernels.head or not experiment.kernels.patch:
        raise UserError("the patches of a series are looked at: give PATCH and not HEAD")
    if experiment.guest.clock == "wall":
        raise UserError(
            "all patches share the boots of the base, which only the instruction clock allows: "
            "leave CLOCK out, or say CLOCK=insn"
        )
    one = methods.resolved(methods.counted(experiment).changed(upto=None), "insn")
    chosen = accel.choose(one.guest.accel, cache=context.cache)
    whole = pair.prepare(one, context)
    method = methods.of(one, chosen, context)
    keys = pair.plan(whole, one, context).keys
    found = identity.of(one, method, keys, kind=ResultKind.COMPARE)
    grows = kind is ResultKind.WALK
    one = identity.named(one, f"{words}-{one.words}", found, grows=grows)
    return Track(one, context, whole, method, kind)


def name(number: int) -> str:
    """The folder of the trial as far as a patch."""
    return f"{_NAME}{number:02d}"


def _facts(kernel: Kernel) -> dict[str, Any]:
    """Seconds and compiled objects of the build that made a kernel."""
    data = atomic.json_file(kernel.path / "manifest.json") or {}
    objects = data.get("objects_compiled")
    return {
        "seconds": kernel.seconds,
        "objects": objects if isinstance(objects, int) else None,
    }
