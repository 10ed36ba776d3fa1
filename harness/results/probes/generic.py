# SPDX-License-Identifier: GPL-2.0-only
"""Files that no parser knows: a single integer, or `name integer` lines."""

from __future__ import annotations

from harness.results.probes.record import ProbeError, Record, Records, lines

NAME = "generic"


def parse(text: str, path: str = "") -> Records:
    """Records keyed by path; field "value" for a single integer, else the line's name.

    Raises ProbeError where the file is neither; the registry then keeps its text as it is.
    """
    content = list(lines(NAME, text))
    if len(content) == 1 and len(content[0].text.split()) == 1:
        line = content[0]
        return (Record(NAME, path, "value", line.integer(line.text.strip()), ""),)
    records = []
    for line in content:
        words = line.text.replace(":", " ", 1).split()
        if len(words) != 2:
            raise line.malformed()
        records.append(Record(NAME, path, words[0], line.integer(words[1]), ""))
    if not records:
        raise ProbeError(f"{NAME}: {path} is empty")
    return tuple(records)
