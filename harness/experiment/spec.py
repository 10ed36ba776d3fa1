# SPDX-License-Identifier: GPL-2.0-only
"""The experiment: a YAML file and the command line in, a validated matrix of cells out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from harness.experiment import program, settings, word
from harness.experiment.arms import CONTROL
from harness.experiment.cell import Cell
from harness.experiment.meant import KEY, Meant
from harness.experiment.settings import (
    PAIRS,
    Guest,
    Host,
    Kernels,
    Matrix,
    Others,
    Schedule,
    SpecKey,
    Study,
)
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import is_kernel_checkout
from harness.util.units import format_size

RESERVED = {"latest": "newest", "previous": "second newest"}
"""Names that stand for a result wherever one is asked for."""
_DEBUG = ("watchdog", "debug")
_SLOWER = 60
"""Seconds of the host for one of the guest: 10^9 instructions on a busy host, with room."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to compare, on what, how often; `settings` declares what is in each part.

    meant: what its names meant when a spec file was written, which is what they mean now
    """

    kernels: Kernels = field(default_factory=Kernels)
    matrix: Matrix = field(default_factory=Matrix)
    guest: Guest = field(default_factory=Guest)
    schedule: Schedule = field(default_factory=Schedule)
    host: Host = field(default_factory=Host)
    study: Study = field(default_factory=Study)
    name: str | None = None
    meant: Meant = field(default_factory=Meant)

    @property
    def title(self) -> str:
        """The name of its folder below results/; without a ``name`` only `words`."""
        return _plain(self.name) if self.name else self.words

    @property
    def words(self) -> str:
        """What is compared, in words that a folder's name may have."""
        kernels = self.kernels
        other = kernels.patch if kernels.head is None else kernels.head
        text = f"{kernels.base}-vs-{Path(other or 'calibration').absolute().name}"
        if kernels.upto is not None:
            text += f"-upto-{kernels.upto}"
        if self.matrix.suite:
            text += f"-{self.matrix.suite}"
        own = (one for one in self.matrix.workloads if program.is_own(one))
        for name in dict.fromkeys(word.stem(program.parts(one)[0].rstrip("/")) for one in own):
            text += f"-{name}"
        return _plain(text)

    def cells(self) -> tuple[Cell, ...]:
        """The cells of its matrix.  UserError for an unknown name or setting."""
        return self.matrix.cells

    def changed(self, **values: Any) -> Experiment:
        """With other values of some settings, whichever parts have them."""
        known, parts = settings.stored(), dict[str, dict[str, Any]]()
        for name, value in values.items():
            parts.setdefault(known[name].part, {})[name] = value
        own = parts.pop("", {})
        return replace(
            self,
            **own,
            **{part: replace(getattr(self, part), **some) for part, some in parts.items()},
        )

    def value(self, name: str) -> Any:
        """The value of a setting."""
        part = settings.stored()[name].part
        return getattr(getattr(self, part) if part else self, name)

    def as_data(self) -> dict[str, Any]:
        """As plain data, to be written and compared: the keys of a spec file."""
        data = {name: self.value(name) for name in settings.stored()}
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in data.items()
        }


def load(
    path: Path | None,
    overrides: Mapping[str, Any],
    *,
    source: str = "the command line",
    command: str = "",
    home: Path = Path(),
) -> Experiment:
    """The experiment of a spec file (or the defaults), with ``overrides`` on top.

    ``source`` is where the overrides are from, for errors; ``command`` is what the experiment is
    for, "" where nobody knows; ``home`` is the folder that relative paths of programs among the
    overrides are in: those of a file are in the file's folder.  What the file says its names meant
    holds for the names that no override replaces.
    Raises UserError naming the file and key for anything misspelt, mistyped or contradictory.
    """
    place = str(path) if path else source
    data = yamlfile.read(path, place=f"spec file '{path}'") if path else {}
    noted = data.pop(KEY, None)
    declared = settings.declared()
    if unknown := yamlfile.unknown(data, declared):
        raise UserError(f"{place}: {unknown}")
    in_file = tuple(data)
    given = {key: value for key, value in overrides.items() if value is not None}
    data |= given
    parts = {}
    for part, model in settings.PARTS.items():
        names = {one.name for one in fields(model)}  # type: ignore[arg-type]
        own = {key: value for key, value in data.items() if key in names}
        parts[part] = yamlfile.check(own, model, place)
        for name in names.intersection(in_file):
            _taken(place, declared[name], getattr(parts[part], name), command)
    others = cast(Others, parts.pop(""))
    experiment = Experiment(**cast(Any, parts), name=others.name)
    is_here = path is None or "workloads" in given
    folder = home if is_here else cast(Path, path).absolute().parent
    experiment = _with_programs(experiment, others, data, place, folder)
    if others.name and experiment.title in RESERVED:
        raise UserError(
            f"{place}: NAME={experiment.title} always means the {RESERVED[experiment.title]} "
            "result; give another name"
        )
    # A word for fragments that are also there by name: what is kept says which.
    if others.debug:
        named = experiment.kernels.fragments
        more = (name for name in _DEBUG if name not in named)
        experiment = experiment.changed(fragments=(*named, *more))
    _consistent(place, experiment.kernels)
    experiment = _without_control(place, experiment)
    if data.get("base") is None and _names_tree(experiment.kernels.patch or ""):
        experiment = experiment.changed(base="auto")
    if not experiment.kernels.patch and not experiment.kernels.head:
        experiment = experiment.changed(patch="calibration")
    for key in ("backends", "workloads") if experiment.matrix.suite else ():
        if data.get(key) is not None:
            raise UserError(f"{place}: SUITE and {key.upper()} were both given; use one of them")
    try:
        experiment.cells()
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    if noted is not None and path is not None:
        meant = yamlfile.check(noted, Meant, f"{place}: {KEY}", folder=path.absolute().parent)
        experiment = replace(experiment, meant=meant.without(given))
    return experiment


