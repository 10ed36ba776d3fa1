# SPDX-License-Identifier: GPL-2.0-only
"""Rules name allocation sites whatever their line; a boot's snapshots add up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.results import probes, telemetry
from harness.studies.overhead import sites, snapshot, vectors
from harness.studies.overhead.sites import SitePosition
from harness.util.errors import UserError
from tests.fakes import overhead as fake_overhead
from tests.fakes.overhead import Fake, Kernel, Site, per

GOLDEN = Path(__file__).parents[2] / "golden"
RULES = sites.load()
NO_FILES: frozenset[str] = frozenset()


def _named(
    file: str, func: str, nth: int = 1, of: int = 1, files: frozenset[str] = NO_FILES
) -> str:
    return RULES.place(SitePosition(file, func, nth, of), files) or ""


def test_two_arrays_of_swapon_are_told_apart_by_their_order() -> None:
    keys = [
        ("mm/swapfile.c", "__do_sys_swapon", 3502),
        ("mm/swapfile.c", "__do_sys_swapon", 3520),
        ("mm/swapfile.c", "alloc_swap_info", 3000),
    ]
    found = sites.places(keys)
    assert [RULES.place(found[key], NO_FILES) for key in keys] == [
        "swap_map",
        "zeromap",
        "swap_info",
    ]
    moved = sites.places((file, func, line + 977) for file, func, line in keys)
    assert set(moved.values()) == set(found.values())


def test_a_third_array_is_not_guessed() -> None:
    assert _named("mm/swapfile.c", "__do_sys_swapon", 2, 3) == "swapon_arrays"


def test_the_second_bitmap_of_vswap_is_no_zeromap() -> None:
    vswap = frozenset({"mm/vswap.c"})
    assert _named("mm/swapfile.c", "__do_sys_swapon", 2, 2, vswap) == "bad_map"
    assert _named("mm/swapfile.c", "__do_sys_swapon", 2, 2) == "zeromap"


@pytest.mark.parametrize(
    ("file", "func", "structure"),
    [
        ("mm/zsmalloc.c", "alloc_zpdesc", "zsmalloc"),
        ("mm/zsmalloc.c", "cache_alloc_zspage", "zsmalloc_zspage"),
        ("mm/zsmalloc.c", "zs_create_pool", "zsmalloc_pool"),
        ("lib/xarray.c", "xas_alloc", "xarray_nodes"),
        ("drivers/block/zram/zram_drv.c", "zram_meta_alloc", "zram_table"),
        ("mm/vswap.c", "vswap_alloc", "vswap_cluster"),
        ("mm/vswap.c", "folio_alloc_swap", "vswap_cluster"),  # v6: inlined
        ("mm/vswap.c", "something_new", "vswap_other"),
        ("mm/swapfile.c", "swap_calibration_alloc", "calibration"),
        ("arch/x86/mm/pgtable.c", "pte_alloc_one", "page_tables"),
        ("mm/swapfile.c", "something_new", ""),
        ("mm/vmalloc.c", "__get_vm_area_node", ""),
        ("mm/memory.c", "__pte_alloc_kernel", ""),
        ("kernel/fork.c", "dup_task_struct", ""),
    ],
)
def test_sites_have_their_structure(file: str, func: str, structure: str) -> None:
    assert _named(file, func) == structure


@pytest.mark.parametrize(
    ("file", "func", "structure"),
    [
        ("mm/vmalloc.c", "__get_vm_area_node", "vswap_areas"),
        ("mm/vmalloc.c", "alloc_vmap_area", "vswap_areas"),
        ("mm/memory.c", "__pte_alloc_kernel", "vmalloc_tables"),
        ("mm/memory.c", "__pte_alloc", "page_tables"),
    ],
)
def test_what_a_vmalloc_area_takes_is_named_where_clusters_are_areas(
    file: str, func: str, structure: str
) -> None:
    assert _named(file, func, files=frozenset({"mm/vswap.c"})) == structure


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_vectors_of_slab_objects_follow_from_slabinfo(version: str) -> None:
    """Against kernels that count them: what is found without their count is that count."""
    folder = GOLDEN / version
    parsed = probes.parse("/proc/slabinfo", (folder / "slabinfo.txt").read_text()).records
    slabs = {(one.key, one.field): one.value for one in parsed}
    text = (folder / "allocinfo.txt").read_text()
    found = re.search(r"(\d+) +\d+ mm/slub.c:\d+ func:alloc_slab_obj_exts", text)
    assert found
    counted = int(found[1])
    key = (*vectors.SITE, 1)
    assert vectors.untagged({key: counted}, slabs) == 0
    assert vectors.untagged({}, slabs) == 0
    assert vectors.untagged({key: 0}, slabs) == pytest.approx(counted, rel=0.05)


def test_vectors_are_no_more_than_kmalloc_has() -> None:
    def slabs(objects: int) -> dict[tuple[str, str], float]:
        return {
            ("zswap_entry", "num_slabs"): 100, ("zswap_entry", "objperslab"): 73,
            ("kmalloc-2k", "active_objs"): objects, ("kmalloc-2k", "objsize"): 2048,
            ("kmalloc-2k", "num_slabs"): 20, ("kmalloc-2k", "objperslab"): 8,
        }  # fmt: skip

    key = (*vectors.SITE, 2123)
    assert vectors.untagged({key: 0}, slabs(150)) == 100 * 2048
    assert vectors.untagged({key: 0}, slabs(30)) == 30 * 2048


def test_vectors_that_no_site_counts_are_profilings() -> None:
    table = (
        "slabinfo - version: 2.1\n# name\n"
        "zs_handle 5120 5120 8 512 1 : tunables 0 0 0 : slabdata 10 10 0\n"
        "kmalloc-8k 12 12 8192 4 8 : tunables 0 0 0 : slabdata 3 3 0\n"
    )
    sites = "allocinfo - version: 1.0\n0 0 mm/slub.c:2120 func:alloc_slab_obj_exts\n" + (
        "0 0 mm/slub.c:2123 func:alloc_slab_obj_exts\n9 1 mm/slub.c:3075 func:alloc_slab_page\n"
    )
    files = tuple(
        telemetry.File(path, text.encode())
        for path, text in (("/proc/slabinfo", table), ("/proc/allocinfo", sites))
    )
    raw = snapshot.numbers(telemetry.Sample(0, 0, "mark:before", files, (), 1, 0), [])
    assert raw.sites["mm/slub.c", "alloc_slab_obj_exts", 2120] == 10 * 8192
    mark = snapshot.MARK.fullmatch("before")
    assert mark
    (one,) = snapshot.snapshots([mark], [raw], {}, RULES)
    assert one.structures["profiling"] == 10 * 8192


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_every_swap_site_of_a_captured_kernel_is_named(version: str) -> None:
    boot = _captured(version)
    live = {name: count for name, count in boot.unnamed.items() if count}
    assert not [name for name in live if any(w in name for w in ("swap", "zsmalloc", "zram"))]
    assert boot.structures["zswap_entry"] == 10_880 * 56
    assert boot.structures["zsmalloc_handle"] == 10_880 * 8


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_a_captured_kernel_explains_its_memory(version: str) -> None:
    """The sum of all sites, less the slab objects, is the memory in use but for boot-time pages."""
    boot = _captured(version)
    assert 0 < boot.used - boot.explained < 0.06 * boot.used


def _captured(version: str) -> snapshot.Snapshot:
    names = ("allocinfo", "slabinfo", "vmallocinfo", "meminfo", "vmstat")
    files = tuple(
        telemetry.File(f"/proc/{name}", (GOLDEN / version / f"{name}.txt").read_bytes())
        for name in names
    )
    assert all(probes.find(file.path) for file in files)
    notes: list[str] = []
    raw = snapshot.numbers(telemetry.Sample(0, 0, "mark:before", files, (), 1, 0), notes)
    assert not notes
    mark = snapshot.MARK.fullmatch("before")
    assert mark
    return snapshot.snapshots([mark], [raw], {}, RULES)[0]


def _read(root: Path, fake: Fake, arm: str = "base", size: str = "512M") -> snapshot.Boot:
    results = fake_overhead.write(root, fake)
    boot = snapshot.read(results / "boots" / f"{fake.kind}-{size}.overhead" / f"00-{arm}", RULES)
    assert boot is not None
    return boot


def test_a_boot_is_read_as_it_was_made(tmp_path: Path) -> None:
    boot = _read(tmp_path, Fake(residual=123 * 1024))
    assert (boot.backend, boot.kind, boot.arm, boot.pair) == ("zswap", "zswap", "base", 0)
    assert boot.slots == (512 << 20) // 4096 - 1 and boot.has_allocinfo and not boot.notes
    assert [one.stage for one in boot.snapshots] == [
        "before", "swapon", *["filled"] * 5, "fragmented", "sparse", "exited", "swapoff",
    ]  # fmt: skip
    # The metric's pages, not the rounded ones of the mark.
    full = boot.at("filled")
    assert full and full.pages == boot.slots
    half = boot.at("fragmented")
    assert half and half.touched == boot.slots and half.pages == boot.slots // 2
    assert boot.change(full, "swap_cgroup") == 2 * boot.slots
    assert boot.change(full, "xarray_nodes") == 8 * boot.slots
    assert boot.residual(full) == pytest.approx(123 * 1024, abs=1024)
    empty = boot.at("swapon")
    assert empty and boot.residual(empty) == pytest.approx(0, abs=1024)


def test_pages_that_a_cpu_takes_while_files_are_read_are_no_residual(tmp_path: Path) -> None:
    batch = 63 * 4096
    boot = _read(tmp_path / "warm", Fake(warm=True, skew=batch))
    assert boot.snapshots[0].stage == "before"
    assert all(abs(boot.residual(one)) <= 4096 for one in boot.snapshots)
    # A boot without the mark "warm-up" is of 0.1.0 and keeps its figures.
    old = _read(tmp_path / "old", Fake(skew=batch))
    assert {round(old.residual(one) / batch) for one in old.snapshots} == {0, -1}


@pytest.mark.parametrize("counts_zero", [False, True])
def test_exact_pages_are_given_to_their_mark(tmp_path: Path, counts_zero: bool) -> None:
    boot = _read(tmp_path, Fake(counts_zero=counts_zero))
    filled = [one.pages for one in boot.snapshots if one.stage == "filled"]
    assert filled == [boot.slots * step // 4 for step in range(5)]


def test_without_allocinfo_the_stand_in_speaks(tmp_path: Path) -> None:
    old = Kernel(fake_overhead.OLD.sites, release="6.1.170", has_allocinfo=False)
    boot = _read(tmp_path, Fake(kernels={"base": old}))
    full = boot.at("filled")
    assert full and not boot.has_allocinfo and not full.unnamed
    assert boot.change(full, "zswap_entry") == 56 * boot.slots
    assert boot.change(full, "swap_map") == boot.slots // 4096 * 4096
    assert boot.change(full, "zeromap") == 0


def test_what_no_rule_names_is_kept_by_name(tmp_path: Path) -> None:
    odd = Site("mm/newthing.c:7 func:surprise", per(entry=3))
    boot = _read(tmp_path, Fake(kernels={"base": Kernel([*fake_overhead.OLD.sites, odd])}))
    full = boot.at("filled")
    assert full and full.unnamed["mm/newthing.c func:surprise"] == 3 * boot.slots
    assert full.structures[snapshot.UNNAMED] == 3 * boot.slots


def test_old_results_without_metrics_take_mark_and_size(tmp_path: Path) -> None:
    results = fake_overhead.write(tmp_path)
    folder = results / "boots" / "zswap-512M.overhead" / "00-base"
    (folder / "workload.jsonl").write_text('{"type":"done"}\nno json\n')
    facts = json.loads((folder / "boot.json").read_text())
    for size in ("512M", 512 << 20):
        facts["backend_settings"] = {"size": size}
        (folder / "boot.json").write_text(json.dumps(facts))
        boot = snapshot.read(folder, RULES)
        assert boot and boot.slots == 131_071 and boot.notes
        full = boot.at("filled")
        assert full and full.pages == 131_000


def test_a_boot_without_its_first_mark_does_not_count(tmp_path: Path) -> None:
    results = fake_overhead.write(tmp_path)
    folder = results / "boots" / "zswap-512M.overhead" / "00-base"
    (folder / "samples.raw.gz").write_bytes(b"no gzip")
    assert snapshot.read(folder, RULES) is None


RULES_TEXT = """structures:
  a: {kind: metadata, title: "a thing"}
allocinfo:
  - {structure: a, file: "mm/*.c", func: "f.*"}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "kind: metadata",
            "kind: gold",
            "structures.a: 'kind' is 'gold'; it must be one of metadata",
        ),
        ("structure: a", "structure: b", "allocinfo, entry 1: 'b' is not under structures"),
        (
            'func: "f.*"',
            'func: "(f"',
            "allocinfo, entry 1: 'func' is '(f'; it must be a regular expression",
        ),
        (
            'func: "f.*"',
            'caller: "f"',
            "allocinfo, entry 1: unknown key 'caller'; there are: beside, caveat",
        ),
        ("allocinfo:", "allocinf:", "did you mean 'allocinfo'?"),
        ('"a thing"', "[]", "structures.a: 'title' is an empty list; it must be a text"),
    ],
)
def test_mistakes_in_rules_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "sites.yaml"
    assert old in RULES_TEXT
    path.write_text(RULES_TEXT.replace(old, new))
    with pytest.raises(UserError) as caught:
        sites.load(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
