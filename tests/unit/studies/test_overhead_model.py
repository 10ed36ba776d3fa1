# SPDX-License-Identifier: GPL-2.0-only
"""Models reproduce the published table, and predict what kernels were seen to allocate."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.results.probes import allocinfo
from harness.studies.overhead import claim as claims
from harness.studies.overhead import model as models
from harness.studies.overhead import sites
from harness.util.errors import UserError

GOLDEN = Path(__file__).parents[2] / "golden"
CLAIM = claims.load("vswap-v3")
# Of a v6.19 kernel, 32 GiB swap area, 2 GiB of pages in zswap, from its /proc/allocinfo.
MEASURED_6_19 = {
    "swap_cgroup": 16_810_048,
    "swap_map": 8_405_024,
    "zeromap": 1_048_576,
    "cluster_info": 524_288,
    "swap_table": 4_198_400,
    "xarray_nodes": 4_903_264,
    "zswap_entry": 29_360_128,
    "zsmalloc_handle": 4_194_304,
}


@pytest.mark.parametrize("row", CLAIM.lines, ids=lambda row: f"{row.word}-{row.usage:g}")
def test_the_terms_give_the_published_table_exactly(row: claims.ClaimRow) -> None:
    assert len(CLAIM.lines) == 10
    old, new = models.load(CLAIM.models.old), models.load(CLAIM.models.new)
    assert old.plain(row.backend, CLAIM.slots, row.entries, claim=True) == row.old
    assert new.plain(row.backend, CLAIM.slots, row.entries, claim=True) == row.new


@pytest.mark.parametrize("site", MEASURED_6_19)
def test_with_rounding_it_predicts_what_was_allocated(site: str) -> None:
    slots, entries = (32 << 30) // 4096 - 1, (2 << 30) // 4096
    predicted = models.load("6.19").by_site("zswap", slots, entries)
    assert predicted[site] == pytest.approx(MEASURED_6_19[site], rel=0.01)


@pytest.mark.parametrize("version", ["6.12", "7.3"])
def test_arrays_and_tables_match_a_captured_kernel_to_the_byte(version: str) -> None:
    """1 GiB of zswap over a swap file; zswap's own parts had fewer pages and are left out."""
    text = (GOLDEN / version / "allocinfo.txt").read_text()
    found: dict[str, float] = {}
    keys = {}
    for record in allocinfo.parse(text):
        if record.field == "bytes":
            site = allocinfo.site(record.key)
            keys[site.file, site.func, site.line] = record.value
    rules, files = sites.load(), frozenset(file for file, _, _ in keys)
    for key, place in sites.places(keys).items():
        name = rules.place(place, files)
        if name:
            found[name] = found.get(name, 0) + keys[key]
    used = re.search(r"(\d+)\s+-\d+\n", (GOLDEN / version / "swaps.txt").read_text())
    assert used
    predicted = models.load(version).by_site("zswap", 262_143, int(used[1]) // 4)
    arrays = {
        "6.12": ("swap_map", "swap_cgroup", "zeromap", "zswap_trees", "swap_spaces"),
        "7.3": ("zswap_trees", "swap_table", "swap_table_memcg"),
    }[version]
    assert {n: predicted[n] for n in arrays} == {n: found[n] for n in arrays}
    if version == "7.3":  # and the allocator's place on a disk that rotates
        assert found["cluster_info"] - predicted["cluster_info"] == 64


@pytest.mark.parametrize("name", models.names())
def test_every_model_speaks_of_structures_that_have_a_rule(name: str) -> None:
    model = models.load(name)
    known = set(sites.load().of_kind("metadata"))
    without_rule = {"frontswap_map"}
    assert {term.measured_as for term in model.structures} <= known | without_rule
    for backend in models.BACKENDS:
        sizes = [model.rounded(backend, 262_143, e) for e in range(0, 262_144, 4096)]
        assert sizes == sorted(sizes)


def test_a_cluster_stays_until_all_of_it_is_free() -> None:
    old = models.load("6.19")
    half = old.by_site("zswap", 262_143, 50_000, touched=100_000)
    full = old.by_site("zswap", 262_143, 100_000)
    assert half["swap_table"] == full["swap_table"]
    assert half["zswap_entry"] == full["zswap_entry"] / 2


@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
def test_descriptors_of_vswap_are_rounded_to_a_power_of_two(version: str) -> None:
    new = models.load(f"vswap-{version}")
    assert new.by_site("zswap", 8_388_607, 512)["vswap_cluster"] == 16_384


def test_descriptors_of_vswap_v6_are_three_pages_a_header_and_an_area() -> None:
    new = models.load("vswap-v6")
    first, both = (new.by_site("zswap", 8_388_607, pages) for pages in (511, 512))
    # 3 pages and the array of their pointers (kmalloc-32), the header; vm_struct and vmap_area.
    assert first["vswap_cluster"] == 3 * 4096 + 32 + 112
    assert first["vswap_areas"] == 96 + 72
    # Slot 0 is never given out, so 512 pages need a second cluster.
    assert both["vswap_cluster"] == 2 * first["vswap_cluster"]
    assert new.by_site("zswap", 8_388_607, 0)["vswap_cluster"] == 0
    # What is not its own is that of v3.
    old = models.load("vswap-v3").by_site("swapfile", 8_388_607, 70_000)
    now = new.by_site("swapfile", 8_388_607, 70_000)
    assert {name for name in now if now[name] != old.get(name)} == {"vswap_cluster", "vswap_areas"}
    # Virtual slots are not bounded by an area.
    assert new.by_site("zswap-alone", 0, 70_000)["vswap_cluster"] == 137 * first["vswap_cluster"]


def test_a_model_is_like_one_that_is_like_none(tmp_path: Path) -> None:
    folder = _write(tmp_path, MODEL)
    for name, text, said in (
        ("n", "title: t\nlike: m\n", ""),
        ("o", "title: t\nlike: n\n", "'n'"),
        ("p", "title: t\nlike: q\n", "'q'"),
        ("r", "title: t\nlike: r\n", "'r'"),
    ):
        (folder / f"{name}.yaml").write_text(text)
        if not said:
            assert models.load(name, folder).structures == models.load("m", folder).structures
            continue
        with pytest.raises(UserError, match=f"{name}.yaml: like names no model.*{said}"):
            models.load(name, folder)


@given(st.integers(1, 1 << 40))
def test_allocators_never_give_less_nor_far_too_much(size: int) -> None:
    assert size <= models.kmalloc(size) <= max(2 * size + 4096, 8)
    assert size <= models.vmalloc(size) <= size * (1 + 8 / 4096 + 1e-5) + 4 * 4096
    assert size <= models.kvmalloc(size)


def test_vmalloc_counts_its_pointers() -> None:
    assert models.vmalloc(262_144) == 262_144 + 512
    assert models.vmalloc(8 << 20) == 8_405_024  # the array of pointers is vmalloc'ed, too
    assert models.vmalloc(0) == models.kmalloc(0) == 0


def test_tree_nodes() -> None:
    assert models.tree_nodes(0) == 0
    assert models.tree_nodes(1) == 3
    assert models.tree_nodes(16_384) == 256 + 4 + 1
    assert models.tree_nodes(2 * 16_384) == 2 * 261
    assert models.tree_nodes(16_384, fanout=16) == 1024 + 64 + 4 + 1


MODEL = """title: t
structures:
  - name: a
    allocated: objects
    per_slot: 1/4
    source: "x.c:f"
"""


def _write(folder: Path, text: str, name: str = "m") -> Path:
    (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("slots", "nodes"),
    [(8388607, (288, 576, 864, 1152)), (1048575, (288, 576, 832, 1088))],
)
def test_trees_whose_clusters_are_taken_in_turn(slots: int, nodes: tuple[int, ...]) -> None:
    # As counted on 6.12, swap file, at 64, 128, 192 and 256 MiB of 32 and 4 GiB.
    assert tuple(models.spread_nodes(16384 * k, slots, 32) for k in (1, 2, 3, 4)) == nodes


@pytest.mark.parametrize(
    ("slots", "nodes"),
    [(8388607, (626, 1266, 1906, 2546)), (1048575, (626, 1264, 1776, 2288))],
)
def test_trees_of_zswap_have_the_indices_of_the_area(slots: int, nodes: tuple[int, ...]) -> None:
    # The same on zswap: its trees and the swap cache's; a few nodes were there before.
    for k, counted in enumerate(nodes, 1):
        both = (models.spread_nodes(16384 * k, slots, 32, absolute=own) for own in (False, True))
        assert counted - 3 <= sum(both) <= counted


@given(st.integers(1, 1 << 19), st.integers(0, 1 << 19))
def test_a_full_area_is_the_same_in_any_order(slots: int, entries: int) -> None:
    entries = min(entries, slots)
    spread = models.spread_nodes(entries, slots, 32)
    assert spread >= math.ceil(entries / 64)
    whole = slots // models.CLUSTER // 32 * (1 << 14)
    if whole:
        assert models.spread_nodes(whole, whole - 1, 32) == models.tree_nodes(whole)
    assert models.spread_nodes(entries + 1, slots + 1, 32) >= 1


def test_a_fraction_is_a_number(tmp_path: Path) -> None:
    model = models.load("m", _write(tmp_path, MODEL))
    assert model.plain("zram", 8, 0) == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "per_slot: 1/4",
            "per_slt: 1",
            "structures.a: unknown key 'per_slt'; did you mean 'per_slot'?",
        ),
        (
            "per_slot: 1/4",
            "per_slot: 1/0",
            "structures.a: 'per_slot' is '1/0'; it must be a number",
        ),
        (
            "per_slot: 1/4",
            "per_slot: -1",
            "structures.a: 'per_slot' is '-1'; it must be at least 0",
        ),
        (
            "allocated: objects",
            "allocated: magic",
            "structures.a: 'allocated' is 'magic'; it must be one of",
        ),
        (
            "per_slot: 1/4",
            "backends: [tape]",
            "structures.a.backends: entry 1 is 'tape'; it must be one of",
        ),
        ('source: "x.c:f"', "note: n", "structures.a: key 'source' is missing"),
        ("title: t", "title: 6.1", "'title' is '6.1'; it must be a text (YAML reads it as a"),
        (
            "  - name: a",
            "  - nam: a",
            "structures, entry 1: unknown key 'nam'; did you mean 'name'?",
        ),
    ],
)
def test_mistakes_in_a_model_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        models.load("m", _write(tmp_path, MODEL.replace(old, new)))
    assert said in str(caught.value) and "m.yaml" in str(caught.value)


