# SPDX-License-Identifier: GPL-2.0-only
"""The simulation of many hosts against what must hold, and what can be computed by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.longrun.scaling import Cluster, durations, simulate

_blocks = st.lists(st.floats(1, 200), min_size=1, max_size=60)


def sure(workers: int, **changes: float) -> Cluster:
    return Cluster(workers, per_host=1, image=0.0, overhead=0.0, **changes)


@given(_blocks, st.integers(1, 20))
@settings(max_examples=100)
def test_without_loss_the_makespan_lies_between_its_bounds(
    blocks: list[float], workers: int
) -> None:
    made = simulate(blocks, sure(workers), random.Random(0))
    least = max(*blocks, sum(blocks) / workers)
    assert least - 1e-6 <= made.makespan <= sum(blocks) / workers + max(blocks) + 1e-6
    assert made.lost == 0 and made.efficiency <= 1 + 1e-9


def test_one_worker_takes_the_sum_and_the_transfer() -> None:
    cluster = Cluster(1, per_host=1, image=200.0, uplink=100.0, overhead=0.5)
    made = simulate([30.0, 60.0], cluster, random.Random(0))
    assert made.makespan == pytest.approx(2 + 90 + 6 * 0.5)


def test_hosts_are_supplied_one_after_the_other() -> None:
    cluster = Cluster(4, per_host=1, image=1000.0, uplink=100.0, overhead=0.0)
    made = simulate([30.0] * 4, cluster, random.Random(0))
    assert made.makespan == pytest.approx(40 + 30)


@given(st.integers(0, 50), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_deaths_cost_time_and_no_result(seed: int, workers: int) -> None:
    blocks = durations(40, random.Random(seed))
    frail = sure(workers, mtbf=600.0, restart=30.0)
    plain, died = (simulate(blocks, one, random.Random(seed)) for one in (sure(workers), frail))
    # A death loses less than one boot and the time until the worker is back.
    worst = (max(blocks) / 3 + 30.0) * died.lost
    assert died.makespan <= plain.makespan + worst + max(blocks)


def test_drawn_times_are_as_the_measured_ones() -> None:
    drawn = sorted(durations(4000, random.Random(3)))
    assert drawn[0] >= 22 and drawn[-1] <= 181
    assert drawn[2000] == pytest.approx(65, rel=0.05)
