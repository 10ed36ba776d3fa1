# SPDX-License-Identifier: GPL-2.0-only
"""Known weights against measured ones: what is there is found, what is not is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.results.pairing import Measurement
from harness.series.registry import KnownEffect
from harness.studies.calibrate import report, text, weights
from harness.studies.calibrate.weights import KnownWeight
from harness.util.errors import UserError
from tests.fakes import results as fake_results
from tests.fakes.results import SWAPIN, Fake

ZRAM = ("zram-lz4.pageio",)


def comparison(folder: Path, added: float, *, scatter: float = 0.0, pairs: int = 6) -> Measurement:
    """Swap-in costs ``added`` instructions more."""
    fake = Fake(pairs=pairs, effect=1 + added / SWAPIN, scatter=scatter, cells=ZRAM)
    results = fake_results.write(folder, fake)
    return Measurement.load(results)


def weight(amount: float, tolerance: float = 0.0, series: str = "x") -> KnownWeight:
    return weights._weight(series, KnownEffect("swapin", amount, tolerance))


@pytest.mark.parametrize(
    ("added", "known", "tolerance", "found"),
    [(1004, 1000, 16, True), (14, 10, 16, True), (1100, 1000, 16, False), (900, 1000, 16, False)],
)
def test_a_weight_is_found_where_it_is_and_nowhere_else(
    tmp_path: Path, added: float, known: float, tolerance: float, found: bool
) -> None:
    (check,) = weights.weigh({"x": comparison(tmp_path, added)}, [weight(known, tolerance)])
    assert check.holds is found
    assert check.seen
    assert check.difference == pytest.approx(added, rel=0.002)
    assert check.low <= check.difference <= check.high
    assert check.wide[0] <= check.low and check.high <= check.wide[1]


@pytest.mark.parametrize(("added", "holds"), [(0, True), (2, True), (8, False), (-8, False)])
def test_a_null_series_must_be_equivalent(tmp_path: Path, added: float, holds: bool) -> None:
    (check,) = weights.weigh({"x": comparison(tmp_path, added)}, [weight(0)])
    assert check.holds is holds
    assert bool(weights.failures([check])) is not holds


def test_noise_hides_a_small_weight_and_that_is_said(tmp_path: Path) -> None:
    noisy = comparison(tmp_path, 10, scatter=0.01)
    (check,) = weights.weigh({"x": noisy}, [weight(10, 16)])
    assert check.holds and not check.seen


def test_one_pair_decides_nothing(tmp_path: Path) -> None:
    (check,) = weights.weigh({"x": comparison(tmp_path, 0, pairs=1)}, [weight(0)])
    assert not check.holds


@pytest.mark.parametrize("unit", [0.1, 0.7, 1 / 3])
def test_a_weight_that_is_met_to_the_last_digit_holds(unit: float) -> None:
    base = pd.Series([value * unit for value in (10_000.0, 10_007.0, 20_011.0)])
    patch = pd.Series([value * unit for value in (10_100.0, 10_107.0, 20_111.0)])
    for known in (100 * unit, 100.0 * 3 * unit / 3):
        one = KnownWeight("x", "swapin", known, known, known)
        check = weights._check(one, "zram.pageio", base, patch, count=4)
        assert check.low == check.high
        assert check.holds and check.seen
    wrong = KnownWeight("x", "swapin", 99 * unit, 99 * unit, 99 * unit)
    assert not weights._check(wrong, "zram.pageio", base, patch, count=4).holds


def test_a_metric_that_is_not_there_is_said(tmp_path: Path) -> None:
    one = KnownWeight("x", "swapfree", 0, 0, 0)
    with pytest.raises(UserError, match=r"x, zram-lz4\.pageio: no pair of boots with swapfree"):
        weights.weigh({"x": comparison(tmp_path, 0)}, [one])


@pytest.mark.parametrize(("heavy", "holds"), [(104, True), (120, False)])
def test_a_step_between_two_series_is_exact(tmp_path: Path, heavy: float, holds: bool) -> None:
    data = {"a": comparison(tmp_path / "a", 14), "b": comparison(tmp_path / "b", heavy)}
    known = [weight(10, 16, "a"), weight(100, 16, "b")]
    *_, check = weights.weigh(data, known, [("a", "b")])
    assert check.weight.known == 90
    assert check.holds is holds


def test_a_sound_calibration_fails_in_at_most_one_of_twenty() -> None:
    draw = np.random.default_rng(7)
    checks, rounds, failed = 12, 400, 0
    one = weight(100)
    for _ in range(rounds):
        for _ in range(checks):
            base = pd.Series(10_000 + draw.normal(0, 3, 6))
            patch = base + 100 + draw.normal(0, 3, 6)
            if not weights._check(one, "zram.pageio", base, patch, count=checks).holds:
                failed += 1
                break
    assert failed / rounds <= 0.075, "5 % and three standard errors"


def test_the_weights_of_the_registry_can_be_read() -> None:
    names = (*report.ALL_BACKENDS, *report.WAITING_ONLY)
    known = [w for series in names for w in weights.read(series, report.REGISTRY)]
    by_series = {w.series: w.known for w in known}
    assert by_series == {
        "calibration-null": 0,
        **{f"calibration-{way}{n}": n for way in ("in", "out") for n in (10, 100, 300, 1000, 3000)},
    }
    assert [w.metric for w in known if w.is_null] == ["swapin", "swapout"]


def test_a_table_line_fits_a_mail(tmp_path: Path) -> None:
    data = {"calibration-in1000": comparison(tmp_path, 1004)}
    checks = weights.weigh(data, [weight(1000, 16, "calibration-in1000")])
    one = data["calibration-in1000"]
    said = text.render("c", one, checks)
    assert max(map(len, said.splitlines())) <= 72 and said.isascii()
    assert said.startswith("All 1 checks hold.\n") and "+1000" in said
    failing = weights.weigh(data, [weight(2000, 16, "calibration-in1000")])
    lines = text.render("c", one, failing).splitlines()
    assert lines[0] == "1 of 1 checks fail:", "the answer comes first"
    assert [line.split()[0] for line in lines if line.endswith(" NO")] == ["in1000"]
    (said,) = weights.failures(failing)
    assert "known +2000" in said
