"""The catalogue of workloads: one folder each, described by its ``workload.yaml``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import UserError
from harness.paths import REPO
from harness.units import parse_size

FOLDER = REPO / "workloads"
_REQUIRED = {"name", "description", "why", "program", "parameters", "presets", "metrics", "primary"}
_OPTIONAL = {"requires", "memcg", "phases", "margin", "primary_waiting_io", "sample_interval_ms"}


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload with its parameters resolved; ``data`` is the whole of its YAML."""

    name: str
    program: str
    parameters: tuple[tuple[str, str], ...]
    memcg_limit: str | None
    sample_interval_ms: int
    data: Mapping[str, Any]

    @property
    def argv(self) -> list[str]:
        """The program and its options, one for each parameter."""
        return [self.program, *(f"--{key}={value}" for key, value in self.parameters)]

    @property
    def memory_max(self) -> str:
        """The memcg limit in bytes, or "max".

        The YAML gives it as a size, or as a fraction of a parameter: ``size/2``.
        Raises UserError when it is neither.
        """
        if self.memcg_limit is None:
            return "max"
        match = re.fullmatch(r"(\w+)\s*/\s*(\d+)", self.memcg_limit)
        values = dict(self.parameters)
        if match and match[1] in values and int(match[2]):
            return str(parse_size(values[match[1]]) // int(match[2]))
        try:
            return str(parse_size(self.memcg_limit))
        except UserError as error:
            raise UserError(
                f"workloads/{self.name}/workload.yaml: memcg limit '{self.memcg_limit}' is neither "
                f"a size nor a fraction of a parameter ({', '.join(values)})"
            ) from error


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

    Raises UserError naming an unknown workload, preset, parameter or key, with the nearest one.
    """
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no workload '{name}'{nearest(name, known)}")
    path = folder / name / "workload.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check_keys(path, data)
    parameters = {key: item["default"] for key, item in data["parameters"].items()}
    if preset not in data["presets"]:
        hint = nearest(preset, data["presets"])
        raise UserError(f"workload '{name}' has no preset '{preset}'{hint}")
    for source in (data["presets"][preset], overrides or {}):
        for key, value in source.items():
            if key not in parameters:
                raise UserError(
                    f"workload '{name}' has no parameter '{key}'{nearest(key, parameters)}"
                )
            parameters[key] = value
    memcg = data.get("memcg") or {}
    made = Workload(
        name=name,
        program=data["program"],
        parameters=tuple(
            (key, _text(item)) for key, item in parameters.items() if item is not None
        ),
        memcg_limit=str(memcg["limit"]) if memcg.get("limit") else None,
        sample_interval_ms=int(data.get("sample_interval_ms", 1000)),
        data=data,
    )
    _check_sizes(made)
    return made


def nearest(word: str, known: Any) -> str:
    """The end of an error sentence: the nearest known word, or all of them."""
    words = sorted(str(item) for item in known)
    close = difflib.get_close_matches(str(word), words, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(words)}"


def _check_sizes(made: Workload) -> None:
    """What the guest would find wrong with a size only after it has booted."""
    for key, value in made.parameters:
        if made.data["parameters"][key].get("unit") == "B":
            try:
                parse_size(value)
            except UserError as error:
                raise UserError(f"workload '{made.name}': parameter '{key}': {error}") from error
    _ = made.memory_max


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def _check_keys(path: Path, data: Any) -> None:
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a mapping of keys")
    missing = _REQUIRED - data.keys()
    unknown = data.keys() - _REQUIRED - _OPTIONAL
    if missing:
        raise UserError(f"{path}: key '{min(missing)}' is missing")
    if unknown:
        word = min(unknown)
        raise UserError(f"{path}: unknown key '{word}'{nearest(word, _REQUIRED | _OPTIONAL)}")
    if data["primary"] is not None and data["primary"] not in data["metrics"]:
        raise UserError(f"{path}: primary metric '{data['primary']}' is not among its metrics")
