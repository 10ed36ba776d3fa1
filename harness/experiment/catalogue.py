# SPDX-License-Identifier: GPL-2.0-only
"""The workloads' folders: list them, check each, write a new one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.experiment import cell, suite, workload
from harness.util import atomic
from harness.util.errors import UserError

_SKELETON = "skeleton"
_PRESETS = {"quick", "standard", "full"}
_MARGIN = re.compile(r"\d+(\.\d+)?%")


def check(*, folder: Path = workload.FOLDER) -> tuple[str, ...]:
    """What is wrong with the workloads in ``folder``, a sentence each.

    That each described.json is what the program prints is checked where the programs are built.
    """
    return tuple(
        f"workloads/{name}: {text}"
        for name in workload.names(folder)
        for text in _described(name, folder)
    )


def listing(*, folder: Path = workload.FOLDER, width: int = 100) -> str:
    """The workloads and suites with what they need and print, lines of at most ``width``."""
    names = workload.names(folder)
    suites = suite.names(folder / "suites")
    margin = max(len(name) for name in [*names, *suites, ""]) + 2
    lines = ["Workloads:"]
    for name in names:
        made = workload.load(name, folder=folder)
        lines += _item(name, _facts(made), margin, width)
    lines += ["", "Suites:"]
    for name in suites:
        made_suite = suite.load(name, folder=folder / "suites")
        text = f"{made_suite.description} {len(made_suite.cells)} cells."
        lines += _item(name, [text], margin, width)
    return "\n".join(lines) + "\n"


def _facts(made: workload.Workload) -> list[str]:
    definition = made.definition
    requires = definition.requires
    needs = [f"back-end {' or '.join(requires.backends)}"] if requires.backends else []
    needs += [f"the command '{requires.command}'"] if requires.command else []
    needs += [f"{made.ram >> 20} MiB of memory"] if made.ram else []
    primary = definition.primary or "none, its outcome counts"
    changed = [f"--{key}={value}" for key, value in (definition.presets["quick"] or {}).items()]
    return [
        definition.description,
        f"primary metric: {primary}; needs: {', '.join(needs) or 'nothing'}",
        f"quick: {' '.join([made.program, *changed])}",
        *(f"known to fail: {one.sentence}" for one in definition.known_failures),
    ]


def _item(name: str, texts: Sequence[str], margin: int, width: int) -> list[str]:
    """A name and what is said of it, beside it."""
    blank = " " * (margin + 2)
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(
            text, width, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False
        )
    ]
    return [f"  {name}".ljust(len(blank)) + lines[0][len(blank) :], *lines[1:]]


def new(name: str, *, folder: Path = workload.FOLDER) -> tuple[Path, ...]:
    """Write a workload ``name`` that builds, runs and passes `check`; returns its files.

    Its described.json is the skeleton's: ``make -C workloads describe`` writes its own.

    Raises UserError for a name that no program can have, or that is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in {"common", "suites", _SKELETON}:
        raise UserError(
            f"'{name}' cannot name a workload; use lower-case letters, digits and '-', e.g. 'evict'"
        )
    if (folder / name).exists():
        raise UserError(f"there is a workloads/{name} already; choose another name")
    made = []
    for old, target in (
        (f"{_SKELETON}.c", f"{name}.c"),
        (f"{_SKELETON}.yaml", "workload.yaml"),
        (workload.DESCRIBED, workload.DESCRIBED),
    ):
        text = (folder / _SKELETON / old).read_text(encoding="utf-8")
        lines = [
            line
            for line in text.splitlines()
            if not line.startswith("# ") or line.startswith("# SPDX-")
        ]
        text = "\n".join(lines).replace(_SKELETON, name) + "\n"
        (folder / name).mkdir(exist_ok=True)
        atomic.text(folder / name / target, text)
        made.append(folder / name / target)
    return tuple(made)


def _described(name: str, folder: Path) -> Iterator[str]:
    """What the file itself has wrong."""
    try:
        data = workload.read(name, folder)
    except UserError as error:
        yield str(error)
        return
    if data["name"] != name:
        yield f"its 'name' is '{data['name']}', not that of the folder"
    if not (folder / name / f"{data['program']}.c").is_file():
        yield f"there is no {data['program']}.c for its 'program'"
    if "\n" in str(data["description"]).strip():
        yield "its 'description' is more than one line"
    if not _MARGIN.fullmatch(str(data.get("margin"))):
        yield f"its 'margin' is '{data.get('margin')}', not a percentage such as 1%"
    if set(data["presets"]) != _PRESETS:
        yield f"its presets must be {', '.join(sorted(_PRESETS))}"
    for preset in data["presets"]:
        try:
            workload.load(name, preset=preset, folder=folder)
        except UserError as error:
            yield f"preset '{preset}': {error}"
    for number, known in enumerate(data.get("known_failures") or (), 1):
        try:
            cell.matrix(backends=known.get("backends") or (), workloads=())
        except UserError as error:
            yield f"known_failures, entry {number}: {error}"
