"""The experiment: a YAML file and the command line in, a validated matrix of cells out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from harness import workload as catalogue
from harness.errors import UserError
from harness.units import format_size, parse_size
from harness.workload import Workload, nearest

_BACKENDS = Path(__file__).parent / "backends.yaml"
_GUEST_SETTINGS = ("swappiness", "page_cluster", "thp", "mglru")
_BACKEND_SETTINGS = {
    "swapfile": ("size", "hold"),
    "swappart": ("size", "hold"),
    "zswap": ("compressor", "pool", "shrinker", "size", "hold"),
    "zram": ("compressor", "size", "hold"),
}
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
class Backend:
    """One swap back-end; ``settings`` are words for vm-images/guest/prepare."""

    name: str
    kind: str
    disk: str
    waits_io: bool
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix: a workload over a back-end."""

    backend: Backend
    workload: Workload

    @property
    def name(self) -> str:
        """E.g. ``zram.pageio``; also the name of its folder."""
        return f"{self.backend.name}.{self.workload.name}"


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to compare, on what, how often.  Sizes in bytes; times in seconds.

    ``pairs`` of 0 is the clock's default: see ``PAIRS``.  ``upto`` cuts the series behind that
    patch; None takes all of it.
    """

    base: str = "debian/6.12"
    patch: str | None = None
    upto: int | None = None
    head: str | None = None
    name: str | None = None
    backends: tuple[Any, ...] = ("swapfile", "zswap", "zram")
    workloads: tuple[Any, ...] = ("pageio", "pressure")
    preset: str = "quick"
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
    fragments: tuple[str, ...] = ()
    timeout: int = 1800

    @property
    def title(self) -> str:
        """The name of its folder below results/."""
        other = self.patch if self.head is None else self.head
        text = self.name or f"{self.base}-vs-{Path(other or 'calibration').name}"
        if self.upto is not None and not self.name:
            text += f"-upto-{self.upto}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "comparison"

    def cells(self) -> tuple[Cell, ...]:
        """The matrix, back-ends by workloads.  Raises UserError for an unknown name or setting."""
        backends = [_backend(item, self.guest or {}) for item in self.backends]
        workloads = [_workload(item, self.preset) for item in self.workloads]
        cells = tuple(Cell(backend, item) for item in workloads for backend in backends)
        seen = [cell.name for cell in cells]
        twice = {name for name in seen if seen.count(name) > 1}
        if twice:
            raise UserError(
                f"cell '{min(twice)}' is in the matrix twice; "
                "give its back-end or workload another 'name'"
            )
        return cells

    def as_data(self) -> dict[str, Any]:
        """As plain data, to be written and compared."""
        data = asdict(self)
        return {**data, "backends": list(self.backends), "workloads": list(self.workloads)}


def load(path: Path | None, overrides: Mapping[str, Any]) -> Experiment:
    """The experiment of a spec file (or the defaults), with ``overrides`` on top.

    Raises UserError naming the file and key for anything misspelt, mistyped or contradictory.
    """
    place = str(path) if path else "the command line"
    data: dict[str, Any] = {}
    if path:
        data = _read(path)
    known = {item.name for item in fields(Experiment)}
    for key in data:
        if key not in known:
            raise UserError(f"{place}: unknown key '{key}'{nearest(str(key), known)}")
    data |= {key: value for key, value in overrides.items() if value is not None}
    data = {key: value for key, value in data.items() if value is not None}
    checked = {key: _checked(place, key, value) for key, value in data.items()}
    experiment = Experiment(**checked)
    if experiment.patch and experiment.head:
        raise UserError(f"{place}: PATCH and HEAD were both given; use one of them")
    if experiment.upto and experiment.head:
        raise UserError(f"{place}: UPTO counts the patches of PATCH; with HEAD leave it out")
    if experiment.base == "auto" and experiment.head:
        raise UserError(f"{place}: BASE=auto is the base of a series; with HEAD give it a name")
    if not experiment.patch and not experiment.head:
        experiment = Experiment(**{**checked, "patch": "calibration"})
    for key in experiment.guest or {}:
        if key not in _GUEST_SETTINGS:
            raise UserError(f"{place}: guest has no setting '{key}'{nearest(key, _GUEST_SETTINGS)}")
    experiment.cells()
    return experiment


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
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
    if key in {"backends", "workloads", "config", "fragments"}:
        items = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or (not items and key in {"backends", "workloads"}):
            raise UserError(f"{place}: '{key}' must be a list with something in it")
        if key in {"config", "fragments"} and not all(isinstance(item, str) for item in items):
            raise UserError(f"{place}: '{key}' must be a list of words")
        return tuple(items)
    if key == "aa":
        return _yes_or_no(place, key, value)
    if key == "guest" and not isinstance(value, dict):
        raise UserError(f"{place}: 'guest' must be a mapping of settings")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise UserError(
            f"{place}: '{key}' is '{value}'; it must be one of {', '.join(_CHOICES[key])}"
        )
    if key in {"base", "patch", "head", "name", "preset"} and not isinstance(value, str):
        raise UserError(
            f"{place}: '{key}' is {value}, which YAML takes for no text; put it in quotes"
        )
    return value


def _yes_or_no(place: str, key: str, value: Any) -> bool:
    """YAML reads a bare yes as true; the command line gives the word."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in known:
        raise UserError(f"{place}: '{key}' is '{value}'; it must be yes or no")
    return known[word]


def _whole_number(place: str, key: str, value: Any) -> int:
    low = 0 if key in {"seed", "parallel"} else 1
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < low:
        raise UserError(f"{place}: '{key}' is '{value}'; it must be a whole number from {low}")
    return number


def _backend(item: Any, guest: Mapping[str, Any]) -> Backend:
    known = yaml.safe_load(_BACKENDS.read_text(encoding="utf-8"))
    name, changes = _named(item, "back-end", known)
    settings = {**guest, **known[name]["settings"]}
    allowed = (*_BACKEND_SETTINGS[known[name]["kind"]], *_GUEST_SETTINGS)
    label = str(changes.pop("name", _label(name, changes)))
    _checked_label("back-end", label)
    for key, value in changes.items():
        if key not in allowed:
            raise UserError(f"back-end '{name}' has no setting '{key}'{nearest(key, allowed)}")
        settings[key] = parse_size(value) if key == "size" else value
    return Backend(
        name=label,
        kind=known[name]["kind"],
        disk=known[name]["disk"],
        waits_io=known[name]["waits_io"],
        settings=tuple(sorted((key, _word(key, value)) for key, value in settings.items())),
    )


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
