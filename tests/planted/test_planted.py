# SPDX-License-Identifier: GPL-2.0-only
"""Mistakes planted in 6.12 are found: a wrong byte, a lock order, memory that swapoff keeps.

`make planted`: four more kernels, two of them with lockdep, so it is no part of `make test`.  Uses
the user's own cache.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from harness.report import files
from harness.results import frames
from harness.stats.verdict import Kind
from harness.util.errors import Exit
from tests.e2e.test_compare import _harness

PLANTED = Path(__file__).parent
# Three pairs: fewer have no verdict.
PAIRS = 3


def _compare(folder: Path, name: str, cells: dict[str, Any], *more: str) -> tuple[int, Path]:
    """Compare 6.12 with itself and one planted patch; the status and the results folder."""
    spec = folder / f"{name}.yaml"
    spec.write_text(yaml.safe_dump({"name": name, **cells}), encoding="utf-8")
    words = ["--patch", str(PLANTED / f"{name}.patch"), "--base", "debian/6.12", "--accel", "tcg"]
    words += ["--spec", str(spec), "--results", str(folder), *more]
    done = _harness("compare", *words, timeout=10_000)
    return done.returncode, folder / name


def _outcomes(results: Path) -> dict[str, set[str]]:
    """By arm, how its boots ended."""
    found: dict[str, set[str]] = {}
    for path in results.glob("boots/*/*/boot.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(facts["arm"], set()).add(facts["outcome"])
    return found


def test_a_wrong_byte_is_found_on_every_back_end(tmp_path: Path) -> None:
    cells = {
        "backends": ["zram", "zswap", "swapfile"],
        "workloads": ["integrity"],
        "pairs": 1,
        "aa": False,
    }
    status, results = _compare(tmp_path, "corrupt", cells)
    assert status == Exit.KERNEL
    assert _outcomes(results) == {"base": {"ok"}, "patch": {"data-corrupted"}}
    first = (results / "report" / "report.txt").read_text("ascii").splitlines()[0]
    assert first.startswith("3 of 6 boots failed: data-corrupted")


def test_a_lock_order_is_found_by_the_debug_kernel(tmp_path: Path) -> None:
    cells = {"backends": ["zram"], "workloads": ["integrity"], "pairs": 1, "aa": False}
    status, results = _compare(tmp_path, "lockdep", cells, "--debug", "yes")
    assert status == Exit.KERNEL
    assert _outcomes(results) == {"base": {"ok"}, "patch": {"lockdep"}}
    (boot,) = results.glob("boots/*/00-patch/boot.json")
    assert "possible circular locking" in json.loads(boot.read_text("utf-8"))["detail"]
    assert "planted_o" in (boot.parent / "console.log").read_text("utf-8", "replace")


def test_memory_that_swapoff_keeps_is_a_worse_verdict(tmp_path: Path) -> None:
    """A byte a slot: 256 KiB for each swapoff of the default area of 1 GiB."""
    cells = {
        "backends": ["zram", "swapfile"],
        "workloads": [{"leftover": {"cycles": 16, "size": "16M"}}],
        "pairs": PAIRS,
        "aa": True,
    }
    status, results = _compare(tmp_path, "leak", cells)
    assert status == Exit.WORSE
    data = frames.load(results)
    assert set(data.boots["outcome"]) == {"ok"}
    found = {row.backend: row.verdict for row in files.read(results).primary}
    assert {name: one.kind for name, one in found.items() if one} == {
        "zram": Kind.WORSE,
        "swapfile": Kind.WORSE,
    }
    growth = data.metrics[data.metrics["name"] == "kernel_memory_growth"].set_index(
        ["backend", "arm", "pair"]
    )["value"]
    for backend in ("zram", "swapfile"):
        leaked = (growth[backend]["patch"] - growth[backend]["base"]).mean()
        # swap_map is whole pages, and the slots are a few less than the area has pages.
        assert 250 << 10 <= leaked <= 260 << 10, backend
