# SPDX-License-Identifier: GPL-2.0-only
"""Arms measured together: each block boots the base and every arm once, in random order.

What one arm comes to is an ordinary comparison in a folder of its own below the study: its boots,
and those of the base, which all arms of one compiler share.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.build import pair
from harness.build.pair import Context, KernelPair, PairPlan, Trees
from harness.experiment import switch
from harness.experiment.cell import Cell
from harness.experiment.meant import Meant
from harness.experiment.spec import Experiment
from harness.report import live
from harness.results import checksums, record
from harness.results.manifest import ResultKind
from harness.run import eviction, evidence, identity, manifest, plan, reuse
from harness.studies import booting, compare, methods
from harness.studies.arms import analysis, choice, report
from harness.studies.compare import INSTRUMENTS, Begun, Boots
from harness.studies.result import StudyResult, sealed
from harness.util import progress
from harness.util.errors import Exit, HarnessError, KernelFailure, UserError
from harness.util.yamlfile import nearest
from harness.vm import accel

_log = logging.getLogger(__name__)

_MOST_WORDS = 4
"""Arms that the name of a folder names."""


def arms(experiment: Experiment, context: Context) -> StudyResult:
    """Compare every arm of ``experiment`` with its base in one run; goes on where one stopped.

    An arm that does not apply, configure or build is named, and the others are measured.  Raises
    the harness's typed errors; that of the first arm where none is left.
    """
    chosen = choice.of(experiment, context)
    return measure(experiment, chosen, context, instruments=INSTRUMENTS)


def measure(
    experiment: Experiment,
    chosen: Mapping[str, Experiment],
    context: Context,
    trees: Mapping[str, Trees] | None = None,
    instruments: Sequence[str] = INSTRUMENTS[:1],
) -> StudyResult:
    """The same with the comparison of each arm; ``experiment`` is what was asked for.

    ``trees`` are those of arms that are got and patched already; ``instruments`` are as in `Boots`.
    """
    before = progress.finished()
    study = _Study(experiment, chosen, context, instruments, trees=dict(trees or {}))
    known, reference = (*study.bases.values(), *chosen), experiment.study.reference
    if reference not in known:
        raise UserError(f"REFERENCE is '{reference}', which is no arm{nearest(reference, known)}")
    cells = compare.admitted(experiment.changed(arms=None), "compare")
    study.prepare()
    folder = context.results / study.name
    _log.info(f"results go to {folder}")
    with manifest.locked(folder):
        identity.require(folder, study.identity, grows=False)
        study.build(cells)
        identity.keep(folder, study.identity)
        with study.begun(folder, cells) as each:
            done, failed = _boot(study, each, folder, context, before)
        study.keep(folder)
        made = sealed(folder, report.make)
    for failure in failed:
        _log.warning(failure)
    status = Exit.KERNEL if failed else made.status
    return replace(made, status=status, done=done)


@dataclass(slots=True)
class _Study:
    """The arms: what they are made of, and which failed before they could be booted."""

    asked: Experiment
    chosen: Mapping[str, Experiment]
    context: Context
    instruments: Sequence[str]
    failures: dict[str, HarnessError] = field(default_factory=dict)
    trees: dict[str, Trees] = field(default_factory=dict)
    plans: dict[str, PairPlan] = field(default_factory=dict)
    made: dict[str, KernelPair] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def bases(self) -> dict[str, str]:
        """By arm, the name of its base: those of another compiler are named after it."""
        first = next(iter(self.chosen.values())).kernels.cc
        named = {first: analysis.BASE}
        if self.asked.kernels.cc in (one.kernels.cc for one in self.chosen.values()):
            named = {self.asked.kernels.cc: analysis.BASE}
        return {
            name: named.setdefault(one.kernels.cc, f"{analysis.BASE}-{one.kernels.cc}")
            for name, one in self.chosen.items()
        }

    def _is_on_base(self, name: str) -> bool:
        return self.bases[name] == analysis.BASE

    def prepare(self) -> None:
        """Get the trees of all arms, and name the study after what identifies it."""
        for name, one in self.chosen.items():
            _log.info(f"arm {name}")
            with self._named(name):
                if name not in self.trees:
                    self.trees[name] = pair.prepare(one, self.context)
                self.plans[name] = pair.plan(self.trees[name], one, self.context)
        self._require_some(self.plans)
        self._require_one_base()
        keys = {name: self._key(name) for name in self.chosen}
        bases = self.bases
        keys = {bases[name]: one.keys["base"] for name, one in self.plans.items()} | keys
        asked, context = self.asked, self.context
        method = methods.of(asked, accel.choose(asked.guest.accel, cache=context.cache), context)
        self.identity = identity.of(asked, method, keys, kind=ResultKind.ARMS)
        names = "-".join(list(self.chosen)[:_MOST_WORDS])
        words = f"{asked.words}-arms-{names}"
        self.name = identity.named(asked, words, self.identity, grows=False).title

    def _key(self, name: str) -> str:
        """What tells the arm from any other: its kernel, and how that is switched."""
        kernel = self.plans[name].keys["patch"] if name in self.plans else "none"
        shown = switch.of(self.chosen[name].kernels.head_guest).shown
        return f"{kernel} {shown}".strip()

    def _require_one_base(self) -> None:
        """All arms are on one tree with one configuration; compilers may differ."""
        requests = {name: one.requests["base"] for name, one in self.plans.items()}
        keys = {name: (one.tree, one.options) for name, one in requests.items()}
        first, *rest = keys
        for name in rest:
            if keys[name] != keys[first]:
                bases = {one: self.trees[one].base.name for one in (first, name)}
                raise UserError(
                    f"arms have one base, and {first} is on {bases[first]}, {name} on "
                    f"{bases[name]}: give BASE=, or leave one of them out"
                )

    def _require_some(self, left: Mapping[str, object]) -> None:
        if not left:
            raise next(iter(self.failures.values()))

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """What an arm fails at is its own."""
        try:
            yield
        except (KernelFailure, UserError) as error:
            _log.warning(f"arm {name}: {error}")
            self.failures[name] = error

    def build(self, cells: Sequence[Cell]) -> None:
        """Build the base of every compiler and the kernel of every arm."""
        cache, every = self.context.cache, self.plans.values()
        places = {cache.images / one.key for one in methods.recipes(cells).values()}
        needed = frozenset(place for one in every for place in one.places()) | places
        eviction.keep_below(cache, eviction.limit(), needed=needed)
        first = next((one for name, one in self.plans.items() if self._is_on_base(name)), None)
        (first or next(iter(every))).build_base()
        for name, planned in self.plans.items():
            with self._named(name):
                self.made[name] = planned.build()
        self._require_some(self.made)

    @contextmanager
    def begun(self, folder: Path, cells: Sequence[Cell]) -> Iterator[dict[str, Begun]]:
        """The comparison of every arm that has a kernel, below ``folder``."""
        inner = replace(self.context, results=folder)
        chosen = accel.choose(self.asked.guest.accel, cache=self.context.cache)
        with ExitStack() as stack:
            found: dict[str, Begun] = {}
            for name, made in tuple(self.made.items()):
                del self.made[name]
                boots = Boots(made=made, instruments=self.instruments)
                with self._named(name):
                    one = compare.begun(self.chosen[name], cells, chosen, inner, boots)
                    found[name] = stack.enter_context(one)
                    self.made[name] = made
            self._require_some(found)
            yield found

    def keep(self, folder: Path) -> None:
        """Write what the study is made of, to be read and to be repeated."""
        store = self.context.store
        kept = {
            name: evidence.keep(folder, trees, store, prefix=f"{name}-")
            for name, trees in self.trees.items()
        }
        meant = Meant(folder, base=next(iter(kept.values())).base, revisions=kept)
        asked = self.asked.changed(
            arms={name: choice.declared(self.asked, one) for name, one in self.chosen.items()}
        )
        if any(map(manifest.repository, self.trees.values())):
            asked = asked.changed(kernel_git=self.context.kernel_git)
        manifest.write_spec(folder, asked, "compare", context=self.context, meant=meant)
        record.write(
            folder,
            ResultKind.ARMS,
            {
                "name": folder.name,
                "command": self._command(folder),
                "reference": asked.study.reference,
                "arms": [self._facts(name) for name in self.chosen],
            },
        )

    def _facts(self, name: str) -> dict[str, str]:
        """One arm as the record has it; ``folder`` is "" where there is nothing to read."""
        failure, made = self.failures.get(name), self.made.get(name)
        return {
            "name": name,
            "what": choice.what(self.chosen[name]),
            "base": self.bases[name],
            "compiler": made[0]["patch"].kernel.compiler if made else "",
            "folder": name if made else "",
            "failure": str(failure) if failure else "",
        }

    def _command(self, folder: Path) -> str:
        every = list(self.trees.values())
        trees = next((one for one in every if manifest.only_here(one)), every[0])
        named = self.asked.changed(name=folder.name)
        pinned = manifest.pinned(named, replace(trees, applied=None))
        return manifest.command(pinned, trees, title=folder.name)


def _boot(
    study: _Study, each: Mapping[str, Begun], folder: Path, context: Context, before: int
) -> tuple[int, tuple[str, ...]]:
    """Run what is missing of all arms, and finish each; boots that ran, and what failed."""
    own = {name: compare.plan_of(one.setting, Boots()) for name, one in each.items()}
    seed = study.asked.schedule.seed
    bases = study.bases
    planned = plan.interleaved(own, bases, seed=seed)
    instruments = next(iter(each.values())).setting.instruments
    planned = (*planned, *plan.instrumented(planned, instruments))
    parts = {name: plan.of_arm(planned, name, own[name], bases) for name in each}
    donors = methods.donors(context)
    shared = sum(reuse.boots(part, folder / name, donors) for name, part in parts.items())
    if shared:
        _log.info(f"{shared} boots of the base are shared with other results")
    _share(parts, folder)
    count = max((len(block) for block in planned), default=0)
    _log.info(f"{len(planned)} blocks of up to {count} boots: base, control, {', '.join(each)}")
    settings = [one.setting for one in each.values()]
    chosen = settings[0].accelerator
    missing = {name: _lacking(part, folder / name) for name, part in parts.items()}
    with booting.engine(context, chosen) as engine, live.view() as shown:
        ran = booting.boot_all(planned, settings, context, booting.Place(folder), shown, engine)
    _share(parts, folder)
    stages = progress.stages(before)
    for name, one in each.items():
        total = sum(len(block) for block in parts[name])
        mine = plan.Run(
            len(missing[name]),
            total - len(missing[name]),
            plan.failures(parts[name], one.folder / "boots"),
            ran.qemu_seconds,
        )
        compare.finish(one, parts[name], mine, context, stages)
        compare.report(one.folder)
        checksums.report(one.folder)
    booting.say_times(ran, before)
    return ran.done, ran.failed


def _lacking(part: Sequence[plan.Block], folder: Path) -> list[str]:
    """The boots of one arm that are still to be run."""
    requests = (request for block in part for request in block)
    return [one.folder for one in requests if not (folder / "boots" / one.folder).exists()]


def _share(parts: Mapping[str, Sequence[plan.Block]], folder: Path) -> None:
    """Give each arm the boots of its base that another arm has."""
    for name, part in parts.items():
        others = [folder / other for other in parts if other != name]
        reuse.boots(part, folder / name, others, together=True)
