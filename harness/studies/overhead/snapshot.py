# SPDX-License-Identifier: GPL-2.0-only
"""One boot's samples -> what each structure held at each mark, and what nothing explains.

/proc/allocinfo counts a slab object twice: at its own site, and in the page that
mm/slub.c took for it.  So the sum over all sites, less the slab objects (/proc/slabinfo), is the
memory that the sites explain.  Free pages on per-CPU lists (/proc/zoneinfo) are missing in MemFree,
and nobody has allocated them.  What profiling keeps of slab objects has a site that some kernels
leave at zero (`harness.studies.overhead.vectors`).  The residual is the change of MemTotal -
MemFree since `before` that none of these explains: allocations that carry no tag.

Free pages are those of /proc/zoneinfo, which has them beside the per-CPU lists: between the reads
of two files a CPU takes or returns a batch of 63.  A boot without the mark `warm-up` is older
(0.1.0) and keeps its figures: MemFree of /proc/meminfo, and what the first look at each file
allocates in the residual.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.results import probes, telemetry
from harness.results.probes import allocinfo, zoneinfo
from harness.studies.overhead import vectors
from harness.studies.overhead.sites import Rules, SitePosition, places
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.units import parse_size

PAGE = 4096
UNNAMED = "unnamed"
WARM_UP = "warm-up"
BEFORE, SWAPON, FILLED, FRAGMENTED, SPARSE, EXITED, SWAPOFF = (
    "before", "swapon", "filled", "fragmented", "sparse", "exited", "swapoff",
)  # fmt: skip
MARK = re.compile(r"(before|swapon|filled|fragmented|sparse|exited|swapoff)(?::(\d{1,15}))?")
# Without allocinfo: what /proc/meminfo and vmstat say of the memory in use, without overlap.
# The LRU lists hold anonymous pages, page cache and swap cache, each page once.
_EXPLAINING = (
    "Active", "Inactive", "Unevictable", "Slab", "PageTables", "SecPageTables", "VmallocUsed",
    "Percpu",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The memory at one mark of one boot.

    stage: the mark's word; order: its place among the boot's marks, from 0
    pages: pages in swap; 0 at marks without any. touched: the most pages that were in swap so far
    structures: bytes by structure, from allocinfo where the kernel has it, else the stand-in
    standin: the same from slabinfo, vmallocinfo, meminfo and vmstat
    sites: bytes by site, "mm/swapfile.c func:swapon", of structures that are metadata
    unnamed: bytes by site of what no rule names
    used: MemTotal - MemFree; explained: what the sources explain of it, with what CPUs keep free
    for themselves; both in bytes
    slack: room in the pages of slab caches that no object takes, in bytes
    """

    stage: str
    order: int
    pages: int
    touched: int
    structures: Mapping[str, int]
    standin: Mapping[str, int]
    sites: Mapping[str, int]
    unnamed: Mapping[str, int]
    used: int
    explained: int
    slack: int

    @property
    def label(self) -> str:
        """The mark as the guest gave it."""
        counted = self.stage in (FILLED, FRAGMENTED, SPARSE)
        return f"{self.stage}:{self.pages}" if counted else self.stage


@dataclass(frozen=True, slots=True)
class Boot:
    """One boot of an overhead cell.

    cell, label: "zswap-2G.overhead", "zswap-2G"; backend: the label without its size
    kind: swapfile, zswap or zram; arm: base or patch
    slots: usable slots of the swap area; has_allocinfo: the kernel names allocation sites
    notes: what was missing or could not be read, one sentence each
    """

    cell: str
    label: str
    backend: str
    kind: str
    arm: str
    pair: int
    release: str
    slots: int
    has_allocinfo: bool
    snapshots: tuple[Snapshot, ...]
    notes: tuple[str, ...]

    def at(self, stage: str) -> Snapshot | None:
        """The last snapshot of a stage."""
        return next((one for one in reversed(self.snapshots) if one.stage == stage), None)

    def change(self, snapshot: Snapshot, name: str, of: str = "structures") -> int:
        """Bytes since the boot's first snapshot.

        of: the table of `Snapshot` that has the name: structures, standin, sites or unnamed
        """
        now, first = (getattr(one, of).get(name, 0) for one in (snapshot, self.snapshots[0]))
        return int(now - first)

    def residual(self, snapshot: Snapshot) -> int:
        """Bytes of the change in memory used since the first snapshot that nothing explains."""
        first = self.snapshots[0]
        return (snapshot.used - first.used) - (snapshot.explained - first.explained)


