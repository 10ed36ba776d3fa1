# SPDX-License-Identifier: GPL-2.0-only
"""A report says what it leaves out, and when its figures are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import facts, files
from harness.results.manifest import Manifest
from tests.fakes.results import Fake, write

SKIPPED = [
    {"cell": "zram.zswap-writeback", "reason": "it needs the back-end zswap, not zram"},
    {"cell": "pmem.pageio", "reason": "patch: the kernel is built without CONFIG_BLK_DEV_PMEM"},
]


def both(folder: Path, **manifest: object) -> tuple[str, str]:
    """The text, its lines joined, and the page."""
    made = files.make(write(folder, Fake(pairs=2, manifest=manifest))).folder
    text = (made / "report.txt").read_text("ascii")
    assert max(map(len, text.splitlines())) <= 72
    return " ".join(text.split()), " ".join((made / "report.html").read_text("utf-8").split())


def test_skipped_cells_are_counted_first_and_listed_with_their_reason(tmp_path: Path) -> None:
    text, page = both(tmp_path, skipped=SKIPPED)
    assert "no failure. 2 cells were skipped." in text[:300] and "2 cells were skipped." in page
    for item in SKIPPED:
        assert f"{item['cell']}: {item['reason']}" in text
        assert f"<li>{item['cell']}: {item['reason']}</li>" in page


def test_without_any_nothing_is_said(tmp_path: Path) -> None:
    text, page = both(tmp_path, skipped=[])
    assert "skipped" not in text and "skipped" not in page
    assert "NO MEASUREMENT" not in text + page


def test_a_debug_kernels_figures_are_called_no_measurement(tmp_path: Path) -> None:
    text, page = both(tmp_path, debug=["CONFIG_DEBUG_VM", "CONFIG_PROVE_LOCKING"])
    for one in (text, page):
        assert "NO MEASUREMENT: a kernel was built with debug options" in one
        assert "(DEBUG_VM, PROVE_LOCKING)" in one


@pytest.mark.parametrize("damaged", [7, "x", [7], [{"cell": 1}], None])
def test_a_damaged_list_does_not_stop_a_report(tmp_path: Path, damaged: object) -> None:
    text, _ = both(tmp_path, skipped=damaged, debug=damaged if damaged != "x" else None)
    assert "How to read this" in text


def test_why_the_patches_may_not_be_what_was_meant_is_said_first() -> None:
    said = ["left out a later patch 2/2: 'x'", "b", "c", "d"]
    manifest = Manifest.tolerant({"arms": {"patch": {"series": {"doubts": said}}}})
    assert facts.doubts(manifest) == (
        "PATCHES: left out a later patch 2/2: 'x'.",
        "PATCHES: b.",
        "PATCHES: c.",
        "PATCHES: and 1 more, in manifest.json.",
    )
    assert facts.doubts(Manifest.tolerant({})) == ()
