# SPDX-License-Identifier: GPL-2.0-only
"""From the counts of profile boots to functions, parts and lines: known counts, known answers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

from harness.costs.locks import SiteChange
from harness.report.profile import analysis, brief, export, flame, parts, tables
from harness.report.profile.costs import Costs, HeldMost, OperationCosts
from harness.report.profile.model import Cost, Operation, Profile
from harness.results.frames import Frames
from harness.results.manifest import Manifest
from harness.results.profile import USER, Root
from tests.fakes import profiles

FAULT, READ, DECOMPRESS, COPY, OLD, NEW, TICK, SPLIT = (
    0xFFFFFFFF81000000 + 0x100 * number for number in range(8)
)
NAMES = {
    FAULT: ("do_swap_page", "mm/memory.c"),
    READ: ("swap_read_folio", "mm/page_io.c"),
    DECOMPRESS: ("LZ4_decompress_safe", "lib/lz4/lz4_decompress.c"),
    COPY: ("memcpy_orig", ""),
    OLD: ("zram_read_page", "drivers/block/zram/zram_drv.c"),
    NEW: ("zram_fetch_page", "drivers/block/zram/zram_drv.c"),
    TICK: ("update_process_times", "kernel/time/timer.c"),
    SPLIT: ("do_swap_page.part.0", "mm/memory.c"),
}
PAGES = 100


def chains(*, fault: int, read: int, mapped: int, device: int) -> profiles.Calls:
    """Of a phase of 100 pages; ``device`` is OLD or NEW."""
    at = (USER, FAULT)
    return {
        (Root.WORK, (USER,)): (1000, 0),
        (Root.WORK, at): (fault, 100),
        (Root.WORK, (*at, READ)): (read, 100),
        (Root.WORK, (*at, READ, device)): (5000, 100),
        (Root.WORK, (*at, READ, device, DECOMPRESS)): (300_000, 100),
        (Root.WORK, (*at, READ, device, DECOMPRESS, COPY)): (2000, 200),
        (Root.WORK, (*at, READ, device, COPY)): (500, 100),
        (Root.WORK, (*at, SPLIT)): (mapped, 100),
        (Root.INTERRUPT, (TICK,)): (750, 1),
    }


def blocks(calls: profiles.Calls) -> dict[tuple[int, int], int]:
    """Blocks of five instructions that make up the same."""
    found: dict[tuple[int, int], int] = {}
    for (_, functions), (insns, _) in calls.items():
        if functions[-1] != USER:
            key = (functions[-1], functions[-1])
            found[key] = found.get(key, 0) + insns // 5
    return found


def timing(base: float, patch: float, *, name: str = "swapin") -> Frames:
    row = {"cell": "zram.pageio", "name": name, "pair": 0}
    table = pd.DataFrame(
        [{**row, "arm": "base", "value": base}, {**row, "arm": "patch", "value": patch}]
    )
    empty = pd.DataFrame()
    return Frames(empty, table, *[empty] * 10)


MANIFEST = Manifest.model_validate(
    {
        "clock": "insn",
        "workloads": {"pageio": {"primary": "swapin"}},
        "backends": {"zram": {"kind": "zram"}},
    }
)


def about(base: float, patch: float) -> Cost:
    """What equals a cost of nearly these."""
    made: Any = pytest.approx
    return Cost(made(base), made(patch))


def analysed(results: Path, data: Frames | None = None) -> Profile:
    return analysis.analyse(results, data if data is not None else timing(3500, 3600), MANIFEST)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two rounds of swap-ins: the patch adds 300 a page to reading, and renames a function."""
    for arm, read, device in (("base", 4000, OLD), ("patch", 34_000, NEW)):
        rounds = [
            chains(fault=20_000, read=read, mapped=1000, device=device),
            chains(fault=20_000, read=read + 2000, mapped=1000, device=device),
        ]
        sums = [(one, blocks(one)) for one in rounds]
        profiles.boot(tmp_path, arm, sums, [("swapin_busy", PAGES)] * 2)
        profiles.names(tmp_path, arm, NAMES)
    return tmp_path


def operation(results: Path) -> Operation:
    (one,) = analysed(results).primary
    return one


