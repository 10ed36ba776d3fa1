# SPDX-License-Identifier: GPL-2.0-only
"""An overhead report says what the raw files were made to say."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.results import checksums
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.studies import verify
from harness.studies.overhead import analysis, formats, phrases, report
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.overhead.text import render, summary
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO
from tests.fakes import overhead as fake_overhead
from tests.fakes import results as fake_results
from tests.fakes.overhead import ENTRY, NEW, NODES, OLD, Fake, Kernel, Site, per

MIB = 1 << 20


def _made(root: Path, fake: Fake | None = None) -> tuple[Overhead, str]:
    """Numbers and text; no plots, which take most of the time."""
    found = analysis.analyse(fake_overhead.write(root, fake))
    return found, render(found)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _one(found: Overhead) -> BackendOverhead:
    assert len(found.backends) == 1
    return found.backends[0]


def test_kernels_as_claimed_give_the_published_table(tmp_path: Path) -> None:
    found, text = _made(tmp_path)
    backend = _one(found)
    assert found.claim is not None and found.claim_fits
    assert [row.usage for row in backend.rows] == [0, 25, 50, 75, 100]
    for row in backend.rows:
        for cell in row.cells.values():
            assert cell.claimed is not None and cell.measured is not None
            assert cell.measured.value == pytest.approx(cell.claimed, abs=100)
            assert cell.plain == cell.claimed and cell.outside is False
    for key in ("claimed", "modelled", "measured"):
        assert backend.crossovers[key].usage == pytest.approx(100 * 3.125 / 8.125, rel=1e-5)
    assert "50% base 89.00 89.00" in _flat(text) and "!" not in text.split("How to read")[0]


def test_a_claim_that_is_not_what_is_allocated_is_flagged(tmp_path: Path) -> None:
    fat = Site("mm/vswap.c:397 func:vswap_alloc", per(entry=32))
    new = Kernel([*NEW.sites[:2], fat, *NEW.sites[3:]])
    found, text = _made(tmp_path, Fake(kernels={"base": OLD, "patch": new}))
    backend = _one(found)
    flags = [(row.usage, arm) for row in backend.rows for arm, c in row.cells.items() if c.outside]
    assert flags == [(usage, "patch") for usage in (25, 50, 75, 100)]
    assert "the claim lies outside the measured interval for patch at 25 %" in _flat(text)
    full = backend.rows[-1].cells["patch"].measured
    assert full and full.value == pytest.approx(256 * MIB, abs=1000)


def test_structures_have_their_weights(tmp_path: Path) -> None:
    found, text = _made(tmp_path)
    side = _one(found).sides["base"]
    weights = {n: (f.per_slot.value, f.per_entry.value) for n, f in side.fits.items()}
    expected = {
        "swap_map": (1, 0), "swap_cgroup": (2, 0), "zeromap": (1 / 8, 0), "swap_table": (0, 8),
        "xarray_nodes": (0, 8), "zswap_entry": (0, 56),
    }  # fmt: skip
    assert set(weights) == set(expected)
    for name, pair in expected.items():
        assert weights[name] == pytest.approx(pair, abs=1e-5)
    static = {one.structure: one for one in side.static if one.label == "zswap-1G"}
    # vmalloc keeps 8 bytes of pointer for each page, the fake does not.
    assert static["swap_map"].deviation == pytest.approx(100 * (1 / (1 + 8 / 4096) - 1), abs=0.05)
    assert "vswap_cluster +193.00, swap_table -64.00, xarray_nodes" in _flat(text)
    # The fake gives memory back byte by byte: a page costs the same wherever it is left.
    assert "the only page left of 512 keeps: base 72, patch 80" in _flat(text)


def test_data_and_process_memory_are_no_metadata(tmp_path: Path) -> None:
    found, _ = _made(tmp_path)
    assert set(_one(found).sides) == {"base", "patch"}
    for side in _one(found).sides.values():
        assert side.total is not None and side.total.per_entry.value < 100
        assert not {"zsmalloc", "anon"} & set(side.fits)


def test_noise_between_boots_widens_the_interval(tmp_path: Path) -> None:
    def noise(size: str, pair: int, arm: str) -> float:
        return [0, 40_000, -40_000][pair] if arm == "base" else 0.0

    quiet, _ = _made(tmp_path / "quiet", Fake(pairs=3))
    loud, _ = _made(tmp_path / "loud", Fake(pairs=3, noise=noise))
    widths = []
    for found in (quiet, loud):
        value = _one(found).rows[0].cells["base"].measured
        assert value and value.low is not None and value.high is not None
        widths.append(value.high - value.low)
        # 3 1/8 bytes for each usable slot, one less than the area has.
        assert value.low - 1 <= 25 * MIB - 3.125 <= value.high + 1
    assert widths[0] < 1
    assert widths[1] > 100_000


def test_one_boot_of_each_size_has_no_interval(tmp_path: Path) -> None:
    found, text = _made(tmp_path, Fake(pairs=1))
    for row in _one(found).rows:
        assert all(c.measured and c.measured.low is None for c in row.cells.values())
        assert all(c.outside is None for c in row.cells.values())
    assert "the claim lies outside" not in text


def test_what_stays_and_the_residual_are_shown(tmp_path: Path) -> None:
    found, text = _made(tmp_path, Fake(sizes=("1G",), leak=0.1, residual=300 * 1024))
    side = _one(found).sides["patch"]
    slots = fake_overhead.slots_of("1G")
    stages = {one.stage: one for one in side.levels}
    assert stages["swapoff"].metadata == pytest.approx(0.1 * slots * 80.125, rel=1e-3)
    assert stages["swapoff"].largest == "zswap_entry"
    assert stages["filled"].residual == pytest.approx(300 * 1024, abs=1024)
    assert stages["fragmented"].pages == slots // 2
    rows = [line.split() for line in text.splitlines()]
    assert ["swapoff", "patch", "0", "2.00", "-", "-", "zswap_entry"] in rows
    left = {tuple(row[:3]): row for row in rows}
    assert left["1/2", "freed", "patch"][3] == "131071"
    assert left["511/512", "freed", "patch"][3] == "511"
    assert "patch: largest residual 0.29 MiB" in _flat(text)
    assert stages["swapoff"].residual_of_all is None
    full = stages["filled"]
    assert full.residual_of_all == pytest.approx(100 * 300 * 1024 / full.used, rel=0.01)
    (said,) = phrases.residual(replace(side, levels=(full,)))
    assert f"{full.residual_of_all:+.1f}% of all that the back-end takes), zswap-1G" in said
    assert "Only one size of the swap area was booted" in _flat(text)


def test_a_growing_site_without_a_name_is_listed(tmp_path: Path) -> None:
    odd = [
        Site("mm/newthing.c:7 func:surprise", per(entry=3)),
        Site("mm/newthing.c:9 func:flat", per(slot=3)),
        Site("mm/newthing.c:11 func:tiny", per(entry=0.005)),
    ]
    patched = Kernel([*NEW.sites, *odd])
    found, text = _made(tmp_path, Fake(kernels={"base": OLD, "patch": patched}))
    side = _one(found).sides["patch"]
    assert [one.site for one in side.growing] == ["mm/newthing.c func:surprise"]
    assert side.growing[0].per_entry.value == pytest.approx(3, abs=1e-3)
    assert "mm/newthing.c func:surprise grows with the fill by 3.000 bytes" in _flat(text)
    assert not _one(found).sides["base"].growing


def test_a_step_is_called_one(tmp_path: Path) -> None:
    def stepped(slots: int, entries: int, touched: int) -> float:
        return 8 * entries + (4 * MIB if entries > 100_000 else 0)

    step = Site("mm/swapfile.c:443 func:swap_table_alloc", stepped)
    old = Kernel([*OLD.sites[:3], step, *OLD.sites[4:]])
    found, text = _made(tmp_path, Fake(kernels={"base": old, "patch": NEW}))
    assert _one(found).sides["base"].fits["swap_table"].shape.kind == "step"
    assert "base: swap_table steps at 131071 pages in swap" in _flat(text)


def test_stand_in_is_held_against_allocinfo(tmp_path: Path) -> None:
    found, text = _made(tmp_path)
    methods = {one.structure: one for one in _one(found).sides["base"].methods}
    assert methods["zswap_entry"].error == pytest.approx(0, abs=0.1)
    assert methods["zeromap"].error == -100 and methods["zeromap"].standin == 0
    assert methods["all metadata"].error == pytest.approx(100 * (59 / 75.125 - 1), abs=0.5)
    assert "of all metadata the stand-in is -21.5% off; it does not see" in _flat(text)


def test_a_kernel_without_allocinfo_says_so(tmp_path: Path) -> None:
    old = Kernel(OLD.sites, release="6.1.170", has_allocinfo=False)
    arms = {"base": {"name": "debian/6.1", "version": "6.1.170"}}
    fake = Fake(kernels={"base": old}, manifest={"arms": arms})
    found, text = _made(tmp_path, fake)
    side = _one(found).sides["base"]
    assert not side.methods and side.fits["zswap_entry"].per_entry.value == pytest.approx(56)
    assert "this kernel has no /proc/allocinfo" in _flat(text)
    assert side.kernel.model and side.kernel.model.name == "6.1"
    assert found.claim is None and not _one(found).crossovers


def test_other_kernels_than_the_claims_are_named(tmp_path: Path) -> None:
    series = {"name": "my-series", "patches": []}
    arms = {
        "base": {"name": "debian/6.12", "version": "6.12.117"},
        "patch": {"name": "my-series", "version": "6.12.117", "series": series},
    }
    found, text = _made(tmp_path, Fake(manifest={"arms": arms}))
    assert found.kernels["patch"].model is None and found.claim is None
    assert "no model of series my-series" in _flat(text)
    head = {"base": arms["base"], "patch": {"name": "vswap-v3", "series": {"name": "vswap-v3"}}}
    other, text = _made(tmp_path / "other", Fake(manifest={"arms": head}))
    assert other.claim is not None and not other.claim_fits
    assert "which are not the two kernels here" in _flat(text)


def test_what_a_look_up_left_out_stands_on_the_first_screen(tmp_path: Path) -> None:
    series = {"name": "my-series", "patches": [], "doubts": ["left out a later patch 2/2"]}
    arms = {"base": {"name": "a"}, "patch": {"name": "my-series", "series": series}}
    found, _ = _made(tmp_path, Fake(manifest={"arms": arms}))
    assert "- PATCHES: left out a later patch 2/2." in summary(found)


def _weighted(slot: float, entry: float) -> Kernel:
    sites = [
        Site("mm/swapfile.c:2520 func:swap_calibration_alloc", per(slot=slot)),
        Site("mm/swapfile.c:2530 func:swap_calibration_store", per(entry=entry)),
    ]
    return Kernel([*OLD.sites, *sites])


@pytest.mark.parametrize(("slot", "holds"), [(24 * (1 + 8 / 4096), True), (26.0, False)])
def test_known_weights_are_held_against_the_measurement(
    tmp_path: Path, slot: float, holds: bool
) -> None:
    series = {"name": "calibration-slot24", "patches": []}
    arms = {
        "base": {"name": "v6.19", "version": "6.19.0"},
        "patch": {"name": "calibration-slot24", "version": "6.19.0", "series": series},
    }
    fake = Fake(kernels={"base": OLD, "patch": _weighted(slot, 0)}, manifest={"arms": arms})
    results = fake_overhead.write(tmp_path, fake)
    assert report.make(results).status is (Exit.OK if holds else Exit.INFRA)
    known = _one(analysis.analyse(results)).known
    assert len(known) == 1 and known[0].measured
    assert known[0].measured.value == pytest.approx(slot, abs=1e-4)
    text = (results / "report" / "overhead.txt").read_text()
    assert ("DOES NOT AGREE" in text) != holds


def test_text_fits_a_mail_and_names_no_control_characters(tmp_path: Path) -> None:
    arms = {"base": {"name": "v6.19\x1b[31m\u202e <b>" * 9, "version": "6.19"}}
    _, text = _made(tmp_path, Fake(manifest={"arms": arms, "name": "x" * 90}))
    assert all(len(line) <= 72 for line in text.split("\n"))
    assert text.isascii() and "\t" not in text and "\x1b" not in text
    assert "\\x1b[31m\\u202e" in text


def test_page_escapes_and_needs_nothing_else(tmp_path: Path) -> None:
    arms = {"base": {"name": "<script>alert(1)</script>", "version": "6.19"}}
    made = report.make(fake_overhead.write(tmp_path, Fake(manifest={"arms": arms})))
    page = made.page.read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert page.count("<svg") == 1 + (made.folder / "report/plots/claim-zswap.svg").is_file()
    assert "src=" not in page and "vswap_cluster" in page


def test_csv_has_every_number(tmp_path: Path) -> None:
    made = report.make(fake_overhead.write(tmp_path, Fake(residual=4096)))
    rows = list(csv.DictReader(io.StringIO((made.folder / "report/overhead.csv").read_text())))
    boots = {(row["cell"], row["pair"], row["arm"]) for row in rows}
    assert len(boots) == 2 * 2 * 2
    full = [
        row
        for row in rows
        if (row["cell"], row["arm"], row["pair"]) == ("zswap-1G.overhead", "base", "0")
        and row["order"] == "6"
    ]
    by_name = {row["structure"]: row for row in full}
    assert int(by_name["zswap_entry"]["change"]) == 56 * 262_143
    assert float(by_name["zswap_entry"]["modelled"]) == 56 * 262_143
    assert abs(int(by_name["(residual)"]["change"]) - 4096) <= 1024
    assert by_name["zsmalloc"]["structure_kind"] == "data"


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    results = fake_overhead.write(tmp_path)
    first = _bytes(report.make(results).folder / "report")
    code = (
        "import sys; from pathlib import Path; from harness.studies.overhead import report; "
        "report.make(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(results)], cwd=REPO, check=True)
    assert _bytes(results / "report") == first
    assert {"overhead.txt", "overhead.csv", "overhead.html"} < set(first)
    assert "plots/structures-zswap.png" in first and "plots/claim-zswap.svg" in first


def _sealed(results: Path) -> Path:
    (results / "experiment.json").write_text("{}\n")
    for folder in (results / "boots").glob("*/*"):
        checksums.boot(folder)
    checksums.raw(results)
    report.make(results)
    checksums.report(results)
    return results


def test_verify_derives_an_overhead_report(tmp_path: Path) -> None:
    results = _sealed(fake_overhead.write(tmp_path))
    assert kind_of(results) is ResultKind.OVERHEAD
    assert verify.verify(results).holds
    table = results / "report" / "overhead.txt"
    table.write_text(table.read_text().replace("+193.00", "+19.30"))
    checksums.report(results)
    found = verify.verify(results)
    assert not found.recorded and not found.holds
    assert any("overhead.txt" in item.place and "193.00" in item.what for item in found.derived)


def test_a_comparison_is_no_overhead(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path)
    assert kind_of(results) is ResultKind.COMPARE
    with pytest.raises(UserError, match="no boot of the overhead workload"):
        report.make(results)


def test_a_failed_boot_is_named_and_the_rest_counts(tmp_path: Path) -> None:
    results = fake_overhead.write(tmp_path, Fake(pairs=3))
    broken = results / "boots" / "zswap-1G.overhead" / "01-patch" / "boot.json"
    facts = json.loads(broken.read_text()) | {"outcome": "panic", "detail": "Oops: 0002"}
    broken.write_text(json.dumps(facts))
    found = analysis.analyse(results)
    assert found.failed == ("zswap-1G.overhead 01-patch: panic: Oops: 0002",)
    text = report.make(results).text
    assert "zswap-1G.overhead 01-patch: panic: Oops: 0002" in text
    assert text.splitlines()[1].startswith("- 1 boot does not count: zswap-1G.overhead 01-patch:")
    assert len(_one(found).sides["patch"].boots) == 5


def test_two_back_ends_stand_apart(tmp_path: Path) -> None:
    results = fake_overhead.write(tmp_path)
    disk = Kernel([site for site in OLD.sites if site is not ENTRY])
    fake_overhead.write(tmp_path, Fake(kernels={"base": disk, "patch": NEW}, kind="swapfile"))
    found = analysis.analyse(results)
    assert [backend.name for backend in found.backends] == ["swapfile", "zswap"]
    claimed = found.backends[0].rows[-1].cells
    assert [claimed[arm].claimed for arm in ("base", "patch")] == [89 * MIB, 259 * MIB]


def test_zswap_without_an_area_is_fitted_by_entries_alone(tmp_path: Path) -> None:
    reason = "base: this kernel keeps nothing in zswap without a swap area behind it"
    fake = Fake(
        kernels={"patch": NEW},
        kind="zswap-alone",
        sizes=("512M",),
        pairs=3,
        alone=True,
        noise=lambda size, pair, arm: 4096.0 * pair,
        manifest={
            "pairs": 3,
            "cells": ["zswap-alone.overhead"],
            "halves": [{"cell": "zswap-alone.overhead", "arm": "patch", "reason": reason}],
        },
    )
    found, text = _made(tmp_path, fake)
    one = _one(found)
    assert found.failed == ()  # the base's boots are not missing
    side = one.sides["patch"]
    assert list(one.sides) == ["patch"] and side.total is not None
    assert side.total.per_slot.value == 0.0 and side.static == ()
    # 24.125 of the virtual slot and 56 of the zswap entry.
    assert side.total.per_entry.value == pytest.approx(80.125, rel=1e-6)
    assert side.total.const.value == pytest.approx(4096, rel=1e-3)
    assert "32G in zswap without a swap area, all metadata" in _flat(text)
    assert f"zswap-alone.overhead is measured on one kernel alone: {reason}" in _flat(text)
    assert "inf" not in text.split()


def test_a_page_costs_what_it_does_in_a_filled_area(tmp_path: Path) -> None:
    # A tree takes 10 bytes a page while it is nearly empty, and 9 when it is full.
    def tree(slots: int, entries: int, touched: int) -> float:
        return touched * (9 if slots < 1 << 17 else 10)

    trees = Kernel([*OLD.sites[:4], Site(NODES, tree), *OLD.sites[5:]])
    fake = Fake(kernels={"base": trees, "patch": NEW}, sizes=("256M", "1G"), fill="192M")
    found, text = _made(tmp_path, fake)
    side = _one(found).sides["base"]
    assert side.fits["xarray_nodes"].per_entry.value == pytest.approx(9, rel=1e-6)
    (off,) = side.sparse
    assert (off.structure, off.label, off.pages) == ("xarray_nodes", "zswap-1G", 49152)
    assert off.measured - off.line == pytest.approx(49152, rel=1e-3)
    assert "base: in a sparse area xarray_nodes is off that line: zswap-1G with 49152" in _flat(
        text
    )
    assert "the bytes an entry are those of areas filled to 75%" in _flat(text)
    assert _one(found).sides["patch"].sparse == ()


def test_two_means_of_measuring_are_not_subtracted(tmp_path: Path) -> None:
    old = Kernel(OLD.sites, release="6.1.170", has_allocinfo=False)
    found, text = _made(tmp_path, Fake(kernels={"base": old, "patch": NEW}))
    assert not _one(found).comparable
    assert "measured" not in _one(found).crossovers and "claimed" in _one(found).crossovers
    assert "do not subtract one from the other" in _flat(text)
    assert "patch - base" not in text


def _crowded(root: Path) -> Overhead:
    """Four back-ends, a claim that does not hold, a lost boot: more than a screen has lines for."""
    disk = Kernel([site for site in OLD.sites if site is not ENTRY])
    fat = Kernel([*NEW.sites[:2], Site("mm/vswap.c:397 func:vswap_alloc", per(entry=32))])
    alone = Fake(kernels={"patch": NEW}, kind="zswap-alone", sizes=("512M",), alone=True)
    results = fake_overhead.write(root, alone)
    for kind in ("swapfile", "zram", "zswap"):
        fake_overhead.write(root, Fake(kernels={"base": disk, "patch": fat}, kind=kind))
    return analysis.analyse(results)


def test_the_answer_is_on_the_first_screen(tmp_path: Path) -> None:
    found = _crowded(tmp_path)
    lines = summary(found).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 72
    assert render(found).startswith(summary(found)[:-1])
    assert lines[1].startswith("- ") and "do not count" in lines[1], "failures come first"
    rows = [line.split() for line in lines]
    assert ["zswap", "3.125", "0", "-3.125", "16.000", "32.000", "+16.000"] in rows
    claim = next(row for row in rows if row[:2] == ["zswap", "claim"])
    assert claim[-2:] == ["+40.00", "!"]
    # What did not fit is in the whole text, and nothing is there twice.
    more = int(next(line.split()[2] for line in lines if line.endswith("more below")))
    rest = _flat(render(found)).partition("More warnings")[2].partition("What was compared")[0]
    assert rest.count(" - ") == more


def test_without_a_claim_there_is_no_column_for_one(tmp_path: Path) -> None:
    arms = {"base": {"name": "v6.19", "version": "6.19.0"}}
    found, _ = _made(tmp_path, Fake(manifest={"arms": arms}))
    assert "claimed" not in summary(found) and "zswap all 601.00" in _flat(summary(found))


def test_other_formats_have_the_same_tables(tmp_path: Path) -> None:
    found, _ = _made(tmp_path)
    data = json.loads(formats.render(found, "json"))
    assert [table["rows"][0][0] for table in data["answer"]] == ["zswap", "zswap"]
    titles = [table["title"] for table in data["tables"]]
    assert "32G swap area, all metadata, MiB" in titles
    assert "Before the first page, base: bytes a slot" in titles, "not in the text, but here"
    for table in data["tables"]:
        assert table["backend"] == "zswap"
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
    shown = formats.render(found, "markdown")
    assert "| zswap | 3.125 | 0 | -3.125 | 72.000 | 80.125 | +8.125 |" in shown
    assert shown.count("### zswap: ") == len(titles)
    assert 'failures="0"' in formats.render(found, "junit")
