# SPDX-License-Identifier: GPL-2.0-only
"""The numbers in what a program prints."""

from __future__ import annotations

import json

from harness.experiment.about import Printed
from harness.results import printed

TEXT = """\
usemem: 1024 bytes
rate 12 MB/s
latency: 3.5 ms
latency = 4,500.25 ms
latency of what 7 ms
rate 14 MB/s
speed 1e3
speed nothing
speed 1e999
"""


def found(name: str, one: Printed) -> list[float]:
    lines = [json.loads(line) for line in printed.lines(TEXT, {name: one})]
    assert [line["round"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(line["name"] == name and line["unit"] == one.unit for line in lines)
    return [line["value"] for line in lines]


def test_a_pattern_finds_a_number_as_often_as_it_is_there() -> None:
    assert found("anything", Printed(match=r"rate (\d+) MB/s", unit="MB/s")) == [12, 14]


def test_a_line_is_a_name_a_value_and_a_unit() -> None:
    assert found("latency", Printed(unit="ms")) == [3.5, 4500.25]
    assert found("latency", Printed(unit="s")) == []


def test_what_is_no_finite_number_is_left_out() -> None:
    assert found("speed", Printed()) == [1000]
    assert found("any", Printed(match=r"speed ([a-z]+)$")) == []


def test_lines_come_before_the_one_that_ends_all() -> None:
    assert printed.inserted('{"a":1}\n{"type":"done"}\n', iter(["x", "y"])) == (
        '{"a":1}\nx\ny\n{"type":"done"}\n'
    )
    assert printed.inserted('{"type":"done"}\n', iter(["x"])) == 'x\n{"type":"done"}\n'


def test_the_phases_that_a_program_tells_are_metrics() -> None:
    jsonl = (
        '{"type":"phase","name":"fill","round":1,"begin_ns":5,"end_ns":12}\n'
        '{"type":"phase","name":"run","begin_ns":5,"end_ns":12}\nnonsense\n[]\n'
        '{"type":"phase","name":"fill","round":2,"begin_ns":20,"end_ns":50}\n'
    )
    found = [json.loads(line) for line in printed.phases(jsonl, ["fill", "read"])]
    assert found == [
        {"type": "metric", "name": "fill", "round": 1, "value": 7, "unit": "ns"},
        {"type": "metric", "name": "fill", "round": 2, "value": 30, "unit": "ns"},
    ]
