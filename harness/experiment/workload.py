# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of workloads: one folder each.

``workload.yaml`` says why the workload is there, its presets and which metrics are primary.
``described.json`` has its parameters and metrics, as the program prints them (``--describe``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.units import parse_size
from harness.util.yamlfile import nearest

FOLDER = REPO / "workloads"
DESCRIBED = "described.json"
_REQUIRED = {"name", "description", "why", "program", "presets", "primary"}
_OPTIONAL = {
    "requires", "memcg", "phases", "margin", "primary_waiting_io", "sample_interval_ms", "outputs",
    "expected_console",
}  # fmt: skip
_REQUIRES = {"kernel", "ram", "backends", "command", "packages", "selftests", "disk"}
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SELFTEST = re.compile(r"[A-Za-z0-9_][\w-]*/[A-Za-z0-9_][\w.-]*")
_OUTPUT = re.compile(r"[a-z0-9][a-z0-9_-]*\.[a-z]+")
# In a preset and in a spec beside the parameters: the workload's memcg limit, or no limit.
_MEMCG = "memcg"
_NO_LIMIT = {"none", "max", "no"}


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload with its parameters resolved; ``data`` is all that its folder says."""

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

        The YAML gives it as a size, or by parameters: ``size / 2``.
        Raises UserError when it is neither.
        """
        if self.memcg_limit is None:
            return "max"
        return str(self._bytes("memcg limit", self.memcg_limit))

    @property
    def ram(self) -> int:
        """Bytes of guest memory that it wants by its ``requires``; 0 if it does not say."""
        text = (self.data.get("requires") or {}).get("ram")
        return self._bytes("requires ram", str(text)) if text else 0

    @property
    def packages(self) -> tuple[str, ...]:
        """The distribution's packages that the guest's image must have on top."""
        return tuple(sorted((self.data.get("requires") or {}).get("packages") or ()))

    @property
    def selftests(self) -> tuple[str, ...]:
        """The kernel's own tests, ``collection/program``, to be built from each arm's tree."""
        return tuple((self.data.get("requires") or {}).get("selftests") or ())

    @property
    def disk(self) -> str:
        """The kind of disk that swap files must lie on, "host"; "" if any will do."""
        return str((self.data.get("requires") or {}).get("disk") or "")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Files that it leaves in the guest's /run/harness beside its JSON lines."""
        return tuple(self.data.get("outputs") or ())

    @property
    def expected_console(self) -> tuple[str, ...]:
        """Patterns of console lines that it brings about on purpose."""
        return tuple(self.data.get("expected_console") or ())

    def _bytes(self, what: str, text: str) -> int:
        """``size * procs / 2 + 128M`` with the parameters' values, left to right, rounded down.

        Raises UserError when it is nothing like that.
        """
        values = dict(self.parameters)
        try:
            return sum(_product(term, values) for term in text.split("+"))
        except (UserError, ZeroDivisionError) as error:
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
    Raises UserError naming an unknown workload, preset, parameter or key, with the nearest one.
    """
    known = names(folder)
    if name not in known:
        raise UserError(f"there is no workload '{name}'{nearest(name, known)}")
    data = read(name, folder)
    parameters = {key: item["default"] for key, item in data["parameters"].items()}
    if preset not in data["presets"]:
        hint = nearest(preset, data["presets"])
        raise UserError(f"workload '{name}' has no preset '{preset}'{hint}")
    limit = (data.get("memcg") or {}).get("limit")
    for source in (data["presets"][preset], overrides or {}):
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
        program=data["program"],
        parameters=tuple(
            (key, _text(item)) for key, item in parameters.items() if item is not None
        ),
        memcg_limit=None if not limit or str(limit) in _NO_LIMIT else str(limit),
        sample_interval_ms=int(data.get("sample_interval_ms", 1000)),
        data=data,
    )
    _check_sizes(made)
    return made


def read(name: str, folder: Path) -> dict[str, Any]:
    """The workload.yaml of ``folder / name`` with ``parameters`` and ``metrics`` on top.

    Raises UserError naming the file and what is wrong with it.
    """
    path = folder / name / "workload.yaml"
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    check_keys(path, data)
    path = path.with_name(DESCRIBED)
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        data |= {key: described[key] for key in ("parameters", "metrics")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} is not what the workload's program prints; "
            "write it with: make -C workloads describe"
        ) from error
    for key in ("primary", "primary_waiting_io"):
        if data.get(key) is not None and data[key] not in data["metrics"]:
            raise UserError(
                f"workloads/{name}/workload.yaml: '{key}' is '{data[key]}', which is no metric of "
                f"its program{nearest(str(data[key]), data['metrics'])}"
            )
    return data


def skip_reason(
    made: Workload,
    *,
    backend: str,
    config: Mapping[str, str] | None = None,
    memory: int = 0,
    command: str = "compare",
) -> str | None:
    """Why ``made`` cannot run there, as one clause; None if it can.

    ``backend`` is the kind of the back-end (``zswap``); ``config`` the kernel's options
    (``{"CONFIG_ZSWAP": "y"}``) if they are known, ``memory`` the guest's bytes, 0 if unknown.
    ``command`` is the harness's command that would run it.
    """
    requires = made.data.get("requires") or {}
    if requires.get("command", command) != command:
        return f"it is run by the command '{requires['command']}', not as part of a comparison"
    backends = requires.get("backends")
    if backends and backend not in backends:
        return f"it needs the back-end {' or '.join(backends)}, not {backend}"
    if config is not None:
        for option in requires.get("kernel") or ():
            if config.get(option) not in {"y", "m"}:
                return f"the kernel is built without {option}"
    if memory and made.ram > memory:
        return f"it wants {made.ram >> 20} MiB of memory, and the guest has {memory >> 20} MiB"
    return None


def _check_sizes(made: Workload) -> None:
    """What the guest would find wrong with a size only after it has booted."""
    for key, value in made.parameters:
        if made.data["parameters"][key].get("unit") == "B":
            try:
                parse_size(value)
            except UserError as error:
                raise UserError(f"workload '{made.name}': parameter '{key}': {error}") from error
    _ = made.memory_max, made.ram


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)


def check_keys(path: Path, data: Any) -> None:
    """The keys of a workload.yaml.  Raises UserError naming the first that is wrong."""
    if not isinstance(data, dict):
        raise UserError(f"{path} is not a mapping of keys")
    missing = _REQUIRED - data.keys()
    unknown = data.keys() - _REQUIRED - _OPTIONAL
    if missing:
        raise UserError(f"{path}: key '{min(missing)}' is missing")
    if unknown:
        word = min(unknown)
        raise UserError(f"{path}: unknown key '{word}'{nearest(word, _REQUIRED | _OPTIONAL)}")
    for key in data.get("requires") or {}:
        if key not in _REQUIRES:
            raise UserError(f"{path}: unknown key '{key}' in requires{nearest(key, _REQUIRES)}")
    disk = (data.get("requires") or {}).get("disk", "host")
    if disk != "host":
        raise UserError(f"{path}: requires disk is '{disk}'; it can only be 'host', or be left out")
    _check_words(path, data)


def _check_words(path: Path, data: Any) -> None:
    """Lists of names that become paths, packages or patterns."""
    requires = data.get("requires") or {}
    for place, words, pattern, what in (
        ("requires packages", requires.get("packages"), _PACKAGE, "a package's name"),
        ("requires selftests", requires.get("selftests"), _SELFTEST, "a 'collection/program'"),
        ("outputs", data.get("outputs"), _OUTPUT, "a file's name"),
    ):
        for word in words or ():
            if not pattern.fullmatch(str(word)):
                raise UserError(f"{path}: '{word}' in {place} is not {what}")
    for word in data.get("expected_console") or ():
        try:
            re.compile(str(word))
        except re.error as error:
            raise UserError(
                f"{path}: '{word}' in expected_console is no regular expression: {error}"
            ) from error
