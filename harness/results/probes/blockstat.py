# SPDX-License-Identifier: GPL-2.0-only
"""/sys/block/<device>/stat: requests, merges, sectors and time of a block device.

Column names: Documentation/block/stat.rst; a sector is 512 bytes whatever the device.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.record import Record, columns, lines, malformed

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


def parse(text: str, path: str = "") -> tuple[Record, ...]:
    """Records keyed by device ("vdb")."""
    content = list(lines(text))
    if len(content) != 1 or len(content[0][1].split()) < _OLDEST:
        raise malformed(NAME, 1, text)
    return columns(NAME, PurePosixPath(path).parent.name, content[0], _COLUMNS)