def _taken(place: str, one: SpecKey, value: Any, command: str) -> None:
    """Refuse what a spec file sets and the command has not; a default changes nothing."""
    if not command or one.taken_by(command) or value == one.default:
        return
    takers = " and ".join(f"make {taker}" for taker in one.commands if taker not in one.fixed)
    of_others = f"is a setting of {takers}, not of" if takers else "is no setting of"
    raise UserError(f"{place}: '{one.name}' {of_others} make {command}; leave it out")


def _with_programs(
    experiment: Experiment, others: Others, data: Mapping[str, Any], place: str, home: Path
) -> Experiment:
    """With what is said of all workloads, or of all programs of the user's own, said of each.

    ``home`` is the folder that relative paths of programs are in.
    """
    own: dict[str, Any] = {"packages": " ".join(others.packages), "expect": others.expect}
    if experiment.matrix.suite:
        said = {**own, "memcg": others.memcg, "cmd": others.cmd}
        for name in (name for name, one in said.items() if one):
            raise UserError(f"{place}: {name.upper()} is of WORKLOADS; a suite has its own")
        return experiment
    items: tuple[Any, ...] = experiment.matrix.workloads
    if others.cmd:
        items = (*(items if data.get("workloads") else ()), program.command_entry(others.cmd))
    items = tuple(program.placed(item, home) for item in items)
    mine = [item for item in items if program.is_own(item)]
    if not mine and (missing := [name for name, one in own.items() if one]):
        raise UserError(
            f"{place}: {missing[0].upper()} is of a program of your own, and none is named: "
            "WORKLOADS=./repro.c or CMD='stress-ng ...'"
        )
    timeout, usual = experiment.schedule.timeout, Schedule().timeout
    if timeout != usual and not all("timeout" in program.parts(item)[1] for item in mine):
        own |= {"timeout": timeout}
        # The guest's clock is slower than the host's.
        experiment = experiment.changed(timeout=max(usual, timeout * _SLOWER))
    every = {"memcg": others.memcg}
    items = tuple(program.changed(item, **every, **(own if item in mine else {})) for item in items)
    return experiment.changed(workloads=items)


def _names_tree(patch: str) -> bool:
    """Whether PATCH is of a tree of the user's, which says itself what it is based on."""
    folder, colon, _ = patch.rpartition(":")
    if colon and folder not in ("registry", "mail"):
        return Path(folder).expanduser().is_dir()
    return is_kernel_checkout(Path(patch).expanduser())


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "comparison"


def _consistent(place: str, kernels: Kernels) -> None:
    if kernels.patch and kernels.head:
        raise UserError(f"{place}: PATCH and HEAD were both given; use one of them")
    if kernels.upto and kernels.head:
        raise UserError(f"{place}: UPTO counts the patches of PATCH; with HEAD leave it out")
    if kernels.base == "auto" and kernels.head:
        raise UserError(f"{place}: BASE=auto is the base of a series; with HEAD give it a name")


def _without_control(place: str, experiment: Experiment) -> Experiment:
    """The experiment; base once more is no arm, for every block boots it."""
    named = experiment.kernels.arms or {}
    if CONTROL not in named:
        return experiment
    if not experiment.schedule.aa:
        raise UserError(
            f"{place}: ARMS names '{CONTROL}', which AA=no leaves out: drop one of them"
        )
    return experiment.changed(arms={name: one for name, one in named.items() if name != CONTROL})


def describe(experiment: Experiment) -> str:
    """One line: what is compared over what."""
    kernels, guest = experiment.kernels, experiment.guest
    cut = f" up to number {kernels.upto}" if kernels.upto else ""
    other = kernels.head or f"patches of {kernels.patch}{cut}"
    if kernels.arms:
        other += f" ({', '.join(kernels.arms)})"
    pairs = experiment.schedule.pairs or " or ".join(f"{n} ({clock})" for clock, n in PAIRS.items())
    return (
        f"{kernels.base} against {other}: {len(experiment.cells())} cells x {pairs} pairs, "
        f"guests of {format_size(guest.memory)} and {guest.cpus} CPU, "
        f"swap {format_size(guest.swap)}"
    )
