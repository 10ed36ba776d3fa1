# SPDX-License-Identifier: GPL-2.0-only
"""The experiment: a YAML file and the command line in, a validated matrix of cells out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from harness.experiment import cell, suite
from harness.experiment.cell import Cell
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.units import format_size, parse_size
from harness.util.yamlfile import nearest

_MATRIX = ("backends", "workloads")
_YES, _NO = ("true", "yes", "y", "1"), ("false", "no", "n", "0")
_DEBUG = ("watchdog", "debug")
PAIRS = {"insn": 3, "wall": 10}
"""Under the instruction clock A/A spreads by some 0.02 %, so three pairs decide about a margin of
one per cent; wall time on a quiet host spreads by per cents."""
_LEAST = {"memory": 128 << 20, "swap": 1 << 20}
_CHOICES = {
    "clock": ("auto", "insn", "wall"),
    "accel": ("auto", "kvm", "tcg"),
    "disk": ("auto", "sim", "host"),
}


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to compare, on what, how often.  Sizes in bytes; times in seconds.

    ``pairs`` of 0 is the clock's default: see ``PAIRS``.  ``upto`` cuts the series behind that
    patch; None takes all of it.  ``config`` is for both kernels, ``head_config`` for ``head``
    alone.  With a ``suite`` the cells are its own, and ``backends`` and ``workloads`` do not
    count.  A ``preset`` of "" is "quick", or what the suite's groups say.
    """

    base: str = "debian/6.12"
    patch: str | None = None
    upto: int | None = None
    head: str | None = None
    name: str | None = None
    backends: tuple[Any, ...] = ("swapfile", "zswap", "zram")
    workloads: tuple[Any, ...] = ("pageio", "pressure")
    suite: str | None = None
    preset: str = ""
    pairs: int = 0
    aa: bool = True
    seed: int = 1
    memory: int = 768 << 20
    cpus: int = 1
    swap: int = 1 << 30
    clock: str = "auto"
    accel: str = "auto"
    disk: str = "auto"
    parallel: int = 0
    guest: Mapping[str, Any] | None = None
    config: tuple[str, ...] = ()
    head_config: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()
    timeout: int = 1800

    @property
    def title(self) -> str:
        """The name of its folder below results/."""
        other = self.patch if self.head is None else self.head
        text = self.name or f"{self.base}-vs-{Path(other or 'calibration').name}"
        if self.upto is not None and not self.name:
            text += f"-upto-{self.upto}"
        if self.suite and not self.name:
            text += f"-{self.suite}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "comparison"

    def cells(self) -> tuple[Cell, ...]:
        """The matrix: the suite's cells, or back-ends by workloads.

        Raises UserError for an unknown name or setting.
        """
        if self.suite:
            return suite.load(self.suite, preset=self.preset, guest=self.guest).cells
        cells = cell.matrix(
            backends=self.backends,
            workloads=self.workloads,
            preset=self.preset or "quick",
            guest=self.guest,
        )
        cell.require_distinct(cells)
        return cells

    def as_data(self) -> dict[str, Any]:
        """As plain data, to be written and compared."""
        data = asdict(self)
        return {**data, "backends": list(self.backends), "workloads": list(self.workloads)}


