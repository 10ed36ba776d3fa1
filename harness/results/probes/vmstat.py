# SPDX-License-Identifier: GPL-2.0-only
"""/proc/vmstat: `name value` lines; counters since boot and gauges in one list."""

from __future__ import annotations

from harness.results.probes.record import Record, Records, lines

NAME = "vmstat"

# vmstat_start() halves the sector counts of these two, and the stacks are counted in KiB.
_KIB = {"pgpgin", "pgpgout", "nr_kernel_stack", "nr_shadow_call_stack"}
_PAGES = (
    "nr_", "pswp", "zswp", "swpin", "swpout", "swap_ra", "pgsteal", "pgscan", "pgrefill",
    "pgalloc", "pgfree", "pgactivate", "pgdeactivate", "pglazyfree", "pgdemote", "pgpromote",
    "workingset_", "pgmigrate", "pgrotated",
)  # fmt: skip


def parse(text: str, path: str = "") -> Records:
    """Records with key "" and the kernel's names as fields."""
    for line in lines(NAME, text):
        words = line.text.split()
        if len(words) != 2:
            raise line.malformed()
        value = line.integer(words[1])
        scale, unit = (1024, "B") if words[0] in _KIB else (1, event_unit(words[0]))
        yield Record(NAME, "", words[0], value * scale, unit)


def event_unit(field: str) -> str:
    """ "pages" for what counts pages, else "count"; also right for memory.stat's events."""
    return "pages" if field.startswith(_PAGES) else "count"
