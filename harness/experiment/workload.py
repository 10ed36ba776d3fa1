# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of workloads: one folder each, described by its ``workload.yaml``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.experiment import parameter
from harness.experiment.known import KnownFailure
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.units import parse_size
from harness.util.yamlfile import Check, Count, Items, Model, Regex, Text, matching, nearest

if TYPE_CHECKING:
    from harness.experiment.program import Program

FOLDER = REPO / "workloads"
DESCRIBED = "described.json"
# In a preset and in a spec beside the parameters: the workload's memcg limit, or no limit.
_MEMCG = "memcg"
NO_LIMIT = ("none", "max", "no")


SizeText = Annotated[Text, Check(lambda v: str(v) if type(v) is int else v, first=True)]
Package = Annotated[str, matching(r"[a-z0-9][a-z0-9+.-]+", "a package's name")]


@dataclass(frozen=True, slots=True)
class Requires(Model):
    """What a workload needs.

    kernel: options; ram: of the guest, as `Workload.memory_max`; backends: kinds, none for any
    command: the harness's command that runs it; packages: of the distribution, in the guest's image
    selftests: the kernel's own tests, ``collection/program``, built from each arm's tree
    disk: the kind of disk that swap files must lie on, "host"; "" if any will do
    """

    kernel: Items[Text] = ()
    ram: SizeText = ""
    backends: Items[Text] = ()
    command: Text = ""
    packages: Items[Package] = ()
    selftests: Items[
        Annotated[
            str, matching(r"[A-Za-z0-9_][\w-]*/[A-Za-z0-9_][\w.-]*", "a 'collection/program'")
        ]
    ] = ()
    disk: Annotated[str, matching("host", "'host', or be left out")] = ""


@dataclass(frozen=True, slots=True)
class Memcg(Model):
    """The memcg that it runs in; ``limit`` as `Workload.memory_max`, "" for none."""

    limit: SizeText = ""


