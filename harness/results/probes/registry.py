# SPDX-License-Identifier: GPL-2.0-only
"""Which parser reads which file."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.results.probes import (
    allocinfo,
    blockstat,
    generic,
    kthreads,
    lockstat,
    memcg,
    meminfo,
    mthp,
    pmu,
    psi,
    slabinfo,
    smaps,
    stat,
    swaps,
    vmallocinfo,
    vmstat,
    zoneinfo,
    zram,
    zswap,
)
from harness.results.probes.record import Parser, ProbeError, Record

# The first pattern that matches wins; "*" also matches "/".
PATTERNS: tuple[tuple[str, str, Parser], ...] = (
    ("/proc/vmstat", vmstat.NAME, vmstat.parse),
    ("/proc/meminfo", meminfo.NAME, meminfo.parse),
    ("/proc/slabinfo", slabinfo.NAME, slabinfo.parse),
    ("/proc/allocinfo", allocinfo.NAME, allocinfo.parse),
    ("/proc/vmallocinfo", vmallocinfo.NAME, vmallocinfo.parse),
    ("/proc/lock_stat", lockstat.NAME, lockstat.parse),
    ("/proc/zoneinfo", zoneinfo.NAME, zoneinfo.parse),
    ("/proc/pressure/*", psi.NAME, psi.parse),
    ("/proc/swaps", swaps.NAME, swaps.parse),
    ("/proc/stat", stat.NAME, stat.parse),
    ("/sys/kernel/debug/zswap/*", zswap.NAME, zswap.parse),
    ("/sys/module/zswap/parameters/*", zswap.NAME, zswap.parse),
    ("/sys/block/zram*/mm_stat", zram.NAME, zram.parse),
    ("/sys/block/zram*/io_stat", zram.NAME, zram.parse),
    ("/sys/block/zram*/bd_stat", zram.NAME, zram.parse),
    ("/sys/block/*/stat", blockstat.NAME, blockstat.parse),
    ("/sys/fs/cgroup/*/cgroup.pressure", memcg.NAME, memcg.parse),  # whether they are kept
    ("/sys/fs/cgroup/*.pressure", psi.NAME, psi.parse),
    ("/sys/fs/cgroup/*", memcg.NAME, memcg.parse),
    (
        "/sys/kernel/mm/transparent_hugepage/hugepages-*/stats/*",
        mthp.NAME,
        mthp.parse,
    ),
    ("kthreads", kthreads.NAME, kthreads.parse),
    ("pmu", pmu.NAME, pmu.parse),
    ("smaps", smaps.NAME, smaps.parse),
)


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """What a file gave: records, or its text as it is where nobody can read it."""

    probe: str
    records: tuple[Record, ...]
    raw: str | None = None


def find(path: str) -> tuple[str, Parser] | None:
    """Name and parser for a path as the sampler names it, or None if nobody knows it."""
    for pattern, name, parser in PATTERNS:
        if fnmatchcase(path, pattern):
            return name, parser
    return None


def parse(path: str, text: str) -> ProbeOutput:
    """Parse one file of a sample.

    Raises ProbeError when a known file has a line that does not parse: the caller notes the
    defect and goes on. An unknown file never raises, nor one that may hold words.
    """
    known = find(path)
    name, parser = known or (generic.NAME, generic.parse)
    try:
        return ProbeOutput(name, tuple(parser(text, path)))
    except ProbeError:
        if known is None or (name == memcg.NAME and memcg.may_be_words(path)):
            return ProbeOutput(name, (), text)
        raise
