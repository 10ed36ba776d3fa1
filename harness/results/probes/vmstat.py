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
    "workingset_", "pgmigrate", "pgrotated", "pgskip", "pginodesteal", "kswapd_inodesteal",
    "numa_pages_migrated", "compact_migrate_scanned", "compact_free_scanned", "compact_isolated",
    "compact_daemon_migrate_scanned", "compact_daemon_free_scanned", "unevictable_pgs_",
    "balloon_",
)  # fmt: skip
# Named like those, and counting something else: flushes, pins, nodes of a tree, tasks that waited.
_NO_PAGES = ("nr_tlb_", "nr_foll_pin_", "workingset_node", "pgscan_direct_throttle")
# Huge pages, of 512 pages each on x86-64: vmstat_item_print_in_thp().
_HUGE = ("_hugepages", "_pmdmapped")


def parse(text: str, path: str = "") -> Records:
    """Records with key "" and the kernel's names as fields."""
    for line in lines(NAME, text):
        words = line.text.split()
        if len(words) != 2:
            raise line.malformed()
        value, unit = measured(words[0], line.integer(words[1]))
        yield Record(NAME, "", words[0], value, unit)


def measured(field: str, value: int) -> tuple[int, str]:
    """A number of this file, or of /proc/zoneinfo, in the unit beside it."""
    return (value * 1024, "B") if field in _KIB else (value, event_unit(field))


def event_unit(field: str) -> str:
    """ "pages" for what counts pages, else "count"; also right for memory.stat's events."""
    is_other = field.startswith(_NO_PAGES) or field.endswith(_HUGE)
    return "pages" if field.startswith(_PAGES) and not is_other else "count"
