# SPDX-License-Identifier: GPL-2.0-only
"""zram devices: /sys/block/zram*/{mm_stat,io_stat,bd_stat}.

Column names: Documentation/admin-guide/blockdev/zram.rst.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from harness.results.probes.record import Records, only_line

NAME = "zram"

_COLUMNS = {
    "mm_stat": (
        ("orig_data_size", "B"),
        ("compr_data_size", "B"),
        ("mem_used_total", "B"),
        ("mem_limit", "B"),
        ("mem_used_max", "B"),
        ("same_pages", "pages"),
        ("pages_compacted", "pages"),
        ("huge_pages", "pages"),
        ("huge_pages_since", "pages"),
    ),
    "io_stat": (
        ("failed_reads", "count"),
        ("failed_writes", "count"),
        ("invalid_io", "count"),
        ("notify_free", "count"),
    ),
    "bd_stat": (("bd_count", "pages"), ("bd_reads", "pages"), ("bd_writes", "pages")),
}


def parse(text: str, path: str = "") -> Records:
    """Records keyed by device ("zram0"); columns that this list does not know are field_N."""
    where = PurePosixPath(path)
    line = only_line(NAME, text)
    return line.columns(where.parent.name, line.text, _COLUMNS.get(where.name, ()))
