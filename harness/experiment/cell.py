# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: back-ends and workloads as a spec or a suite names them -> cells to boot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.experiment import backend as backends_known
from harness.experiment import condition, program, word
from harness.experiment import workload as catalogue
from harness.experiment.backend import Backend
from harness.experiment.workload import Workload
from harness.util.errors import UserError
from harness.util.yamlfile import nearest


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix: a workload over a back-end."""

    backend: Backend
    workload: Workload

    @property
    def name(self) -> str:
        """E.g. ``zram.pageio``; also the name of its folder."""
        return f"{self.backend.name}.{self.workload.name}"

    @property
    def waits_io(self) -> bool:
        """Its pages wait for a disk: under the instruction clock all that runs is counted."""
        return self.backend.waits_io or self.workload.definition.waits_io

    @property
    def packages(self) -> tuple[str, ...]:
        """The distribution's packages that the guest's image must have on top."""
        return tuple(sorted({*self.workload.packages, *self.backend.packages}))

    @property
    def splits_memory(self) -> bool:
        """Several NUMA nodes have memory."""
        nodes = dict(self.backend.settings).get("numa", "1")
        return nodes.isdigit() and int(nodes) > 1

    def disk_on(self, usual: str) -> str:
        """The kind of disk that its swap files lie on where the run's is ``usual``."""
        return self.workload.definition.requires.disk or usual


@dataclass(frozen=True, slots=True)
class Skipped:
    """A cell that is left out, and why, as one clause."""

    cell: str
    reason: str


@dataclass(frozen=True, slots=True)
class ArmOnlyCell:
    """A cell that the kernel of one arm can run, and why the other cannot, as one clause."""

    cell: str
    arm: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ability:
    """What the kernel of one arm can do: its options (symbol -> value) and its functions.

    ``functions`` is None where the kernel is configured and not yet built.
    """

    arm: str
    config: Mapping[str, str]
    functions: frozenset[str] | None = None


def matrix(
    *,
    backends: Sequence[Any],
    workloads: Sequence[Any],
    preset: str = "quick",
    guest: Mapping[str, Any] | None = None,
) -> tuple[Cell, ...]:
    """Each workload over each back-end; entries are names, or one name with its settings.

    A ``guest`` setting that is a list makes a back-end of each of its values, named by it.
    Raises UserError for an unknown name or setting, and for a value that none can have.
    """
    there = [
        _backend(name, changes, *variant)
        for item in backends
        for name, changes in (_named(item, "back-end", backends_known.known()),)
        for variant in _variants(changes, guest or {})
    ]
    names = catalogue.names()
    items = [
        _own(item) if program.is_own(item) else _workload(*_named(item, "workload", names), preset)
        for item in workloads
    ]
    return tuple(Cell(backend, item) for item in items for backend in there)


def require_distinct(cells: Sequence[Cell]) -> None:
    """Names are what a report goes by: raise UserError where one name means two things."""
    seen = [cell.name for cell in cells]
    twice = {name for name in seen if seen.count(name) > 1}
    if twice:
        raise UserError(
            f"cell '{min(twice)}' is in the matrix twice; "
            "give its back-end or workload another 'name'"
        )
    known: dict[tuple[str, str], object] = {}
    for cell in cells:
        made = cell.workload
        for key, value in (
            (("back-end", cell.backend.name), cell.backend),
            (("workload", made.name), (made.program, made.parameters, made.memcg_limit)),
        ):
            if known.setdefault(key, value) != value:
                raise UserError(
                    f"{key[0]} '{key[1]}' has other settings in another cell; "
                    "give one of them another 'name'"
                )


def runnable(
    cells: Sequence[Cell],
    abilities: Sequence[Ability] = (),
    *,
    memory: int = 0,
    command: str = "compare",
) -> tuple[tuple[Cell, ...], tuple[Skipped, ...]]:
    """The cells that can be run, and those that cannot, each with its reason.

    ``abilities`` are those of all kernels that are to run them (none: not known yet), ``memory``
    the guest's bytes (0: not known), ``command`` the one that runs them.
    """
    good: list[Cell] = []
    skipped: list[Skipped] = []
    for cell in cells:
        reason = next(_reasons(cell, abilities, memory, command), None)
        if reason:
            skipped.append(Skipped(cell.name, reason))
        else:
            good.append(cell)
    return tuple(good), tuple(skipped)