def test_functions_of_a_page(two: Path) -> None:
    one = operation(two)
    assert (one.cell, one.metric, one.unit) == ("zram.pageio", "swapin", "page")
    assert one.total == about(3352.5, 3652.5)
    rows = {item.title: item for item in one.functions}
    read = rows["swap_read_folio"]
    assert read.own == about(50, 350) and read.part == "swap core"
    assert read.whole == about(3125, 3425)
    assert read.calls == about(1, 1)
    assert [item.title for item in one.named()] == ["swap_read_folio"]
    # The compiler's copies are the function; calls from two places are one row.
    assert rows["do_swap_page"].own.base == pytest.approx(210)
    assert rows["memcpy_orig"].own.base == pytest.approx(25)
    assert rows["memcpy_orig"].part == "copying and clearing", "by its name: it has no file"
    assert rows["update_process_times (interrupts)"].own.base == pytest.approx(7.5)
    assert sum(item.own.patch or 0 for item in one.functions) == pytest.approx(one.total.patch)


def test_a_renamed_function_is_one_row(two: Path) -> None:
    rows = {item.name: item for item in operation(two).functions}
    device = rows["zram_fetch_page"]
    assert "zram_read_page" not in rows
    assert (device.former, device.state) == ("zram_read_page", "renamed")
    assert device.own.change == pytest.approx(0)


def test_without_compression_goes_what_it_calls(two: Path) -> None:
    one = operation(two)
    assert one.bare == about(3352.5 - 3020, 3652.5 - 3020)
    assert one.bare.percent == pytest.approx(100 * 300 / 332.5)
    by_part = {item.name: item.cost for item in one.parts}
    assert one.parts[0].name == "swap core" and one.parts[0].cost.change == pytest.approx(300)
    assert by_part["compression"].base == pytest.approx(3000)
    assert by_part[parts.USER].base == pytest.approx(10)
    roots = {item.name: item.cost.base for item in one.roots}
    assert roots == {"the workload": pytest.approx(3345), "interrupts": pytest.approx(7.5)}


def test_lines_are_told_by_the_function_that_they_were_compiled_into(two: Path) -> None:
    one = operation(two)
    by_line = {(item.into, item.file, item.line): item.cost for item in one.lines}
    assert by_line["swap_read_folio", "mm/page_io.c", 10].patch == pytest.approx(350)
    assert one.inlined[0].name == "swap_read_folio"


def test_new_and_gone(tmp_path: Path) -> None:
    for arm, device in (("base", OLD), ("patch", READ)):
        one = chains(fault=10_000, read=500, mapped=1000, device=device)
        profiles.boot(tmp_path, arm, [(one, blocks(one))], [("swapin", PAGES)])
        profiles.names(tmp_path, arm, NAMES)
    states = {item.name: item.state for item in operation(tmp_path).functions if item.state}
    assert states == {"zram_read_page": "gone"}


def test_totals_are_held_against_the_timing_boots(two: Path) -> None:
    good = analysed(two, timing(3352.5 * 1.0005, 3652.5))
    assert tables.checked(good.primary[0]).startswith("Totals against the timing boots'")
    assert dict(good.primary[0].off)["base"] == pytest.approx(-0.0005, rel=1e-2)
    bad = analysed(two, timing(3352.5, 3652.5 * 1.002))
    assert "over 0.1%" in tables.checked(bad.primary[0])
    assert brief.functions(bad)[0] == (
        "WARNING: totals of zram.pageio swapin differ from the timing boots' by base +0.000 %, "
        "patch -0.200 %."
    )
    # Where a cell waits for a disk, what QEMU counted goes before elapsed time.
    both = timing(9999, 9999)
    busy = timing(3352.5, 3652.5, name="swapin_busy")
    table = pd.concat([both.metrics, busy.metrics])
    frames = Frames(both.boots, table, *[pd.DataFrame()] * 10)
    assert analysed(two, frames).primary[0].timing == Cost(3352.5, 3652.5)