@dataclass(frozen=True, slots=True)
class WorkloadDefinition(Model):
    """A workload.yaml.  ``outputs`` are files that it leaves in the guest's /run/harness beside
    its JSON lines, ``expected_console`` patterns of console lines that it brings about on purpose,
    ``failing_console`` patterns of lines that are a failure, whatever they are to others.
    ``sample_interval_ms`` lie between two samples; 0: marks only.  ``waits_io``: it has pages wait
    for the disk behind any back-end.
    """

    name: Text
    description: Text
    why: Text
    program: Text
    presets: Mapping[str, Mapping[str, Any] | None]
    primary: Text | None
    primary_waiting_io: Text | None = None
    waits_io: bool = False
    requires: Requires = Requires()
    memcg: Memcg = Memcg()
    phases: Items[Text] = ()
    margin: Text = ""
    sample_interval_ms: Count = 1000
    outputs: Items[Annotated[str, matching(r"[a-z0-9][a-z0-9_-]*\.[a-z]+", "a file's name")]] = ()
    expected_console: Items[Regex] = ()
    failing_console: Items[Regex] = ()
    known_failures: Items[KnownFailure] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload with its parameters resolved; ``data`` is all that its folder says.

    ``own`` is the program that the runner runs for it; None where the harness has it.
    """

    name: str
    program: str
    parameters: tuple[tuple[str, str], ...]
    memcg_limit: str | None
    definition: WorkloadDefinition
    data: Mapping[str, Any]
    own: Program | None = None

    @property
    def argv(self) -> list[str]:
        """The program and its options, one for each parameter."""
        return [self.program, *(f"--{key}={value}" for key, value in self.parameters)]

    @property
    def memory_max(self) -> str:
        """The memcg limit in bytes, or "max".

        The YAML gives it as a size, or by parameters: ``size / 2``.
        Raises UserError when it is neither.
        """
        if self.memcg_limit is None:
            return "max"
        return str(self._bytes("memcg limit", self.memcg_limit))

    @property
    def ram(self) -> int:
        """Bytes of guest memory that it wants by its ``requires``; 0 if it does not say."""
        text = self.definition.requires.ram
        return self._bytes("requires ram", text) if text else 0

    @property
    def packages(self) -> tuple[str, ...]:
        """The distribution's packages that the guest's image must have on top."""
        return tuple(sorted(self.definition.requires.packages))

    @property
    def selftests(self) -> tuple[str, ...]:
        """The kernel's own tests, ``collection/program``, to be built from each arm's tree."""
        return self.definition.requires.selftests

    def _bytes(self, what: str, text: str) -> int:
        """``size * procs / 2 + 128M`` with the parameters' values, left to right, rounded down.

        Raises UserError when it is nothing like that.
        """
        values = dict(self.parameters)
        try:
            return sum(_product(term, values) for term in text.split("+"))
        except (UserError, ZeroDivisionError) as error:
            if self.own:
                raise UserError(f"workload '{self.name}': {what} '{text}' is no size") from error
            raise UserError(
                f"workloads/{self.name}/workload.yaml: {what} '{text}' is neither a size nor "
                f"made of sizes and parameters ({', '.join(values)})"
            ) from error


def _product(term: str, values: Mapping[str, str]) -> int:
    first, *rest = re.split(r"\s*([*/])\s*", term.strip())
    total = parse_size(values.get(first, first))
    for sign, factor in zip(rest[::2], rest[1::2], strict=True):
        number = parse_size(values.get(factor, factor))
        total = total * number if sign == "*" else total // number
    return total


def names(folder: Path = FOLDER) -> list[str]:
    """The workloads there are."""
    return sorted(path.parent.name for path in folder.glob("*/workload.yaml"))


def load(
    name: str,
    *,
    preset: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Workload:
    """Workload ``name`` with the defaults, then ``preset``, then ``overrides``.

    Both may also hold ``memcg``: a limit in place of the workload's own, or "none".
    Raises UserError naming an unknown workload, preset, parameter or key, with the nearest one,
    and for a value that the program would not take.
    """
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no workload '{name}'{nearest(name, known)}")
    definition, data = _read(name, folder)
    parameters = {key: item["default"] for key, item in data["parameters"].items()}
    if preset not in definition.presets:
        hint = nearest(preset, definition.presets)
        raise UserError(f"workload '{name}' has no preset '{preset}'{hint}")
    limit: Any = definition.memcg.limit
    for source in (definition.presets[preset] or {}, overrides or {}):
        for key, value in source.items():
            if key == _MEMCG:
                limit = value
                continue
            if key not in parameters:
                raise UserError(
                    f"workload '{name}' has no parameter '{key}'{nearest(key, parameters)}"
                )
            parameters[key] = value
    made = Workload(
        name=name,
        program=definition.program,
        parameters=tuple(
            (key, _taken(name, key, item, data["parameters"][key]))
            for key, item in parameters.items()
            if item is not None
        ),
        memcg_limit=None if not limit or str(limit) in NO_LIMIT else str(limit),
        definition=definition,
        data=data,
    )
    _ = made.memory_max, made.ram  # an error now, not in the guest
    return made


def read(name: str, folder: Path) -> dict[str, Any]:
    """The workload.yaml of ``folder / name`` with ``parameters`` and ``metrics`` on top.

    Raises UserError naming the file and what is wrong with it.
    """
    return _read(name, folder)[1]


def _read(name: str, folder: Path) -> tuple[WorkloadDefinition, dict[str, Any]]:
    return read_file(folder / name / "workload.yaml")


def read_file(path: Path) -> tuple[WorkloadDefinition, dict[str, Any]]:
    """A workload's file, checked, and as plain data with what its program prints of itself.

    Errors as `read`.
    """
    data = yamlfile.read(path)
    definition = yamlfile.check(data, WorkloadDefinition, str(path))
    place = path.with_name(DESCRIBED)
    try:
        described = json.loads(place.read_text(encoding="utf-8"))
        data |= {key: described[key] for key in ("parameters", "metrics")}
        _ = [item["takes"] for item in data["parameters"].values()]  # an older program's has none
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{place} is not what the workload's program prints; "
            "write it with: make -C workloads describe"
        ) from error
    for key in ("primary", "primary_waiting_io"):
        metric = getattr(definition, key)
        if metric is not None and metric not in data["metrics"]:
            raise UserError(
                f"{path}: '{key}' is '{metric}', which is no metric of "
                f"its program{nearest(metric, data['metrics'])}"
            )
    return definition, data


def _taken(name: str, key: str, value: Any, declared: Mapping[str, Any]) -> str:
    try:
        return parameter.taken(value, declared)
    except UserError as error:
        raise UserError(
            f"workload '{name}': '{key}' is '{_text(value)}'; it must be {error}"
        ) from error


def _text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
