# SPDX-License-Identifier: GPL-2.0-only
"""Pressure stall information: /proc/pressure/* and a cgroup's *.pressure."""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.cgroup import group
from harness.results.probes.record import Number, Record, Records, lines

NAME = "psi"


def parse(text: str, path: str = "") -> Records:
    """Records keyed by resource ("memory"), or "<cgroup>/memory" for a cgroup's file.

    Fields are "some.avg10" (%) to "full.total" (us of stall since boot).
    """
    key = _key(PurePosixPath(path))
    for line in lines(NAME, text):
        kind, *words = line.text.split()
        for word in words:
            name, equals, text_value = word.partition("=")
            if kind not in ("some", "full") or not equals:
                raise line.malformed()
            value: Number
            if name == "total":
                value, unit = line.integer(text_value), "us"
            else:
                value, unit = line.decimal(text_value), "%"
            yield Record(NAME, key, f"{kind}.{name}", value, unit)
        if not words:
            raise line.malformed()


def _key(path: PurePosixPath) -> str:
    if path.suffix != ".pressure":
        return path.name
    return f"{group(path)}/{path.stem}"
