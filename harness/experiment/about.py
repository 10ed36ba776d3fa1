# SPDX-License-Identifier: GPL-2.0-only
"""What is said of a program of the user's own: where it is named, or in a YAML file beside it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from harness.experiment.workload import FOLDER, Package, Requires, SizeText
from harness.util import yamlfile
from harness.util.yamlfile import (
    Check,
    Count,
    Items,
    Model,
    Regex,
    Wanted,
    at_least,
    matching,
    one_of,
    words,
)

RUNNER = FOLDER / "runner"
"""The folder of the workload that runs such programs."""
_PRINTS = RUNNER / "prints.yaml"


def _one_group(value: str) -> str:
    if re.compile(value).groups != 1:
        raise Wanted("a regular expression with one group, which is the number")
    return value


@dataclass(frozen=True, slots=True)
class Printed(Model):
    """A number that the program prints.

    match: finds it in the output, its one group; "": lines ``NAME VALUE`` or ``NAME VALUE UNIT``
    """

    match: Annotated[Regex, Check(_one_group)] = ""
    unit: str = ""
    better: Annotated[str, one_of(("lower", "higher"))] = "lower"
    description: str = ""


_Words = Annotated[str, matching(r"[^\t\n]{1,200}", "a part of a line that it prints")]


_Name = Annotated[str, matching(r"[a-z][a-z0-9_]{0,30}", "a name like swapin_time")]


@dataclass(frozen=True, slots=True)
class ToldPhase(Model):
    """A phase that the program tells: parts of the lines that begin and end it."""

    begin: _Words
    end: _Words


@dataclass(frozen=True, slots=True)
class _Known(Model):
    """An entry of prints.yaml."""

    where: str
    metrics: Mapping[str, Printed]


@dataclass(frozen=True, slots=True)
class Expect(Model):
    """What counts as a failure of it.

    console: patterns of console lines; status: exit statuses, as the runner's option ``fails``
    has them; "" if nothing is said; progress: seconds that may pass without progress, 0: any
    """

    console: Items[Regex] = ()
    status: Annotated[
        str, matching(r"none|nonzero|\d{1,3}(,\d{1,3})*", "none, nonzero, or statuses like 1,139")
    ] = ""
    progress: Count = 0


def _expect(value: Any) -> Any:
    """``console=WORD status=1,139 progress=5s`` as a mapping."""
    if isinstance(value, Expect):
        return value
    if isinstance(value, str):
        made: dict[str, Any] = {}
        try:
            parts = shlex.split(value)
        except ValueError as error:
            raise Wanted(f"words like console=deadlock ({error})") from error
        for part in parts:
            key, sign, text = part.partition("=")
            if not sign or key not in ("console", "status", "progress") or not text:
                raise Wanted(
                    "console=PATTERN, status=NUMBERS and progress=SECONDS, each a failure; a "
                    f"pattern with blanks in quotes; '{part}' is none of them"
                )
            if key == "console":
                made.setdefault(key, []).append(text)
            else:
                made[key] = text
        value = made
    if isinstance(value, dict):
        value = dict(value)
        if isinstance(value.get("console"), str):
            value["console"] = [value["console"]]
        if isinstance(value.get("status"), int):
            value["status"] = str(value["status"])
        if isinstance(value.get("progress"), str):
            value["progress"] = _seconds(value["progress"])
    return value


def _seconds(value: Any) -> Any:
    """``5`` and ``5s``."""
    match = re.fullmatch(r"(\d{1,6})s?", value) if isinstance(value, str) else None
    return int(match[1]) if match else value


_Seconds = Annotated[int, at_least(1, 86400), Check(_seconds, first=True)]
_Packages = Annotated[tuple[Package, ...], Check(words, first=True)]


@dataclass(frozen=True, slots=True)
class About(Model):
    """What is said of a program, beside it or where it is named; "" and 0 for nothing.

    cflags: on top, when C files are compiled; run: the command line that runs it in its folder
    memcg: its limit; timeout: seconds of the guest's clock after which it is ended
    phases: by name, those that it tells; each is a metric, too
    primary: the metric that gets the verdict, "none" for its outcome alone
    """

    description: str = ""
    name: str = ""
    command: str = ""
    cflags: str = ""
    run: str = ""
    memcg: SizeText = ""
    timeout: _Seconds = 10
    expect: Annotated[Expect, Check(_expect, first=True)] = Expect()
    packages: _Packages = ()
    metrics: Annotated[
        Mapping[_Name, Printed],
        Check(lambda v: {k: {} if o is None else o for k, o in v.items()}, first=True),
    ] = field(default_factory=dict)
    phases: Mapping[
        Annotated[str, matching(r"[a-z][a-z0-9_]{0,30}", "a name like fill")], ToldPhase
    ] = field(default_factory=dict)
    primary: str = ""
    margin: Annotated[str, matching(r"\d+(\.\d+)?%", "a percentage such as 1%")] = "1%"
    requires: Requires = field(default_factory=Requires)


def known_prints(command: str) -> Mapping[str, Printed]:
    """The numbers that a command line prints of which it is known; none of most."""
    words = command.split()
    for name, data in yamlfile.read(_PRINTS).items():
        known = yamlfile.check(data, _Known, f"{_PRINTS}: {name}")
        there = any(word.rpartition("/")[2] == name for word in words)
        if there and any(word.startswith(known.where) for word in words):
            return known.metrics
    return {}
