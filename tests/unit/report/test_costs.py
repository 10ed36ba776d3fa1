# SPDX-License-Identifier: GPL-2.0-only
"""From the boots under the caches and locks plugins to costs: known counts, known answers."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.build import symbols as builder
from harness.report.profile import brief, costs, coststables, export
from harness.report.profile.costs import Costs

FAULT, READ, FREE = (0xFFFF_FFFF_8100_0000 + 0x100 * number for number in range(3))
PAGES = 100
MAP = f"""\
0000000000000000 D __per_cpu_start
000000000002a000 D __per_cpu_end
{FAULT:016x} T do_swap_page
{READ:016x} T swap_read_folio
{FREE:016x} t free_entries.constprop.0
{FREE + 0x100:016x} T etext
"""
STACK, LATER, CHAIN = FREE + 0x200, FREE + 0x300, 0xFFFF_FFFF_81A0_0000
VARIABLES = f"""\
0000000000000040 D counters
{STACK:016x} t dup_task_struct
{LATER:016x} t pcpu_get_vm_areas
{CHAIN:016x} b swap_calibration_chain
"""
SHARED, PER_CPU = 0xFFFF_8880_0000_1000, 0xFFFF_8880_3000_1000
SANDBOX: Any = None
METRIC: Any = SimpleNamespace(clock="insn", primary=lambda *_: "swapin")


def misses(executed: int, reads: int) -> str:
    """Two rounds of 50 pages, of which the second has nothing but half of the instructions."""
    first = f"{FAULT + 8:x} direct 0 200 100 0 0 0 0\n{READ:x} image 0 0 0 {reads} 0 0 0\n"
    second = "0 user 10 0 0 0 0 0 0\n"
    return "".join(
        f"put {line} 0\nexecuted {executed // 2}\noperations 50\nlines {lines}\n"
        f"model sapphire-rapids\n{rows}model neoverse-n1\n{rows}end\n"
        for line, lines, rows in ((1, 3000, first), (2, 2000, second))
    )


def holds(extra: int, *, lost: int = 0) -> str:
    """A per-CPU lock that is held longest, and one that all would share."""
    return "".join(
        f"put {line} 0\nexecuted 500000\npercpu ffff888030000000\n"
        f"site {FREE + 4:x} spin 10 {40000 + extra} 900 1\nsite {FREE + 8:x} spin 50 90000 800 1\n"
        f"object {PER_CPU:x} {FREE + 8:x} spin 50 90000 800\n"
        f"object {SHARED:x} {FREE + 4:x} spin 10 {40000 + extra} 900\n"
        f"lost {lost}\nunmatched 0\nend\n"
        for line in (1, 2)
    )


def boot(results: Path, arm: str, name: str, text: str, outcome: str = "ok") -> Path:
    folder = results / f"boots/zram.pageio/00-{arm}.{name}"
    folder.mkdir(parents=True)
    (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (folder / "boot.json").write_text(json.dumps({"outcome": outcome}), encoding="utf-8")
    lines = [
        json.dumps({"type": "metric", "name": "swapin_busy", "counted": line, "per": PAGES // 2,
                    "unit": "ns/page"})
        for line in (1, 2)
    ]  # fmt: skip
    (folder / "workload.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def result(tmp_path: Path, *, lost: int = 0, outcome: str = "ok") -> Costs:
    """A patch with 10 % more instructions, a memory miss a page more and a lock held longer."""
    kernel: Any = SimpleNamespace(path=tmp_path / "kernel")
    kernel.path.mkdir()
    (kernel.path / "System.map").write_text(MAP, encoding="utf-8")
    texts = {
        "base": (misses(1_000_000, 0), holds(0)),
        "patch": (misses(1_100_000, 100), holds(10000, lost=lost)),
    }
    kernels = {}
    for arm, (caches, locks) in texts.items():
        folders = [
            boot(tmp_path, arm, "caches", caches),
            boot(tmp_path, arm, "locks", locks, outcome),
        ]
        kernels[arm] = (kernel, folders)
    assert builder.record(tmp_path, kernels, SANDBOX) == ()
    assert costs.is_there(tmp_path)
    return costs.analyse(tmp_path, METRIC)


def test_what_an_operation_misses(tmp_path: Path) -> None:
    (one,) = result(tmp_path).operations
    assert (one.cell, one.metric, one.unit) == ("zram.pageio", "swapin", "page")
    assert one.lines == (50, 50)
    assert [mine.estimate.model for mine in one.models] == ["sapphire-rapids", "neoverse-n1"]
    intel = one.models[0]
    assert intel.misses == ((0.1, 0.1), (2, 2), (1, 1), (0, 1), (0, 0), (0, 0), (0, 0))
    assert intel.regions["image"][3] == (0, 1) and "vmalloc" not in intel.regions
    assert [item.name for item in intel.functions] == ["swap_read_folio", "do_swap_page", "user"]
    assert intel.functions[0].stalls == (0, 270)
    # 10000 x 0.5 + 1 + 20 + 95 against 11000 x 0.5 + the same + 270.
    assert intel.estimate.cycles() == pytest.approx((5116, 5886))
    assert intel.estimate.insns_pct == pytest.approx(10)


def test_what_locks_an_operation_holds(tmp_path: Path) -> None:
    (one,) = result(tmp_path).operations
    (hold,) = one.holds
    assert (hold.function, hold.kind) == ("free_entries", "spin")
    assert hold.acquired == (1.2, 1.2) and hold.held == (2600, 2800) and hold.longest == (900, 900)
    base, patch = one.ceilings
    # The per-CPU lock is held longer, and sets no limit.
    assert base and (base.functions, base.held, base.cpus) == (("free_entries",), 800, 12.5)
    assert patch and (patch.held, patch.cpus) == (1000, 10)


def test_a_lock_that_is_another_one_in_each_round_sets_the_same_ceiling(tmp_path: Path) -> None:
    expected = result(tmp_path).operations[0].ceilings
    for path in (tmp_path / "boots").glob("*/*.locks/locks.gz"):
        first, second = gzip.decompress(path.read_bytes()).decode().split("put 2 0")
        moved = second.replace(f"{SHARED:x}", f"{SHARED + 0x1000:x}")
        path.write_bytes(gzip.compress(f"{first}put 2 0{moved}".encode(), mtime=0))
    (one,) = costs.analyse(tmp_path, METRIC).operations
    assert one.ceilings == expected


def test_the_report_says_it(tmp_path: Path) -> None:
    found = result(tmp_path, lost=3)
    text = coststables.render(found)
    assert all(len(line) <= 72 for line in text.splitlines())
    flat = " ".join(text.split())
    assert (
        "Estimated cycles on sapphire-rapids: 5116 -> 5886, +770 (+15.05 %), of which instructions "
        "+500, misses +270. "
    ) in flat
    assert "compare what is held" in flat and "sapphire-rapids: 0.5 cycles for" in flat
    assert "Ceiling of base: 12.5 CPUs, by the lock taken in free_entries: held for 800.0" in flat
    assert "WARNING: 3 locks were taken while held" in flat
    assert "They are no time." in flat
    assert "Distinct cache lines of an operation: 50.00 -> 50.00." in flat
    rows = list(csv.DictReader(io.StringIO(coststables.misses(found))))
    llc = {(row["model"], row["of"], row["name"]): row["llc_patch"] for row in rows}
    assert llc["neoverse-n1", "function", "swap_read_folio"] == "1.0000"
    assert llc["neoverse-n1", "all", ""] == "1.0000"
    (row,) = csv.DictReader(io.StringIO(coststables.holds(found)))
    assert (row["held_patch"], row["longest_patch"], row["locks_patch"]) == (
        "2800.0000",
        "900",
        "1",
    )


def told(tmp_path: Path) -> Costs:
    """As `result`, by plugins that tell data structures."""
    kernel: Any = SimpleNamespace(path=tmp_path / "kernel")
    kernel.path.mkdir()
    (kernel.path / "System.map").write_text(MAP + VARIABLES, encoding="utf-8")
    kernels = {}
    for arm, reads in (("base", 0), ("patch", 100)):
        cold, text = misses(1_000_000, 0), holds(reads)
        rows = (
            f"{FAULT + 8:x} direct slab:dentry 0 200 100 20 0 0 0\n"
            f"{FAULT + 8:x} direct untyped 0 40 40 5 0 0 0\n"
            f"{FAULT + 12:x} vmalloc vmalloc:{FREE + 16:x} 0 30 30 30 0 0 0\n"
            f"{FAULT + 12:x} vmalloc vmalloc:{STACK + 16:x} 0 10 10 10 0 0 0\n"
            f"{FAULT + 12:x} vmalloc vmalloc:{LATER + 16:x} 0 2 2 2 0 0 0\n"
            f"{READ:x} other percpu:40 0 8 8 8 0 0 0\n"
            f"{READ:x} image image:{CHAIN:x} 0 {reads} {reads} {reads} 0 0 0\n"
        )
        old = f"{FAULT + 8:x} direct 0 200 100 0 0 0 0\n{READ:x} image 0 0 0 0 0 0 0\n"
        cold = cold.replace(old, rows).replace("0 user 10", "0 user user 10")
        named = (
            f"named slab:kmalloc-1k 1c8 {FREE + 4:x} spin 10 {40000 + reads} 900 2\n"
            f"named slab:kmalloc-1k 1c8 {FREE + 8:x} spin 40 400 90 3\n"
            f"named image:{CHAIN:x} 0 0 spin 1 100 100 1\n"
            f"in {PER_CPU:x} percpu:40 8\nin {SHARED:x} slab:kmalloc-1k 1c8\n"
        )
        text = text.replace(f"site {FREE + 4:x}", f"{named}site {FREE + 4:x}")
        kernels[arm] = (
            kernel, [boot(tmp_path, arm, "caches", cold), boot(tmp_path, arm, "locks", text)]
        )  # fmt: skip
    assert builder.record(tmp_path, kernels, SANDBOX) == ()
    return costs.analyse(tmp_path, METRIC)


def test_misses_by_data_structure(tmp_path: Path) -> None:
    found = told(tmp_path)
    intel = found.operations[0].models[0]
    by_name = {item.name: item.misses[3] for item in intel.data}
    assert by_name == {
        "slab dentry": (0.2, 0.2),
        "pages that say nothing": (0.05, 0.05),
        "vmalloc of free_entries": (0.3, 0.3),
        "stacks": (0.1, 0.1),
        "per-CPU, allocated later": (0.02, 0.02),
        "per-CPU counters": (0.08, 0.08),
        "swap_calibration_chain": (0, 1),
        "user space": (0, 0),
    }
    text = coststables.render(found)
    assert all(len(line) <= 72 for line in text.splitlines())
    flat = " ".join(text.split())
    # 40 of 290 and 390, 5 of 75 and 175.
    assert "Of the misses of L1D, L2 and LLC 11.8, 16.7, 4.0 % are of data that nothing" in flat
    assert "swap_calibration_chain 0.00 1.00 0.00 1.00 0.00 1.00 +1.00" in flat
    rows = list(csv.DictReader(io.StringIO(coststables.misses(found))))
    data = {row["name"]: row["llc_patch"] for row in rows if row["of"] == "data"}
    assert data["swap_calibration_chain"] == "1.0000"
    (one,) = export.costs(found)["operations"]
    assert one["models"][0]["data"]["stacks"]["llc"] == {"base": 0.1, "patch": 0.1}


def test_locks_by_what_they_are_in(tmp_path: Path) -> None:
    found = told(tmp_path)
    (one,) = found.operations
    first, second = one.named
    assert (first.name, first.takers) == ("slab kmalloc-1k+0x1c8", ("free_entries",))
    assert first.acquired == (1, 1) and first.held == (808, 810)
    assert (first.longest, first.objects) == ((900, 900), (3, 3))
    assert (second.name, second.takers) == ("swap_calibration_chain", ("(unknown)",))
    base, _ = one.ceilings
    assert base and base.name == "slab kmalloc-1k+0x1c8", "the per-CPU one sets none"
    flat = " ".join(coststables.render(found).split())
    assert "by the lock in slab kmalloc-1k+0x1c8, taken in free_entries: held for" in flat
    rows = list(csv.DictReader(io.StringIO(coststables.holds(found))))
    assert [(row["of"], row["name"], row["held_patch"]) for row in rows] == [
        ("function", "free_entries", "2602.0000"),
        ("data", "slab kmalloc-1k+0x1c8", "810.0000"),
        ("data", "swap_calibration_chain", "2.0000"),
    ]


def test_other_reports_have_a_line_of_it(tmp_path: Path) -> None:
    found = result(tmp_path)
    head, *said = brief.section(None, found)
    assert head.startswith("What the change costs")
    assert " ".join(" ".join(said).split()) == (
        "zram.pageio swapin: estimated cycles +770 of 5116 on sapphire-rapids, +800 of 6105 on "
        "neoverse-n1; lock held longest 800.0 -> 1000.0 instructions (ceiling 12.5 -> 10.0 CPUs)."
    )
    many = Costs(tuple(replace(found.operations[0], cell=f"{n}") for n in range(30)))
    section = brief.section(None, many)
    assert 7 <= len(section) <= 10 and section[-1] == "More cells in costs.txt."
    assert section[1].startswith("0 swapin: "), "in the order of the report"


def test_json_has_all_of_it(tmp_path: Path) -> None:
    (one,) = export.costs(result(tmp_path))["operations"]
    assert (one["cell"], one["metric"], one["unit"]) == ("zram.pageio", "swapin", "page")
    intel = next(item for item in one["models"] if item["model"] == "sapphire-rapids")
    assert intel["cycles"]["base"] == pytest.approx(5116)
    assert intel["functions"]["swap_read_folio"]["llc"] == {"base": 0, "patch": 1}
    ceiling = {"name": "", "taken_in": ["free_entries"], "held": 1000, "cpus": 10}
    assert one["ceilings"]["patch"] == ceiling
    assert one["locks"][0]["held"] == {"base": 2600, "patch": 2800}
    assert json.loads(json.dumps(one)) == one


def test_a_boot_that_failed_is_a_sentence(tmp_path: Path) -> None:
    found = result(tmp_path, outcome="panic")
    assert found.operations == ()
    (said,) = found.troubles
    assert (
        said == "zram.pageio: misses and locks cannot be told: the boot 00-base.locks failed: panic"
    )
    assert "panic" in coststables.render(found)


def test_without_names_nothing_is_told(tmp_path: Path) -> None:
    boot(tmp_path, "base", "locks", holds(0))
    found = costs.analyse(tmp_path, METRIC)
    assert found.operations == () and "nobody recorded" in found.troubles[0]
    (tmp_path / "symbols-base.json.gz").write_bytes(b"\x1f\x8b damaged")
    assert costs.analyse(tmp_path, METRIC).operations == ()


def test_an_output_that_is_none_is_a_sentence_when_it_is_recorded(tmp_path: Path) -> None:
    kernel: Any = SimpleNamespace(path=tmp_path)
    folder = boot(tmp_path, "base", "locks", "")
    (folder / "locks.gz").write_bytes(b"nothing")
    (said,) = builder.record(tmp_path, {"base": (kernel, [folder])}, SANDBOX)
    assert said.startswith("the misses and locks of base have no names:")