@dataclass(frozen=True, slots=True)
class Raw:
    """The numbers of one sample, by source.

    free, parked: bytes that are free by /proc/zoneinfo, and those on the lists of CPUs
    """

    sites: Mapping[tuple[str, str, int], int]
    areas: Mapping[str, int]
    objects: Mapping[str, int]
    meminfo: Mapping[str, int]
    vmstat: Mapping[str, int]
    free: int
    parked: int


def read(folder: Path, rules: Rules) -> Boot | None:
    """The boot in boots/<cell>/<pair>-<arm>; None if it left no snapshot of the swap area.

    Nothing of a damaged boot raises: what is missing is a sentence in `notes`.
    """
    facts = atomic.json_file(folder / "boot.json") or {}
    cell = folder.parent.name
    pair, _, arm = folder.name.partition("-")
    label = str(facts.get("backend") or cell.rpartition(".")[0])
    metrics = _metrics(folder / "workload.jsonl")
    notes: list[str] = []
    path = folder / "samples.raw.gz"
    stream = telemetry.read(telemetry.unpack(path.read_bytes()) if path.is_file() else b"")
    marked = [(m, s) for s in stream.samples if (m := MARK.fullmatch(s.mark or ""))]
    raws = [numbers(sample, notes) for _, sample in marked]
    if not raws or marked[0][0][1] != BEFORE:
        return None
    backend = re.sub(r"-\d+[KMGT]$", "", label)
    return Boot(
        cell=cell,
        label=label,
        backend=backend,
        kind=str(facts.get("backend_kind") or backend.split("-")[0]),
        arm=arm,
        pair=int(pair),
        release=str(facts.get("kernel_release", "")),
        slots=_slots(facts, metrics, notes),
        has_allocinfo=any(raw.sites for raw in raws),
        snapshots=snapshots(
            [m for m, _ in marked],
            raws,
            metrics,
            rules,
            warm=any(one.mark == WARM_UP for one in stream.samples),
        ),
        notes=tuple(dict.fromkeys(notes)),
    )


def snapshots(
    marks: Sequence[re.Match[str]],
    raws: Sequence[Raw],
    metrics: Mapping[str, Mapping[int, float]],
    rules: Rules,
    *,
    warm: bool = False,
) -> tuple[Snapshot, ...]:
    """One snapshot a mark.

    metrics: swapped_pages by step, which is more exact than a mark; warm: the files were read
    once before the first mark
    """
    known = places(key for raw in raws for key in raw.sites)
    files = frozenset(file for file, _, _ in known)
    names = {key: rules.place(place, files) for key, place in known.items()}
    has_sites = any(raw.sites for raw in raws)
    swapped = _by_mark(marks, metrics.get("swapped_pages", {}))
    found: list[Snapshot] = []
    touched = 0
    for order, (mark, raw) in enumerate(zip(marks, raws, strict=True)):
        pages = swapped.get(order, int(mark[2] or 0))
        touched = max(touched, pages)
        standin = _standin(raw, rules)
        parts = _attributed(raw, known, names, rules) if has_sites else (standin, {}, {})
        free = raw.free if warm and raw.free else raw.meminfo.get("MemFree", 0)
        used = raw.meminfo.get("MemTotal", 0) - free
        tagged = sum(raw.sites.values()) - sum(raw.objects.values())
        explained = raw.parked + (tagged if has_sites else _explained(raw))
        found.append(
            Snapshot(
                mark[1],
                order,
                pages,
                touched,
                parts[0],
                standin,
                parts[1],
                parts[2],
                used,
                explained,
                raw.meminfo.get("Slab", 0) - sum(raw.objects.values()),
            )
        )
    return tuple(found)


def _by_mark(marks: Sequence[re.Match[str]], swapped: Mapping[int, float]) -> dict[int, int]:
    """Exact pages by number of the mark. A first `filled:0`, before any step, may have none."""
    filled = [order for order, mark in enumerate(marks) if mark[1] == FILLED]
    if len(swapped) < len(filled) and int(marks[filled[0]][2] or 0) == 0:
        filled = filled[1:]
    return {order: int(swapped[n]) for n, order in enumerate(filled, 1) if n in swapped}