def test_a_change_that_the_timing_boots_have_not_is_not_explained(two: Path) -> None:
    """The profile boots differ by 8.95 %, the timing boots by -0.86 %."""
    far = analysed(two, timing(3352.5 * 1.099, 3652.5))
    most = analysed(two, timing(3352.5 * 1.04, 3652.5))
    assert "swap_read_folio" in brief.functions(most)[1], "+4.76 %: more than half of it"
    (said,) = brief.functions(far)
    assert said == (
        "zram.pageio swapin +300 a page (+8.95 %; +90.23 % of all but compression): not "
        "explained, totals differ from the timing boots' by base -9.008 %, patch +0.000 %."
    )
    assert "WARNING" in tables.render(far)


def test_a_metric_is_called_as_in_the_report(two: Path) -> None:
    waiting: Any = SimpleNamespace(clock="insn", primary=lambda *_: "swapin_busy")
    found = analysis.analyse(two, timing(3352.5, 3652.5), waiting)
    assert brief.functions(found)[0].startswith("zram.pageio swapin_busy +300 a page")
    assert "zram.pageio swapin_busy, instructions for each page" in tables.render(found)


def test_the_text_and_the_tables(two: Path) -> None:
    found = analysed(two, timing(3352.5, 3652.5))
    text = tables.render(found)
    assert "All: 3352.5 -> 3652.5, +300.0 (+8.95 %)." in text
    assert "Without compression: 332.5 -> 632.5, +300.0 (+90.23 %)." in text
    assert "swap_read_folio mm/page_io.c 50.0 350.0 +300.0 100.0 %" in text
    assert all(len(line) <= 72 and line.isascii() for line in text.splitlines())
    section = brief.section(found, None)
    assert len(section) <= 10
    said = (
        "zram.pageio swapin +300 a page (+8.95 %; +90.23 % of all but compression): "
        "swap_read_folio +300."
    )
    assert " ".join(" ".join(section[1:]).split()) == said
    assert brief.section(None, None) == []
    rows = list(csv.DictReader(io.StringIO(tables.sheet(found))))
    (read,) = (row for row in rows if row["function"] == "swap_read_folio")
    assert (read["own_base"], read["own_patch"], read["part"]) == (
        "50.0000",
        "350.0000",
        "swap core",
    )
    lines = list(csv.DictReader(io.StringIO(tables.lines(found))))
    assert {"swap_read_folio"} == {row["into"] for row in lines if row["patch"] == "350.0000"}


def test_edges_have_calls_and_all_that_they_cost(two: Path) -> None:
    rows = {
        (row["caller"], row["function"]): row
        for row in csv.DictReader(io.StringIO(tables.edges(analysed(two))))
        if row["for"] == "the workload"
    }
    read = rows["do_swap_page", "swap_read_folio"]
    assert (float(read["calls_base"]), float(read["whole_base"])) == (1, 3125)
    copied = rows["LZ4_decompress_safe", "memcpy_orig"]
    assert (float(copied["calls_patch"]), float(copied["whole_patch"])) == (2, 20)
    # A copy that the compiler made calls and is called by its function.
    assert float(rows["do_swap_page", "do_swap_page"]["whole_base"]) == 10


def test_folded_stacks_sum_to_the_total(two: Path) -> None:
    one = operation(two)
    for arm, total in (("base", 3352.5), ("patch", 3652.5)):
        lines = tables.folded(one, arm).splitlines()
        assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in lines)
        assert sum(int(line.rpartition(" ")[2]) for line in lines) == pytest.approx(1000 * total)
    assert "the workload;user space;do_swap_page;swap_read_folio 350000" in lines