def _reasons(cell: Cell, abilities: Sequence[Ability], memory: int, command: str) -> Iterator[str]:
    """Why it cannot be run, as clauses; arguments as `runnable` has them."""
    backend, requires, ram = cell.backend, cell.workload.definition.requires, cell.workload.ram
    if requires.command and requires.command != command:
        yield f"it is run by the command '{requires.command}', not as part of a comparison"
    if requires.backends and backend.kind not in requires.backends:
        yield f"it needs the back-end {' or '.join(requires.backends)}, not {backend.kind}"
    if memory and ram > memory:
        yield f"it wants {ram >> 20} MiB of memory, and the guest has {memory >> 20} MiB"
    for one in abilities:
        for option in requires.kernel:
            if one.config.get(option) not in {"y", "m"}:
                yield f"{one.arm}: the kernel is built without {option}"
        for lack in backend.lacks(one.config):
            yield f"{one.arm}: {lack}"
        for function, cannot in backend.functions:
            if one.functions is not None and function not in one.functions:
                yield f"{one.arm}: {cannot} (there is no {function}() in it)"


def halves(
    cells: Sequence[Cell], abilities: Sequence[Ability], *, memory: int, command: str
) -> tuple[ArmOnlyCell, ...]:
    """The cells that one of two kernels can run and the other cannot; arguments as above."""
    found = []
    for cell in cells:
        reasons = {one.arm: next(_reasons(cell, [one], memory, command), None) for one in abilities}
        arms = [arm for arm, reason in reasons.items() if reason is None]
        if len(reasons) == 2 and len(arms) == 1:
            reason = next(text for text in reasons.values() if text)
            found.append(ArmOnlyCell(cell.name, arms[0], reason))
    return tuple(found)


def _variants(
    own: Mapping[str, Any], guest: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], str]]:
    """(guest settings, end of the name) for each choice from the lists among the settings.

    What a back-end sets for itself is no choice.
    """
    axes = {key: value for key, value in guest.items() if isinstance(value, list)}
    axes = {key: value for key, value in axes.items() if key not in own}
    rest = {key: value for key, value in guest.items() if not isinstance(value, list)}
    for chosen in itertools.product(*axes.values()):
        picked = dict(zip(axes, chosen, strict=True))
        yield (
            {**rest, **picked},
            "".join(
                f"-{condition.tail(key)}-{_plain(backends_known.word(value))}"
                for key, value in picked.items()
            ),
        )


def _backend(
    name: str, changes: Mapping[str, Any], guest: Mapping[str, Any], suffix: str
) -> Backend:
    own = {key: value for key, value in changes.items() if key != "name"}
    label = str(changes.get("name", word.label(name, own))) + suffix
    made = backends_known.make(name, label, own, guest)
    return replace(made, name=_checked_label("back-end", label))


def _plain(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", value).strip("-")


def _checked_label(what: str, label: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", label):
        raise UserError(f"{what} name '{label}' may have letters, digits, '_' and '-' only")
    return label


def _workload(name: str, changes: Mapping[str, Any], preset: str) -> Workload:
    own = {key: value for key, value in changes.items() if key not in ("preset", "name")}
    made = catalogue.load(name, preset=str(changes.get("preset", preset)), overrides=own)
    return replace(made, name=_checked_label("workload", str(changes.get("name", name))))


def _own(item: Any) -> Workload:
    made = program.load(*program.parts(item))
    return replace(made, name=_checked_label("workload", made.name))


def _named(item: Any, what: str, known: Any) -> tuple[str, dict[str, Any]]:
    """A list entry: a bare name, or a mapping of one name to its settings."""
    if isinstance(item, str):
        return _known(item, what, known), {}
    if isinstance(item, dict) and len(item) == 1:
        name, changes = next(iter(item.items()))
        if changes is None or isinstance(changes, dict):
            return _known(str(name), what, known), dict(changes or {})
    raise UserError(f"'{item}' is neither the name of a {what} nor one name with its settings")


def _known(name: str, what: str, known: Any) -> str:
    if name not in known:
        raise UserError(f"there is no {what} '{name}'{nearest(name, known)}")
    return name