def load(
    path: Path | None, overrides: Mapping[str, Any], *, source: str = "the command line"
) -> Experiment:
    """The experiment of a spec file (or the defaults), with ``overrides`` on top.

    ``source`` is where the overrides are from, for errors.
    Raises UserError naming the file and key for anything misspelt, mistyped or contradictory.
    """
    place = str(path) if path else source
    data: dict[str, Any] = {}
    if path:
        data = _read(path)
    known = {item.name for item in fields(Experiment)}
    for key in data:
        if key not in known | {"debug"}:
            raise UserError(f"{place}: unknown key '{key}'{nearest(str(key), known)}")
    data |= {key: value for key, value in overrides.items() if value is not None}
    data = {key: value for key, value in data.items() if value is not None}
    # A word for fragments that are also there by name: what is kept says which.
    if _yes_or_no(place, "debug", data.pop("debug", "no")):
        named = _checked(place, "fragments", data.get("fragments", ()))
        data["fragments"] = (*named, *(name for name in _DEBUG if name not in named))
    checked = {key: _checked(place, key, value) for key, value in data.items()}
    experiment = Experiment(**checked)
    if experiment.patch and experiment.head:
        raise UserError(f"{place}: PATCH and HEAD were both given; use one of them")
    if experiment.upto and experiment.head:
        raise UserError(f"{place}: UPTO counts the patches of PATCH; with HEAD leave it out")
    if experiment.head_config and not experiment.head:
        raise UserError(
            f"{place}: HEAD_CONFIG has options of HEAD alone; without HEAD leave it out"
        )
    if experiment.base == "auto" and experiment.head:
        raise UserError(f"{place}: BASE=auto is the base of a series; with HEAD give it a name")
    if not experiment.patch and not experiment.head:
        experiment = Experiment(**{**checked, "patch": "calibration"})
    for key in _MATRIX if experiment.suite else ():
        if key in data:
            raise UserError(f"{place}: SUITE and {key.upper()} were both given; use one of them")
    experiment.cells()
    return experiment


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yamlfile.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"spec file '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"spec file '{path}' is not YAML: {' '.join(str(error).split())}"
        ) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UserError(f"spec file '{path}' is not a mapping of keys")
    return data


def _checked(place: str, key: str, value: Any) -> Any:
    if key in _LEAST:
        size = parse_size(value)
        if size < _LEAST[key]:
            least = format_size(_LEAST[key])
            raise UserError(f"{place}: '{key}' is '{value}'; it must be at least {least}")
        return size
    if key in {"pairs", "cpus", "seed", "parallel", "timeout", "upto"}:
        return _whole_number(place, key, value)
    if key in _MATRIX:
        return cell.entries(place, key, value)
    if key in {"config", "head_config", "fragments"}:
        items = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            raise UserError(f"{place}: '{key}' must be a list of words")
        return tuple(items)
    if key == "aa":
        return _yes_or_no(place, key, value)
    if key == "guest":
        cell.check_guest(place, value)
    if key in _CHOICES and value not in _CHOICES[key]:
        raise UserError(
            f"{place}: '{key}' is '{value}'; it must be one of {', '.join(_CHOICES[key])}"
        )
    if key in {"base", "patch", "head", "name", "suite", "preset"} and not isinstance(value, str):
        raise UserError(
            f"{place}: '{key}' is {value}, which YAML takes for no text; put it in quotes"
        )
    return value


def _yes_or_no(place: str, key: str, value: Any) -> bool:
    """YAML reads a bare yes as true; the command line gives the word."""
    word = str(value).lower()
    if word not in {*_YES, *_NO}:
        raise UserError(f"{place}: '{key}' is '{value}'; it must be yes or no")
    return word in _YES


def _whole_number(place: str, key: str, value: Any) -> int:
    low = 0 if key in {"seed", "parallel"} else 1
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < low:
        raise UserError(f"{place}: '{key}' is '{value}'; it must be a whole number from {low}")
    return number


def describe(experiment: Experiment) -> str:
    """One line: what is compared over what."""
    cut = f" up to number {experiment.upto}" if experiment.upto else ""
    other = experiment.head or f"patches of {experiment.patch}{cut}"
    pairs = experiment.pairs or " or ".join(f"{n} ({clock})" for clock, n in PAIRS.items())
    return (
        f"{experiment.base} against {other}: {len(experiment.cells())} cells x {pairs} pairs, "
        f"guests of {format_size(experiment.memory)} and {experiment.cpus} CPU, "
        f"swap {format_size(experiment.swap)}"
    )