def test_an_unknown_model_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model 5\.4 .*known: m"):
        models.load("5.4", _write(tmp_path, MODEL))


def test_claim_crossovers_are_exact() -> None:
    zswap, disk = CLAIM.crossover("zswap"), CLAIM.crossover("swapfile")
    # N * (2 + 1 + 1/8) = e * (24 + 1/8 - 16); N * (3 + 1/8 - 1/4) = e * (32 + 1/8 - 8)
    assert zswap and zswap.usage == pytest.approx(100 * 3.125 / 8.125, rel=1e-12)
    assert disk and disk.usage == pytest.approx(100 * 2.875 / 24.125, rel=1e-12)
    assert CLAIM.crossover("zram") is None
    assert claims.for_series("vswap-v3") == CLAIM
    assert claims.for_series("something") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unit: MiB", "unit: MB", "'unit' is 'MB'; it must be one of B, KiB"),
        (
            "[zswap, 25, 57.00, 48.25]",
            "[tape, 25, 57, 48]",
            "rows, entry 2: 'tape' is none of the words of backends",
        ),
        (
            "[zswap, 25, 57.00, 48.25]",
            "[zswap, 125, 57, 48]",
            "rows, entry 2: entry 2 is '125'; it must be from 0 to 100",
        ),
        (
            "swap_bytes: 34359738368",
            "swap_bytes: 32G",
            "'swap_bytes' is '32G'; it must be a whole number",
        ),
        ("disk: swapfile", "disk: tape", "backends: 'disk' is 'tape'; it must be one of"),
    ],
)
def test_mistakes_in_a_claim_are_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (claims.CLAIMS / "vswap-v3.yaml").read_text()
    assert old in text
    with pytest.raises(UserError) as caught:
        claims.load("c", _write(tmp_path, text.replace(old, new), "c"))
    assert said in str(caught.value)


def test_the_terms_of_the_claim_add_up_to_its_formulas() -> None:
    slots, entries = 1 << 20, 1 << 18
    for name, backend, per_slot, per_entry in (
        ("6.19", "zswap", 3.125, 16),
        ("6.19", "swapfile", 3.125, 8),
        ("vswap-v3", "zswap", 0, 24.125),
        ("vswap-v3", "swapfile", 0.25, 32.125),
        ("vswap-v6", "zswap", 0, 24.125),
        ("vswap-v6", "swapfile", 0.25, 32.125),
    ):
        plain = models.load(name).plain(backend, slots, entries, claim=True)
        assert math.isclose(plain, per_slot * slots + per_entry * entries, rel_tol=0, abs_tol=0)
