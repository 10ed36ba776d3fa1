# SPDX-License-Identifier: GPL-2.0-only
"""The conditions that there are: their values, the kernels that have them, where they apply."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiment import backend
from harness.util import yamlfile
from harness.util.units import format_size
from harness.util.yamlfile import Model, Text

_FILE = Path(__file__).parent / "axes.yaml"


@dataclass(frozen=True, slots=True)
class Axis(Model):
    """One condition, as axes.yaml has it, which says what the keys are."""

    what: Text
    kernels: Text = ""
    values: Text = ""


@dataclass(frozen=True, slots=True)
class Axes(Model):
    """All of them by name: guest settings, settings of back-ends, files and sysctls."""

    guest: Mapping[str, Axis]
    settings: Mapping[str, Axis]
    files: Mapping[str, Axis]


def load() -> Axes:
    """The file.  UserError naming a key that is wrong."""
    return yamlfile.load(_FILE, Axes)


def listing(width: int = 100) -> str:
    """All conditions in lines of at most ``width``."""
    made = load()
    lines = ["For all back-ends (SET='KEY=VALUE ...', or guest: in a spec file):"]
    for name, axis in made.guest.items():
        lines += _item(name, axis, _values(name), "", width)
    lines += ["", "Of a back-end (BACKENDS=NAME:KEY=VALUE):"]
    for name, axis in made.settings.items():
        lines += _item(name, axis, _values(name), f"of {', '.join(_takers(name))}", width)
    lines += [
        "",
        "Any sysctl, and any file below /proc or /sys (SET=); below /sys/fs/cgroup/harness: of the",
        "workload's memcg.  Some of them:",
    ]
    for name, axis in made.files.items():
        lines += _item(name, axis, axis.values, "", width)
    lines += [
        "",
        "Any word of the kernel's command line (CMDLINE=).",
        "",
        "A value A+B is a cell for each.  What is set is read back, or refused.",
    ]
    return "\n".join(lines) + "\n"


def _item(name: str, axis: Axis, values: str, takers: str, width: int) -> Iterator[str]:
    versions = axis.kernels.replace(">=", "Linux ").replace(",", " and ")
    parts = [values, axis.what, takers, f"{versions} and later" if versions else ""]
    yield f"  {name}"
    yield from textwrap.wrap(
        "; ".join(filter(None, parts)), width, initial_indent=" " * 6, subsequent_indent=" " * 6
    )


def _takers(name: str) -> list[str]:
    return [one for one in backend.known() if name in backend.taken(one)]


def _values(name: str) -> str:
    declared = backend.declared(name)
    fragments = {one.get("fragment") for one in declared.get("needs", {}).values()} - {None}
    built = ", ".join(f"{name}.config" for name in sorted(fragments))
    text = _plain_values(declared)
    return f"{text} (builds kernels with {built})" if built else text


def _plain_values(declared: Mapping[str, Any]) -> str:
    takes = declared["takes"]
    if takes == "choice":
        return ", ".join(declared["choices"])
    if takes == "size":
        return f"{format_size(declared['min'])} to {format_size(declared['max'])}"
    if takes == "count":
        return f"{declared['min']} to {declared['max']}"
    return {"time": "a time like 80us or 8ms", "priorities": "priorities like 10-10-5"}[takes]
