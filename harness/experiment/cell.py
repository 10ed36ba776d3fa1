# SPDX-License-Identifier: GPL-2.0-only
"""The matrix: back-ends and workloads as a spec or a suite names them -> cells to boot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from harness.experiment import workload as catalogue
from harness.experiment.settings import GUEST_SETTINGS
from harness.experiment.workload import Workload
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.units import parse_size
from harness.util.yamlfile import Items, Model, Pairs, Text, nearest, one_of

_BACKENDS = Path(__file__).parent / "backends.yaml"
_SIZES = {"size", "fast"}


@dataclass(frozen=True, slots=True)
class Backend(Model):
    """One swap back-end, as backends.yaml has it, which says what the keys are.

    ``settings`` are words for vm-images/guest/prepare once it is in a cell.  ``append`` goes to
    the kernel's command line, see `harness.vm.disk.boot_words`.
    """

    name: str
    kind: Text
    disk: Annotated[str, one_of(("ext4", "raw", "ram", "none"))]
    waits_io: bool
    settings: Pairs[Any]
    takes: Items[Text] = ()
    append: Items[Text] = ()
    options: Items[Text] = ()
    functions: Pairs[Text] = ()


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
    """What the kernel of one arm can do: its options (symbol -> value) and its functions."""

    arm: str
    config: Mapping[str, str]
    functions: frozenset[str]


def matrix(
    *,
    backends: Sequence[Any],
    workloads: Sequence[Any],
    preset: str = "quick",
    guest: Mapping[str, Any] | None = None,
) -> tuple[Cell, ...]:
    """Each workload over each back-end; entries are names, or one name with its settings.

    A ``guest`` setting that is a list makes a back-end of each of its values, named by it.
    Raises UserError for an unknown name or setting.
    """
    there = [
        one
        for item in backends
        for variant in _variants(item, guest or {})
        for one in (_backend(item, *variant),)
    ]
    items = [_workload(item, preset) for item in workloads]
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
        for option in (*requires.kernel, *backend.options):
            if one.config.get(option) not in {"y", "m"}:
                yield f"{one.arm}: the kernel is built without {option}"
        for function, cannot in backend.functions:
            if function not in one.functions:
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


def _variants(item: Any, guest: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """(guest settings, end of the name) for each choice from the lists among the settings.

    What a back-end sets for itself is no choice.
    """
    own = next(iter(item.values())) if isinstance(item, dict) and len(item) == 1 else None
    fixed = own if isinstance(own, dict) else {}
    axes = {
        key: value for key, value in guest.items() if isinstance(value, list) and key not in fixed
    }
    rest = {key: value for key, value in guest.items() if not isinstance(value, list)}
    for chosen in itertools.product(*axes.values()):
        picked = dict(zip(axes, chosen, strict=True))
        yield (
            {**rest, **picked},
            "".join(f"-{key}-{_word(key, value)}" for key, value in picked.items()),
        )


@cache
def _known_backends() -> Mapping[str, Backend]:
    return {
        name: yamlfile.check(item, Backend, f"{_BACKENDS.name}: {name}", name=name)
        for name, item in yamlfile.read(_BACKENDS).items()
    }


def _backend(item: Any, guest: Mapping[str, Any], suffix: str) -> Backend:
    known = _known_backends()
    name, changes = _named(item, "back-end", known)
    kind = known[name]
    settings = {**guest, **dict(kind.settings)}
    allowed = (*kind.takes, *GUEST_SETTINGS)
    label = str(changes.pop("name", _label(name, changes))) + suffix
    _checked_label("back-end", label)
    for key, value in changes.items():
        if key not in allowed:
            raise UserError(f"back-end '{name}' has no setting '{key}'{nearest(key, allowed)}")
        settings[key] = value
    words = tuple(
        (key, str(parse_size(value)) if key in _SIZES else _word(key, value))
        for key, value in sorted(settings.items())
    )
    return replace(kind, name=label, settings=words)


def _checked_label(what: str, label: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", label):
        raise UserError(f"{what} name '{label}' may have letters, digits, '_' and '-' only")
    return label


def _label(name: str, changes: Mapping[str, Any]) -> str:
    return "-".join([name, *(str(value) for _, value in sorted(changes.items()))])


def _workload(item: Any, preset: str) -> Workload:
    name, changes = _named(item, "workload", catalogue.names())
    chosen = str(changes.pop("preset", preset))
    label = _checked_label("workload", str(changes.pop("name", name)))
    return replace(catalogue.load(name, preset=chosen, overrides=changes), name=label)


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


def _word(key: str, value: Any) -> str:
    """A setting as the guest's script takes it; YAML reads a bare y or on as true."""
    text = ("Y" if value else "N") if isinstance(value, bool) else str(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise UserError(f"setting '{key}' has the value '{text}'; letters, digits, '_', '-' only")
    return text