def _attributed(
    raw: Raw,
    known: Mapping[tuple[str, str, int], SitePosition],
    names: Mapping[tuple[str, str, int], str | None],
    rules: Rules,
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Bytes by structure, by site of metadata, and by site that no rule names."""
    structures: dict[str, int] = defaultdict(int)
    sites: dict[str, int] = defaultdict(int)
    unnamed: dict[str, int] = defaultdict(int)
    for key, count in raw.sites.items():
        name = names[key]
        structures[name or UNNAMED] += count
        if name is None:
            unnamed[known[key].name] += count
        elif rules.kind(name) == "metadata":
            sites[f"{key[0]} func:{key[1]}"] += count
    return dict(structures), dict(sites), dict(unnamed)


def _standin(raw: Raw, rules: Rules) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    sources = (
        ("vmallocinfo", raw.areas, PAGE),
        ("slabinfo", raw.objects, 1),
        ("meminfo", raw.meminfo, 1),
        ("vmstat", raw.vmstat, PAGE),
    )
    for source, values, scale in sources:
        for name, value in values.items():
            structure = rules.named(source, name)
            if structure:
                found[structure] += value * scale
    return dict(found)


def _explained(raw: Raw) -> int:
    """Without allocinfo: what meminfo names without overlap, and the pages of zsmalloc.

    Kernel stacks are not added: with VMAP_STACK they are in VmallocUsed.
    """
    named = sum(raw.meminfo.get(name, 0) for name in _EXPLAINING)
    return named + raw.vmstat.get("nr_zspages", 0) * PAGE


def numbers(sample: telemetry.Sample, notes: list[str]) -> Raw:
    """The numbers of a sample; a file that does not parse is a sentence in `notes`."""
    sites: dict[tuple[str, str, int], int] = defaultdict(int)
    tables: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    zones: dict[str, int] = defaultdict(int)
    for file in sample.files:
        try:
            parsed = probes.parse(file.path, file.text)
        except probes.ProbeError as error:
            notes.append(f"{file.path} cannot be read: {error}")
            continue
        for record in parsed.records:
            if record.probe == allocinfo.NAME and record.field == "bytes":
                site = allocinfo.site(record.key)
                sites[site.file, site.func, site.line] += int(record.value)
            elif record.probe == zoneinfo.NAME:
                zones[record.field] += int(record.value) * PAGE
            elif record.probe in ("vmallocinfo", "slabinfo", "meminfo", "vmstat"):
                tables[record.probe][record.key, record.field] = record.value
    slabs = tables["slabinfo"]
    if lost := vectors.untagged(sites, slabs):
        sites[min(key for key in sites if key[:2] == vectors.SITE)] = lost
    return Raw(
        sites=dict(sites),
        areas={k: int(v) for (k, field), v in tables["vmallocinfo"].items() if field == "pages"},
        objects={
            name: int(count * slabs.get((name, "objsize"), 0))
            for (name, field), count in slabs.items()
            if field == "active_objs"
        },
        meminfo={field: int(v) for (_, field), v in tables["meminfo"].items()},
        vmstat={field: int(v) for (_, field), v in tables["vmstat"].items()},
        free=zones["pages.free"],
        parked=zones["count"],
    )


def _slots(
    facts: Mapping[str, Any], metrics: Mapping[str, Mapping[int, float]], notes: list[str]
) -> int:
    given = metrics.get("slots", {})
    if given:
        return int(next(iter(given.values())))
    settings = facts.get("backend_settings")
    size = settings.get("size") if isinstance(settings, dict) else None
    notes.append("the workload gave no 'slots': taken from the size of the swap area")
    try:
        count = parse_size(size) if isinstance(size, str | int) else 0
    except UserError:
        count = 0
    return max(count // PAGE - 1, 0)  # the first page is the header


def _metrics(path: Path) -> dict[str, dict[int, float]]:
    """Metrics of workload.jsonl by name and round (from 1)."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for item in _lines(path):
        value = item.get("value")
        if item.get("type") == "metric" and isinstance(value, int | float):
            rounds = found[str(item.get("name"))]
            turn = item.get("round")
            rounds[turn if isinstance(turn, int) else len(rounds) + 1] = float(value)
    return dict(found)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    content = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
    for line in content.split("\n"):
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict):
            yield item
