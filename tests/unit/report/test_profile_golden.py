# SPDX-License-Identifier: GPL-2.0-only
"""A real guest's profile gives its known sums: tests/golden/6.12/profile.

Profile boots of 6.12.118 and `calibration-in1000` over zram, QEMU 7.2, 8192 pages swapped in:
the second round's sum, with the chains and blocks that it has, and source lines of swap_read_folio
alone.  What the workload's clock said of that round stands beside it.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from harness.report.profile import analysis, tables
from harness.report.profile.model import Operation
from harness.results import profile
from harness.results.frames import Frames
from harness.results.profile import USER, Root

GOLDEN = Path(__file__).parents[2] / "golden/6.12/profile"
PAGES = 8192
CLOCK = {"base": 9806.453, "patch": 10810.894}
"""Instructions a page by the workload's own clock."""


@pytest.fixture(scope="module")
def one() -> Operation:
    rows = [
        {"cell": "zram.pageio", "name": "swapin", "pair": 0, "arm": arm, "value": value}
        for arm, value in CLOCK.items()
    ]
    empty = pd.DataFrame()
    data = Frames(empty, pd.DataFrame(rows), *[empty] * 10)
    manifest: Any = SimpleNamespace(clock="insn", primary=lambda *_: "swapin")
    found = analysis.analyse(GOLDEN, data, manifest)
    (operation,) = found.operations
    assert found.troubles == () and (operation.cell, operation.metric) == ("zram.pageio", "swapin")
    return operation


@pytest.mark.parametrize(
    ("arm", "insns", "user", "entered"),
    [("base", 80_351_364, 81_944, 16_202_410), ("patch", 88_579_799, 81_944, 20_299_362)],
)
def test_the_plugins_own_sums(arm: str, insns: int, user: int, entered: int) -> None:
    boot = profile.read(GOLDEN / f"boots/zram.pageio/00-{arm}.profile/profile.gz")
    ((number, found),) = boot.sums.items()
    assert (number, found.insns) == (7, insns)
    own = {chain: count.insns for chain, count in found.chains.items()}
    assert sum(own.values()) == insns
    in_user = sum(n for chain, n in own.items() if chain.functions[-1:] == (USER,))
    assert in_user == user
    kernel = sum(times * len(block.sizes) for block, times in found.entered.items())
    assert kernel == insns - user
    assert sum(found.entered.values()) == entered


def test_totals_are_the_clocks(one: Operation) -> None:
    assert one.total.base == pytest.approx(80_351_364 / PAGES)
    assert one.total.patch == pytest.approx(88_579_799 / PAGES)
    # QEMU 7.2's clock misses some instructions of a page fault.
    assert [ratio == pytest.approx(2e-4, abs=0.5e-4) for _, ratio in one.off] == [True, True]
    assert not tables.is_off(one)
    assert sum(item.cost.base or 0 for item in one.roots) == pytest.approx(one.total.base)
    assert sum(item.cost.patch or 0 for item in one.parts) == pytest.approx(one.total.patch, abs=1)


def test_functions_have_what_they_had(one: Operation) -> None:
    own = {item.name: item.own for item in one.functions if item.root is Root.WORK}
    assert {name: own[name].base for name in ("swap_read_folio", "do_swap_page", "xas_load")} == {
        "swap_read_folio": 62, "do_swap_page": 355, "xas_load": 261,
    }  # fmt: skip
    assert own["LZ4_decompress_safe"].base == own["LZ4_decompress_safe"].patch == 27_388_400 / PAGES
    first, *_ = one.functions
    assert (first.name, first.own.change, first.calls.base) == ("swap_read_folio", 1004, 1)
    assert [item.name for item in one.named()] == ["swap_read_folio"]
    whole = next(i for i in one.functions if i.name == "do_swap_page" and i.root is Root.WORK).whole
    assert whole.change == pytest.approx(1004, abs=1), "with all that it calls"


def test_the_weight_is_at_its_line(one: Operation) -> None:
    (burn,) = (item for item in one.lines if item.function == "swap_calibration_burn")
    assert (burn.file, burn.line, burn.into) == ("mm/swap_calibration.h", 30, "swap_read_folio")
    assert (burn.cost.base, burn.cost.patch) == (None, 1000)