def test_the_flame_graph_is_a_picture_to_search_in(two: Path) -> None:
    picture = flame.draw(operation(two))
    tree = ElementTree.fromstring(picture)
    assert "script" not in picture
    titles = [one.text or "" for one in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert any(one.startswith("swap_read_folio: 3125.0 -> 3425.0, +300.0") for one in titles)
    boxes = list(tree.iter("{http://www.w3.org/2000/svg}rect"))
    assert all(float(one.attrib["x"]) + float(one.attrib["width"]) <= 1200.2 for one in boxes)
    words = [one.text for one in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert "LZ4_decompress_safe" in words
    assert flame.draw(operation(two)) == picture


def test_what_a_name_holds_is_no_markup(two: Path) -> None:
    profiles.names(two, "patch", {**NAMES, READ: ("<script>&", "mm/page_io.c")})
    picture = flame.draw(operation(two))
    assert "<script>" not in picture and "&lt;script&gt;&amp;" in picture


def test_many_cells_take_ten_lines(two: Path) -> None:
    one = analysed(two, timing(3352.5, 3652.5)).primary[0]
    section = brief.section(Profile((one,) * 30, (one,) * 30), None)
    assert len(section) == 10 and section[-1] == "More cells in profile.txt."


def test_functions_come_first_and_leave_room_for_costs(two: Path) -> None:
    one = analysed(two, timing(3352.5, 3652.5)).primary[0]
    hold = SiteChange("free_entries", "spin", (1.0, 1.0), (100.0, 50.0))
    tops = (HeldMost(("free_entries",), 100.0, 30.0), HeldMost(("free_entries",), 50.0, 60.0))
    held = OperationCosts("zram.pageio", "swapin", "page", holds=(hold,), ceilings=tops)
    few = brief.section(Profile((one,), (one,)), Costs((held,)))
    assert " ".join(" ".join(few[-2:]).split()) == (
        "zram.pageio swapin: lock held longest 100.0 -> 50.0 instructions (ceiling 30.0 -> 60.0 "
        "CPUs)."
    )
    assert "swap_read_folio" in few[2]
    many = brief.section(Profile((one,) * 30, (one,) * 30), Costs((held,)))
    assert len(many) <= 10 and many[-3:] == [*few[-2:], "More cells in profile.txt, costs.txt."]


def test_json_has_functions_and_parts(two: Path) -> None:
    first, *_ = export.profile(analysed(two, timing(3352.5, 3652.5)))["operations"]
    assert first["total"] == {"base": 3352.5, "patch": 3652.5} == first["timing"]
    (read,) = (item for item in first["functions"] if item["name"] == "swap_read_folio")
    assert read["own"] == {"base": 50, "patch": 350} and read["for"] == "the workload"
    assert "LZ4_decompress_safe" not in json.dumps(first["parts"]) and first["parts"]["swap core"]
    assert json.loads(json.dumps(first)) == first


def test_a_boot_that_failed_and_a_damaged_file_are_said(two: Path) -> None:
    base = two / "boots/zram.pageio/00-base.profile"
    whole = (base / "boot.json").read_text(encoding="utf-8")
    (base / "boot.json").write_text('{"outcome":"panic","detail":"it fell"}', encoding="utf-8")
    found = analysed(two)
    assert not found.operations and "00-base.profile failed: panic: it fell" in found.troubles[0]
    (base / "boot.json").write_text(whole, encoding="utf-8")
    (base / "profile.gz").write_bytes(b"no")
    assert "cannot be read" in analysed(two).troubles[0]


def test_without_names_functions_are_addresses(two: Path) -> None:
    (two / "places-base.json.gz").write_bytes(b"no")
    found = analysed(two)
    assert any("addresses" in one for one in found.troubles)
    assert f"{READ:#x}" in {item.name for item in found.primary[0].functions}


def test_one_arm_alone_is_shown(tmp_path: Path) -> None:
    one = chains(fault=10_000, read=500, mapped=1000, device=OLD)
    profiles.boot(tmp_path, "base", [(one, blocks(one))], [("swapin", PAGES)])
    profiles.names(tmp_path, "base", NAMES)
    assert operation(tmp_path).total.patch is None
    assert tables.render(analysed(tmp_path))


def test_the_rules_name_the_parts_of_the_kernel() -> None:
    rules = parts.load()
    for name, file, part in (
        ("zswap_load", "mm/zswap.c", "zswap"),
        ("zs_map_object", "mm/zsmalloc.c", "zram and zsmalloc"),
        ("swap_cgroup_record", "mm/swap_cgroup.c", "swap core"),
        ("folio_batch_move_lru", "mm/swap.c", "LRU and reclaim"),
        ("xas_load", "lib/xarray.c", "swap core"),
        ("handle_mm_fault", "mm/memory.c", "page tables and fault entry"),
        ("asm_exc_page_fault", "", "page tables and fault entry"),
        ("clear_page_erms", "", "copying and clearing"),
        ("ZSTD_decompressBlock", "lib/zstd/decompress/zstd_decompress.c", "compression"),
        ("something", "", parts.OTHER),
    ):
        assert rules.part(name, file) == part, name
