# SPDX-License-Identifier: GPL-2.0-only
"""Writes a results folder of overhead boots whose bytes are known by construction.

No kernel ran.  A kernel is a list of sites, each a function of slots, entries and the most entries
so far; the files of each mark follow from them, so that allocinfo, slabinfo and meminfo agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.results import telemetry
from harness.util.units import parse_size

PAGE = 4096
TOTAL = 2 << 30
STEPS = 4


@dataclass(frozen=True)
class Site:
    """where: as in /proc/allocinfo; cache: its slab cache, with the object's size
    area: the vmalloc caller that shows it; bytes: of (slots, entries, touched)
    static: bytes that are there before swapon
    """

    where: str
    bytes: Callable[[int, int, int], float]
    cache: str = ""
    object: int = 0
    area: str = ""
    static: int = 0


@dataclass(frozen=True)
class Kernel:
    """has_allocinfo: False writes none, as 6.1 does."""

    sites: Sequence[Site]
    release: str = "6.19.0"
    has_allocinfo: bool = True


def per(slot: float = 0.0, entry: float = 0.0) -> Callable[[int, int, int], float]:
    """So many bytes a slot and an entry."""
    return lambda slots, entries, touched: slot * slots + entry * entries


SWAPON = "mm/swapfile.c:{} func:__do_sys_swapon"
PROCESS = Site("mm/memory.c:1065 func:folio_prealloc", lambda s, e, t: 64 << 20)
CGROUP = "mm/swap_cgroup.c:140 func:swap_cgroup_swapon"
NODES = "lib/xarray.c:376 func:xas_alloc"
ENTRY = Site(
    "mm/zswap.c:785 func:zswap_entry_cache_alloc", per(entry=56), cache="zswap_entry", object=56
)
OLD = Kernel(
    [
        Site(SWAPON.format(3502), per(slot=1), area="__x64_sys_swapon"),
        Site(SWAPON.format(3520), per(slot=1 / 8)),
        Site(CGROUP, per(slot=2), area="swap_cgroup_swapon"),
        Site("mm/swapfile.c:443 func:swap_table_alloc", per(entry=8)),
        Site(NODES, per(entry=8), static=1 << 20),
        ENTRY,
        Site("mm/zsmalloc.c:310 func:alloc_zpdesc", per(entry=1024)),
        PROCESS,
    ]
)
NEW = Kernel(
    [
        Site(SWAPON.format(2844), lambda s, e, t: 0),
        Site(SWAPON.format(2850), lambda s, e, t: 0),
        Site("mm/vswap.c:397 func:vswap_alloc", per(entry=24.125)),
        ENTRY,
        Site("mm/zsmalloc.c:310 func:alloc_zpdesc", per(entry=1024)),
        PROCESS,
    ]
)


@dataclass(frozen=True)
class Fake:
    """sizes: of the swap area, each a cell; kernels: by arm; noise: (size, pair, arm) -> bytes that
    the first site has more; residual: bytes used that no file names, once anything is in swap
    leak: share of the entries' bytes that stays after exit
    counts_zero: the mark before the first step has a metric, too
    fill: memory that is swapped out; "": as much as the area holds
    alone: there is no swap area; the one size is that of the pages
    warm: the files are read once before the first mark; skew: bytes that a CPU takes of the free
    pages between the reads of meminfo and zoneinfo, at every second mark
    """

    kernels: Mapping[str, Kernel] = field(default_factory=lambda: {"base": OLD, "patch": NEW})
    sizes: Sequence[str] = ("512M", "1G")
    kind: str = "zswap"
    pairs: int = 2
    noise: Callable[[str, int, str], float] = lambda size, pair, arm: 0.0
    residual: int = 0
    leak: float = 0.0
    fragment: bool = True
    counts_zero: bool = False
    fill: str = ""
    alone: bool = False
    warm: bool = False
    skew: int = 0
    manifest: Mapping[str, Any] = field(default_factory=dict)


def write(root: Path, fake: Fake | None = None) -> Path:
    """The results folder root/demo."""
    fake = fake or Fake()
    results = root / "demo"
    for size in fake.sizes:
        for pair in range(fake.pairs):
            for arm in fake.kernels:
                _boot(results, fake, size, pair, arm)
    (results / "manifest.json").write_text(json.dumps({**_manifest(fake), **fake.manifest}))
    return results


def slots_of(size: str) -> int:
    """Usable slots of a swap area."""
    return parse_size(size) // PAGE - 1


def _boot(results: Path, fake: Fake, size: str, pair: int, arm: str) -> None:
    label = fake.kind if fake.alone else f"{fake.kind}-{size}"
    cell = f"{label}.overhead"
    folder = results / "boots" / cell / f"{pair:02d}-{arm}"
    folder.mkdir(parents=True)
    kernel = fake.kernels[arm]
    facts = {
        "schema": 1, "cell": cell, "backend": label, "backend_kind": fake.kind,
        "backend_settings": {"size": parse_size(size)}, "workload": "overhead", "arm": arm,
        "pair": pair, "position": int(arm == "patch"), "outcome": "ok", "detail": "",
        "clock": "insn", "accel": "tcg", "kernel_release": kernel.release,
        "wall_s": {"boot": 3.0}, "started": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    (folder / "boot.json").write_text(json.dumps(facts))
    pages = parse_size(fake.fill) // PAGE if fake.fill else slots_of(size)
    steps = [pages * step // STEPS for step in range(STEPS + 1)]
    items: list[dict[str, Any]] = [{"type": "param", "name": "size", "value": 1, "unit": "B"}]
    slots = 0 if fake.alone else slots_of(size)
    items.append({"type": "metric", "name": "slots", "value": slots, "unit": "pages"})
    items += [
        {"type": "metric", "name": "swapped_pages", "round": n, "value": pages, "unit": "pages"}
        for n, pages in enumerate(steps[0 if fake.counts_zero else 1 :], 1)
    ]
    items.append({"type": "done"})
    (folder / "workload.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    more = fake.noise(size, pair, arm)
    stream = b"".join(
        _sample(seq, mark, kernel, numbers, fake, more)
        for seq, (mark, numbers) in enumerate(_marks(size, steps, fake))
    )
    (folder / "samples.raw.gz").write_bytes(telemetry.pack(stream))


def _marks(
    size: str, steps: Sequence[int], fake: Fake
) -> list[tuple[str, tuple[int, float, int, bool]]]:
    """Each mark with slots, entries, the most entries so far, and whether the area is on."""
    slots, top = 0 if fake.alone else slots_of(size), steps[-1]
    # What a mark's name says is less exact than the metric.
    filled = [(f"filled:{pages // 100 * 100}", (slots, pages, pages, True)) for pages in steps]
    thinned = [("fragmented", top // 2), ("sparse", top // 512)] if fake.fragment else []
    kept = fake.leak * top
    warm = [("warm-up", (0, 0, 0, False))] if fake.warm else []
    return [
        *warm,
        ("before", (0, 0, 0, False)),
        ("swapon", (slots, 0, 0, True)),
        *filled,
        *((f"{name}:{left}", (slots, left, top, True)) for name, left in thinned),
        ("exited", (slots, kept, top, True)),
        ("swapoff", (0, kept, top, False)),
    ]


def _sample(
    seq: int,
    mark: str,
    kernel: Kernel,
    numbers: tuple[int, float, int, bool],
    fake: Fake,
    more: float,
) -> bytes:
    slots, entries, touched, is_on = numbers
    sizes = [site.static + round(site.bytes(slots, int(entries), touched)) for site in kernel.sites]
    sizes[0] += round(more) if is_on else 0
    slab = sum(n for site, n in zip(kernel.sites, sizes, strict=True) if site.cache)
    pages = -(-slab // PAGE) * PAGE
    used = (100 << 20) + sum(sizes) - slab + pages + (fake.residual if touched else 0)
    files = {
        "/proc/meminfo": f"MemTotal: {TOTAL // 1024} kB\nMemFree: {(TOTAL - used) / 1024:.0f} kB\n"
        f"Slab: {pages // 1024} kB\nPageTables: 800 kB\n",
        "/proc/vmstat": f"nr_free_pages 5\nnr_zspages {int(entries) // 4}\n",
        "/proc/slabinfo": _slabinfo(kernel, sizes),
        "/proc/vmallocinfo": _vmallocinfo(kernel, sizes),
        "/proc/zoneinfo": _zoneinfo(TOTAL - used, fake.skew * (seq % 2)),
        "/proc/swaps": "Filename Type Size Used Priority\n",
    }
    if kernel.has_allocinfo:
        lines = [f"{n} 1 {site.where}" for site, n in zip(kernel.sites, sizes, strict=True)]
        lines.append(f"{pages} 1 mm/slub.c:2478 func:alloc_slab_page")
        files["/proc/allocinfo"] = "allocinfo - version: 1.0\n" + "\n".join(lines) + "\n"
    stream = f"@sample {seq} {seq * 1000} mark:{mark}\n"
    for path, text in files.items():
        stream += f"@file {path} {len(text)}\n{text}\n"
    return (stream + f"@end {seq} {seq * 1000 + 500} {seq * 60}\n").encode()


def _slabinfo(kernel: Kernel, sizes: Sequence[int]) -> str:
    lines = ["slabinfo - version: 2.1", "# name"]
    for site, size in zip(kernel.sites, sizes, strict=True):
        if site.cache:
            count = size // site.object
            lines.append(
                f"{site.cache} {count} {count} {site.object} 73 1 : tunables 0 0 0 : "
                f"slabdata {count // 73} {count // 73} 0"
            )
    return "\n".join(lines) + "\n"


def _zoneinfo(free: int, parked: int) -> str:
    return (
        f"Node 0, zone   Normal\n  pages free     {(free - parked) // PAGE}\n        min      1\n"
        f"  pagesets\n    cpu: 0\n              count:    {parked // PAGE}\n"
    )


def _vmallocinfo(kernel: Kernel, sizes: Sequence[int]) -> str:
    lines = [
        f"0x{i:x}000-0x{i + 1:x}000 {size // PAGE * PAGE + PAGE} {site.area}+0x1/0x10 "
        f"pages={size // PAGE} vmalloc"
        for i, (site, size) in enumerate(zip(kernel.sites, sizes, strict=True), 1)
        if site.area and size >= PAGE
    ]
    return "\n".join(lines) + "\n"


def _manifest(fake: Fake) -> dict[str, Any]:
    series = {"name": "vswap-v3", "title": "Virtual Swap Space", "patches": []}
    return {
        "schema": 1, "name": "demo", "clock": "insn", "accel": "tcg",
        "command": "make overhead BASE=v6.19 PATCH=vswap-v3",
        "arms": {
            "base": {"name": "v6.19", "version": "6.19.0", "series": None},
            "patch": {"name": "vswap-v3", "version": "6.19.0", "series": series},
        },
        "pairs": fake.pairs,
    }  # fmt: skip
