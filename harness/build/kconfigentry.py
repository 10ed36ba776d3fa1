# SPDX-License-Identifier: GPL-2.0-only
"""The entries of a Kconfig file: where a symbol begins and ends, without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN = re.compile(r"\s*(?:menu)?config\s+(\w+)\s*$")
# Not indented: that one goes on with the line before it.
_IF = re.compile(r"if\s+(.+?)\s*$")
# What ends an entry without beginning another one.
_END = re.compile(r"\s*(menu|comment|choice|endmenu|endchoice|source|endif)\b")
_HELP = re.compile(r"\s*(---)?help(---)?\s*$")


@dataclass(frozen=True, slots=True)
class KconfigEntry:
    """One definition of a symbol.

    name: without CONFIG_; line: its number, from 1
    body: its lines behind the first one, without the help text
    blocks: the conditions of the ``if`` blocks around it, the outermost first
    """

    name: str
    line: int
    body: tuple[str, ...]
    blocks: tuple[str, ...]


def entries(text: str) -> Iterator[KconfigEntry]:
    """Each definition in a Kconfig file, in order; one symbol may have several."""
    blocks: list[str] = []
    name, begun, body = "", 0, list[str]()
    for number, line in _lines(text):
        found, condition = _BEGIN.match(line), _IF.match(line)
        if not (found or condition or _END.match(line)):
            body.append(line)
            continue
        if name:
            yield KconfigEntry(name, begun, tuple(body), tuple(blocks))
        name, begun, body = found[1] if found else "", number, []
        if condition:
            blocks.append(condition[1])
        elif line.split()[0] == "endif":
            del blocks[-1:]
    if name:
        yield KconfigEntry(name, begun, tuple(body), tuple(blocks))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, but for those of help texts, which may look like anything.

    As in Kconfig, a help text ends where a line is indented less than its first one.
    """
    level: int | None = None
    is_help = False
    for number, line in enumerate(text.splitlines(), 1):
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if is_help and not line.strip():
            continue
        if is_help and indent and indent >= (level or 0):
            level = indent if level is None else level
            continue
        is_help, level = _HELP.match(line) is not None, None
        if not is_help:
            yield number, line
