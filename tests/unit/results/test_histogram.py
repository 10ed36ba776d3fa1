# SPDX-License-Identifier: GPL-2.0-only
"""The log-linear histogram against numpy on the raw values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.results import histogram
from harness.results.histogram import (
    HistogramError,
    bucket,
    from_json,
    from_values,
    index_of,
    merge,
)

_values = st.lists(st.integers(0, 2**40), min_size=1, max_size=200)
_sub_bits = st.integers(0, 10)


@given(st.integers(0, 2**64 - 1), _sub_bits)
def test_a_value_lies_in_its_bucket_and_the_bucket_is_narrow(value: int, sub_bits: int) -> None:
    low, width = bucket(index_of(value, sub_bits), sub_bits)
    assert low <= value < low + width
    assert width == 1 or width <= low * 2.0**-sub_bits


@given(st.integers(0, 5000), _sub_bits)
def test_buckets_join_without_gap(index: int, sub_bits: int) -> None:
    low, width = bucket(index, sub_bits)
    assert index_of(low, sub_bits) == index
    assert bucket(index + 1, sub_bits)[0] == low + width


def test_the_defined_indices() -> None:
    # m = 5: exact below 64, then 32 buckets to each power of two.
    assert [index_of(v, 5) for v in (0, 31, 32, 63, 64, 65, 66, 127, 128)] == [
        0, 31, 32, 63, 64, 64, 65, 95, 96,
    ]  # fmt: skip


@given(_values, _sub_bits, st.floats(0, 100))
def test_percentiles_are_as_near_as_promised(
    values: list[int], sub_bits: int, percent: float
) -> None:
    # At a rank boundary the two may round the rank to different sides.
    exact = percent / 100 * len(values)
    assume(abs(exact - round(exact)) > 1e-5 or percent in (0, 100))
    truth = float(np.percentile(values, percent, method="inverted_cdf"))
    got = from_values(values, unit="ns", sub_bits=sub_bits).percentile(percent)
    assert abs(got - truth) <= truth * 2.0**-sub_bits


def test_rank_is_not_spoilt_by_floating_point() -> None:
    hist = from_values(range(1, 1001), unit="ns", sub_bits=10)
    assert hist.percentile(99.9) == 999
    assert hist.percentile(50) == 500
    assert hist.percentile(100) == 1000


@given(st.lists(_values, min_size=1, max_size=4), _sub_bits)
def test_merge_loses_nothing(parts: list[list[int]], sub_bits: int) -> None:
    merged = merge(from_values(part, unit="ns", sub_bits=sub_bits) for part in parts)
    everything = [value for part in parts for value in part]
    assert merged == from_values(everything, unit="ns", sub_bits=sub_bits)
    assert merged.total == len(everything)


@given(_values)
def test_ecdf_rises_to_one_and_bounds_the_true_one(values: list[int]) -> None:
    points = from_values(values, unit="ns").ecdf()
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    assert points[-1][1] == 1.0
    for x, share in points:
        assert share == pytest.approx(np.mean([value <= x for value in values]))


@given(_values)
def test_mean_is_near(values: list[int]) -> None:
    assert from_values(values, unit="ns").mean() == pytest.approx(np.mean(values), rel=2**-5)


def test_json_line_round_trip() -> None:
    hist = from_values([3, 3, 70, 10**6], unit="ns")
    line = {"type": "hist", "unit": "ns", "sub_bits": 5, "counts": [list(c) for c in hist.counts]}
    assert from_json(json.loads(json.dumps(line))) == hist


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"sub_bits": 99, "counts": []},
        {"sub_bits": 5, "counts": 7},
        {"sub_bits": 5, "counts": [[1]]},
        {"sub_bits": 5, "counts": [[-1, 2]]},
        {"sub_bits": 5, "counts": [[10**9, 2]]},
        {"sub_bits": 5, "counts": [["a", 2]]},
    ],
)
def test_a_wrong_line_is_refused_by_name(line: dict[str, object]) -> None:
    with pytest.raises(HistogramError, match="histogram swapin"):
        from_json({"name": "swapin", **line})


def test_different_kinds_do_not_merge() -> None:
    with pytest.raises(HistogramError, match="different kinds"):
        merge([from_values([1], unit="ns"), from_values([1], unit="us")])


def test_empty_has_no_percentile() -> None:
    assert np.isnan(histogram.Histogram("ns", 5, ()).percentile(50))
