# SPDX-License-Identifier: GPL-2.0-only
"""``make walk``: build and measure a series at each of its patches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.build.pair import Context
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.results import checksums, record
from harness.results.manifest import ResultKind
from harness.run import evidence, identity, manifest
from harness.studies.overhead import measure as overhead
from harness.studies.overhead.analysis import NoBoot
from harness.studies.result import StudyResult, sealed
from harness.studies.walk import report, trial
from harness.studies.walk.trial import Track
from harness.util.errors import UserError

_log = logging.getLogger(__name__)

_OVERHEAD = "-overhead"


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What is asked beside the kernels.

    at: numbers of the patches to stop at; empty for all
    overhead: also measure the bytes that swap metadata takes; None for not
    """

    at: Sequence[int] = ()
    overhead: overhead.OverheadOptions | None = None


def walk(experiment: Experiment, options: WalkOptions, context: Context) -> StudyResult:
    """Build at each patch, measure where it builds, report; goes on where a call was stopped.

    Raises the harness's typed errors; a patch that does not build or boot is no error.
    """
    if options.overhead is not None:
        overhead.planned(experiment, options.overhead)  # a mistake is said now, not in an hour
    track = trial.lay(experiment, context, ResultKind.WALK, "walk")
    with manifest.locked(track.folder):
        numbers = stops(options.at, len(track.steps))
        one = Progress(track, options, numbers)
        one.begin()
        _say(track, numbers, context)
        for number in numbers:
            one.measure(number)
        made = sealed(track.folder, report.make)
    return made


def stops(at: Sequence[int], count: int) -> tuple[int, ...]:
    """The patches to stop at, in order.  UserError for one that the series has not."""
    for number in at:
        if not 1 <= number <= count:
            raise UserError(f"AT has {number}: the series has the patches 1 to {count}")
    return tuple(sorted(set(at))) or tuple(range(1, count + 1))


def parse_stops(text: str | None) -> tuple[int, ...]:
    """ "3,5,9-12" as numbers.  UserError for anything else."""
    found: list[int] = []
    for word in (text or "").replace(",", " ").split():
        low, dash, high = word.partition("-")
        ends = (low, high if dash else low)
        if not all(end.isdecimal() and len(end) < 5 for end in ends):
            raise UserError(f"AT has '{word}': give numbers of patches, like 3,5 or 9-12")
        found += range(int(low), int(ends[1]) + 1)
    return tuple(found)


class Progress:
    """The patches done so far, by earlier calls, too; their record is on disk after each.

    ``numbers`` are those of this call.
    """

    def __init__(self, track: Track, options: WalkOptions, numbers: Sequence[int]) -> None:
        self._track, self._options, self._folder = track, options, track.folder
        self._done: dict[int, dict[str, Any]] = {}
        self._numbers = numbers
        self._is_kept = False

    def begin(self) -> None:
        """Read what was done, if it is of this walk.  UserError if not; nothing is written."""
        identity.claimed(self._folder, ResultKind.WALK)
        if identity.read(self._folder) is not None:  # which a walk of one series does not have
            raise UserError(
                f"'{self._folder}' holds a walk of several arms: leave NAME= out or give another"
            )
        self._track.begin()
        for folder in self._folder.glob(f"*{_OVERHEAD}"):
            number = folder.name.removeprefix("patch-").removesuffix(_OVERHEAD)
            if self._options.overhead is not None and number.isdecimal():
                one = overhead.planned(self._track.experiment, self._options.overhead)
                kind = ResultKind.OVERHEAD
                found = self._track.identity(int(number), one.changed(pairs=0), kind)
                identity.require(folder, found, grows=False)
        if (self._folder / ResultKind.WALK.record).is_file():
            steps = record.read(self._folder, ResultKind.WALK)["steps"]
            commits = {one.number: one.commit for one in self._track.steps}
            for step in steps:
                if commits.get(step["number"]) != step["commit"]:
                    raise UserError(
                        f"'{self._folder}' holds a walk over another series: its patch "
                        f"{step['number']} is not this one's. Without NAME= each walk has a "
                        "folder of its own; or give another NAME="
                    )
            self._done = {int(step["number"]): dict(step) for step in steps}

    def measure(self, number: int) -> None:
        """Build and measure at a patch."""
        built = self._track.build(number)
        folder = memory = ""
        if not built.failure:
            folder = self._track.measure(number).folder.name
            memory = self._weigh(number)
        memory = memory or self._done.get(number, {}).get("memory", "")
        self._done[number] = {**asdict(built), "folder": folder, "memory": memory}
        self._write()

    def _weigh(self, number: int) -> str:
        """Measure the bytes at a patch, if that is asked for; the name of the result."""
        if self._options.overhead is None:
            return ""
        track, name = self._track, f"{trial.name(number)}{_OVERHEAD}"
        one = track.experiment.changed(upto=number, name=name, pairs=0)
        try:
            overhead.overhead(
                one,
                self._options.overhead,
                track.context,
                made=track.made(number),
                donors=track.donors(),
            )
        except NoBoot as error:  # a result like any other: the report names it
            _log.warning(f"patch {number}: {error}")
        return name

    def _write(self) -> None:
        track = self._track
        head = {"name": self._folder.name, "command": self.command()}
        if not self._is_kept:
            track.keep("walk", **self.told())
            self._is_kept = True
        steps = [self._done[number] for number in sorted(self._done)]
        record.write(self._folder, ResultKind.WALK, {**head, **track.facts(), "steps": steps})
        if checksums.read(self._folder):  # of an earlier call: its report can be made again
            checksums.raw(self._folder)

    def command(self) -> str:
        """The command that repeats all calls together."""
        words = [f"AT={','.join(self._at())}"] if self._at() else []
        words += ["BYTES=yes"] if self._is_weighed() else []
        return self._track.command("walk", words)

    def _at(self) -> tuple[str, ...]:
        """The patches of this call and of earlier ones; none where that is all of them."""
        stops = sorted({*self._numbers, *self._done})
        return () if len(stops) == len(self._track.steps) else tuple(map(str, stops))

    def _is_weighed(self) -> bool:
        """Whether this call or an earlier one measures the bytes, too."""
        known = any(one["memory"] for one in self._done.values())
        return known or self._options.overhead is not None

    def told(self) -> dict[str, Any]:
        """The options as settings, which the spec file of the result has."""
        made: dict[str, Any] = {"at": self._at(), "bytes": self._is_weighed()}
        if weighed := self._options.overhead:
            sizes = tuple(map(str, weighed.sizes))
            return {**made, "sizes": sizes, "fill": weighed.fill, "steps": weighed.steps}
        place = self._folder / evidence.SPEC
        if self._is_weighed() and place.is_file():  # by an earlier call
            study = spec.load(place, {}, command="walk").study
            return {**made, "sizes": study.sizes, "fill": study.fill, "steps": study.steps}
        return made


def _say(track: Track, numbers: Sequence[int], context: Context) -> None:
    one = track.experiment
    shared = 2 if one.schedule.aa else 1
    boots = one.schedule.pairs * len(one.cells()) * (len(numbers) + shared)
    _log.info(
        f"{len(numbers)} of {len(track.steps)} patches to build; at most {boots} boots, those of "
        "the base shared by all patches"
    )
