# SPDX-License-Identifier: GPL-2.0-only
"""/sys/block/<device>/stat: requests, merges, sectors and time of a block device.

Column names: Documentation/block/stat.rst; a sector is 512 bytes whatever the device.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.record import Records, only_line

NAME = "blockstat"

_OLDEST = 11
_COLUMNS = (
    ("read_ios", "count"), ("read_merges", "count"), ("read_sectors", "sectors"),
    ("read_ticks", "ms"),
    ("write_ios", "count"), ("write_merges", "count"), ("write_sectors", "sectors"),
    ("write_ticks", "ms"),
    ("in_flight", "count"), ("io_ticks", "ms"), ("time_in_queue", "ms"),
    ("discard_ios", "count"), ("discard_merges", "count"), ("discard_sectors", "sectors"),
    ("discard_ticks", "ms"),
    ("flush_ios", "count"), ("flush_ticks", "ms"),
)  # fmt: skip


def parse(text: str, path: str = "") -> Records:
    """Records keyed by device ("vdb")."""
    line = only_line(NAME, text)
    if len(line.text.split()) < _OLDEST:
        raise line.malformed()
    return line.columns(PurePosixPath(path).parent.name, line.text, _COLUMNS)
