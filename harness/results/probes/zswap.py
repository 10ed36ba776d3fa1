# SPDX-License-Identifier: GPL-2.0-only
"""zswap: /sys/kernel/debug/zswap/* and /sys/module/zswap/parameters/*, one value a file."""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.record import SWITCH, Record, Records, only_line

NAME = "zswap"

_UNITS = {"pool_total_size": "B", "stored_pages": "pages", "same_filled_pages": "pages"}
_PARAMETER_UNITS = {"max_pool_percent": "%", "accept_threshold_percent": "%"}


def parse(text: str, path: str = "") -> Records:
    """One record with key ""; the field is the file's name, "param.<name>" for a parameter.

    Y and N are 1 and 0; a word, such as a compressor's name, becomes "param.compressor.lz4" = 1.
    """
    where = PurePosixPath(path)
    parameter = where.parent.name == "parameters"
    line = only_line(NAME, text)
    word = line.text.strip()
    if len(word.split()) != 1:
        raise line.malformed()
    field = f"param.{where.name}" if parameter else where.name
    if parameter and word in SWITCH:
        return (Record(NAME, "", field, SWITCH[word], "flag"),)
    if parameter and not word.lstrip("-").isdigit():
        return (Record(NAME, "", f"{field}.{word}", 1, "flag"),)
    value = line.integer(word)
    unit = _PARAMETER_UNITS.get(where.name, "") if parameter else _UNITS.get(where.name, "count")
    return (Record(NAME, "", field, value, unit),)
