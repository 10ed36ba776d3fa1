# SPDX-License-Identifier: GPL-2.0-only
"""``SCHEDULER=``: who runs the guests of a comparison that this machine does not run itself.

``tcp://HOST:PORT`` and ``tls://HOST:PORT`` are a Dask scheduler that runs already; ``ssh:FILE``
and ``slurm:KEY=VALUE,...`` have one started here, with workers on the hosts of a list or in jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.util.errors import UserError
from harness.util.yamlfile import near, nearest

_KINDS = ("tcp://HOST:PORT", "tls://HOST:PORT", "ssh:FILE", "slurm:partition=NAME")
_DEFAULTS = {
    "partition": "", "account": "", "jobs": "1", "cpus": "1", "memory": "2G", "time": "04:00:00",
}  # fmt: skip
_FORMS = {
    "jobs": (r"[1-9]\d{0,3}", "a number of jobs"),
    "cpus": (r"[1-9]\d{0,3}", "a number of guests side by side in one job"),
    "memory": (r"[1-9]\d*[KMGT]", "a size like 2G, for each guest"),
    "time": (r"(\d+-)?\d+(:\d\d){0,2}", "a time like 04:00:00"),
}


@dataclass(frozen=True, slots=True)
class ListedHost:
    """One host of a list.  guests: side by side there, None for one a CPU."""

    name: str
    guests: int | None = None


@dataclass(frozen=True, slots=True)
class SchedulerRequest:
    """What SCHEDULER= asks for.

    kind: "tcp", "tls", "ssh" or "slurm"; address: that of the first two; hosts: the file of the
    third; options: of the fourth, all of them
    """

    kind: str
    address: str = ""
    hosts: Path = Path()
    options: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> SchedulerRequest:
    """What a text asks for.  ValueError says what is wrong with it."""
    kind, colon, rest = text.partition(":")
    if kind in ("tcp", "tls"):
        if not re.fullmatch(r"//[^/\s]+:\d{1,5}", rest):
            raise ValueError(f"'{text}' is no address like {kind}://HOST:8786")
        return SchedulerRequest(kind, address=text)
    if kind == "ssh":
        if not rest:
            raise ValueError("ssh: needs a file with a host in each line, ssh:hosts.txt")
        return SchedulerRequest(kind, hosts=Path(rest).expanduser())
    if kind == "slurm":
        return SchedulerRequest(kind, options=_options(rest if colon else ""))
    known = [one.partition(":")[0] for one in _KINDS]
    raise ValueError(f"'{text}' must begin like {', '.join(_KINDS)}{near(kind, known)}")


def checked(value: Any) -> Any:
    """For a `Check`: the text as it is, if it can be read."""
    if isinstance(value, str):
        parse(value)
    return value


def _options(text: str) -> dict[str, str]:
    found = dict(_DEFAULTS)
    for word in filter(None, text.split(",")):
        key, equals, value = word.partition("=")
        if key not in found:
            raise ValueError(f"slurm: '{key}' is no option of it{nearest(key, found)}")
        form, what = _FORMS.get(key, (r"[A-Za-z0-9._-]+", "a name"))
        if not equals or not re.fullmatch(form, value):
            raise ValueError(f"slurm: '{word}' must be {key}= and {what}")
        found[key] = value
    return found


def hosts(path: Path) -> tuple[ListedHost, ...]:
    """The hosts of a list: a name in each line, and how many guests if not one a CPU.

    UserError naming file and line for one that cannot be read, and for a file without any.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"SCHEDULER: '{path}' is no list of hosts: {error}") from error
    found = tuple(_hosts(path, text))
    if not found:
        raise UserError(f"SCHEDULER: '{path}' names no host: write one in each line")
    return found


def _hosts(path: Path, text: str) -> Iterator[ListedHost]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        # An option of ssh would be one if it stood there.
        name = re.fullmatch(r"[A-Za-z0-9_][\w.@:-]*", words[0])
        count = re.fullmatch(r"[1-9]\d{0,3}", words[1]) if len(words) > 1 else None
        if not name or len(words) > 2 or (len(words) == 2 and not count):
            raise UserError(
                f"{path}:{number}: '{line.strip()}' must be a host, or a host and its number of "
                "guests side by side"
            )
        yield ListedHost(words[0], int(words[1]) if count else None)
