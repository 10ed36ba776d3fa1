# SPDX-License-Identifier: GPL-2.0-only
"""``make walk ARMS=off,on``: one series patch by patch, each patch with every arm.

Each arm is a walk of its own below the study's folder.  They go on patch by patch together, and
the boots of a base serve all arms that have it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from harness.build.pair import Context
from harness.experiment import switch
from harness.experiment.spec import Experiment
from harness.results import record
from harness.results.manifest import ResultKind
from harness.run import identity, manifest
from harness.studies import methods
from harness.studies.arms import choice
from harness.studies.overhead import measure as overhead
from harness.studies.result import StudyResult, sealed
from harness.studies.walk import analysis, measure, report, trial
from harness.studies.walk.measure import Progress, WalkOptions
from harness.studies.walk.trial import Track
from harness.util.errors import UserError
from harness.vm import accel

_log = logging.getLogger(__name__)

_MOST_WORDS = 4
"""Arms that the name of a folder names."""


def walk(experiment: Experiment, options: WalkOptions, context: Context) -> StudyResult:
    """Walk over the series with every arm of ``experiment``; goes on where a call was stopped.

    Raises the harness's typed errors; UserError where the arms are not of one series.
    """
    chosen = choice.of(experiment, context)
    if options.overhead is not None:  # a mistake is said now, not in an hour
        overhead.planned(next(iter(chosen.values())), options.overhead)
    study = _ArmTracks(experiment, chosen, context)
    folder = study.folder
    with manifest.locked(folder):
        study.require()
        numbers = measure.stops(options.at, len(study.first.steps))
        with study.begun(options, numbers) as each:
            _log.info(f"{len(numbers)} patches of {len(study.first.steps)}, arms {study.names}")
            for number in numbers:
                for name, one in each.items():
                    _log.info(f"arm {name}, patch {number}")
                    one.measure(number)
            for track in study.tracks.values():
                sealed(track.folder, report.make)
            study.keep(each)
        made = sealed(folder, report.make)
    return made


class _ArmTracks:
    """The arms of one walk; nothing is built yet."""

    def __init__(
        self, asked: Experiment, chosen: Mapping[str, Experiment], context: Context
    ) -> None:
        self._asked, self._chosen, self._context = asked, chosen, context
        self.tracks = {name: _laid(name, one, context) for name, one in chosen.items()}
        self._require_one_series()
        self.first = next(iter(self.tracks.values()))
        one = methods.resolved(methods.counted(asked).changed(arms=None), "insn")
        method = methods.of(one, accel.choose(one.guest.accel, cache=context.cache), context)
        keys = {name: self._key(name) for name in chosen}
        self._identity = identity.of(one, method, keys, kind=ResultKind.WALK)
        words = f"walk-{asked.words}-arms-{'-'.join(list(chosen)[:_MOST_WORDS])}"
        named = identity.named(one.changed(name=asked.name), words, self._identity, grows=True)
        self.folder = context.results / named.title
        for track in self.tracks.values():
            track.move(self.folder, self._command)
            track.beside = [other for other in self.tracks.values() if other is not track]

    @property
    def names(self) -> str:
        """The arms, as a sentence has them."""
        return ", ".join(self.tracks)

    def _require_one_series(self) -> None:
        """A row of the report is one patch."""
        commits = {
            name: [one.subject for one in track.steps] for name, track in self.tracks.items()
        }
        first, *rest = commits
        for name in rest:
            if commits[name] != commits[first]:
                raise UserError(
                    f"make walk goes over one series, and the arms {first} and {name} have other "
                    "patches: walk over each alone"
                )

    def _key(self, name: str) -> str:
        """What tells the arm from any other: its base, its kernel, and how that is switched."""
        keys = self.tracks[name].keys
        shown = switch.of(self._chosen[name].kernels.head_guest).shown
        return f"{keys['base']} {keys['patch']} {shown}".strip()

    def require(self) -> None:
        """UserError if the folder holds another walk; then nothing has been written."""
        place = self.folder / ResultKind.WALK.record
        if place.is_file():
            there = analysis.named(record.read(self.folder, ResultKind.WALK))
            if there != self.names:
                what = f"of the arms {there}" if there else "of one series"
                raise UserError(
                    f"'{self.folder}' holds a walk {what}: leave NAME= out or give another"
                )
        identity.require(self.folder, self._identity, grows=True)

    @contextmanager
    def begun(self, options: WalkOptions, numbers: Sequence[int]) -> Iterator[dict[str, Progress]]:
        """What was done of each arm, whose base is built; its folder is held meanwhile."""
        with ExitStack() as stack:
            found = {}
            for name, track in self.tracks.items():
                stack.enter_context(manifest.locked(track.folder))
                found[name] = Progress(track, options, numbers)
                found[name].begin()
            identity.keep(self.folder, self._identity)
            yield found

    def keep(self, each: Mapping[str, Progress]) -> None:
        """Write what the walk is made of, to be read and to be repeated."""
        one = next(iter(each.values()))
        manifest.write_spec(
            self.folder,
            self._grown().changed(
                arms={
                    name: choice.declared(self._asked, arm) for name, arm in self._chosen.items()
                },
                **one.told(),
            ),
            "walk",
            trees=self.first.trees,
            context=self._context,
        )
        record.write(
            self.folder,
            ResultKind.WALK,
            {
                "name": self.folder.name,
                "command": one.command(),
                **self.first.facts(),
                "arms": [self._facts(name) for name in self.tracks],
            },
        )

    def _grown(self) -> Experiment:
        """What was asked for, with the cells that earlier calls measured."""
        there = self.first.experiment
        return self._asked.changed(**{key: there.value(key) for key in trial.GROWING})

    def _facts(self, name: str) -> dict[str, str]:
        return {"name": name, "what": choice.what(self._chosen[name]), "folder": name}

    def _command(self, target: str, words: Sequence[str]) -> str:
        one = self._grown().changed(name=self.folder.name)
        trees = self.first.trees
        pinned = manifest.pinned(one, trees)
        return manifest.command(pinned, trees, target, words, title=self.folder.name)


def _laid(name: str, one: Experiment, context: Context) -> Track:
    """An arm whose trees are got and patched."""
    _log.info(f"arm {name}")
    try:
        return trial.lay(one, context, ResultKind.WALK, "walk")
    except UserError as error:
        raise UserError(f"arm {name}: {error}") from error
