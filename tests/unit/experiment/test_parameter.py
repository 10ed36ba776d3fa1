# SPDX-License-Identifier: GPL-2.0-only
"""A value that a workload's program would refuse in the guest is refused before a build."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment import parameter, workload
from harness.util.errors import UserError


def loaded(name: str, **values: Any) -> dict[str, str]:
    return dict(workload.load(name, overrides=values).parameters)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("pageio", "content", "fuzzy", "'content' is 'fuzzy'; it must be zero, random, same:BYTE"),
        ("pageio", "content", "compressible:101", "or compressible:PERCENT"),
        ("pageio", "content", "same:fff", "same:BYTE"),
        ("pageio", "content", "compressible", "e.g. compressible:30"),
        ("pageio", "order", "radnom", "one of sequential, random; did you mean 'random'?"),
        ("pageio", "hugepages", "sometimes", "one of never, always, system"),
        ("pageio", "size", "1000", "from 4K to 4T"),
        ("pageio", "size", "4097", "a multiple of 4096 bytes"),
        ("pageio", "size", "big", "a size, e.g. 64M"),
        ("pageio", "rounds", 0, "a whole number from 1 to 1000"),
        ("pageio", "rounds", "two", "a whole number from 1 to 1000"),
        ("pageio", "seed", -1, "a whole number from 0 to 4294967295"),
        ("pageio", "allow-resident", "perhaps", "'allow-resident' is 'perhaps'; it must be yes"),
        ("fill", "level", 101, "a whole number from"),
        ("refault", "hot", "101", "a whole number from 0 to"),
        ("selftests", "only", "a b", "at most 127 letters"),
        ("stress", "stressor", "cpu", "one of vm, pageswap"),
        ("kbuild", "level", "-O9", "one of -O0, -O1, -O2, -O3, -Os"),
    ],
)
def test_a_value_is_checked(name: str, key: str, value: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        loaded(name, **{key: value})
    assert f"workload '{name}': '{key}' is '{value}'; it must be " in str(told.value)
    assert message in str(told.value)


def test_a_good_value_stays_as_it_is_written() -> None:
    made = loaded("pageio", size="64M", content="same:f", seed=7, **{"allow-resident": True})
    assert (made["size"], made["content"], made["seed"]) == ("64M", "same:f", "7")
    assert made["allow-resident"] == "1"
    assert loaded("selftests", only="")["only"] == ""


@pytest.mark.parametrize("text", ["64MiB", "64m", "64 M", "64MB"])
def test_a_size_reaches_the_program_as_it_reads_sizes(text: str) -> None:
    taken = {"takes": "size", "min": 0, "max": 1 << 42}
    if text == "64 M":
        with pytest.raises(UserError):
            parameter.taken(text, taken)
    else:
        assert parameter.taken(text, taken) == "64M"


@pytest.mark.parametrize("name", workload.names())
def test_each_default_is_a_value_that_the_parameter_takes(name: str) -> None:
    for key, item in workload.load(name).data["parameters"].items():
        assert parameter.taken(item["default"], item) == item["default"], key
