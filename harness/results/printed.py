# SPDX-License-Identifier: GPL-2.0-only
"""The numbers in what a program of the user's own prints, as lines of workload.jsonl.  Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.experiment.about import Printed

_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_MOST = 10_000
"""Values of one metric; each is a round."""


def lines(text: str, metrics: Mapping[str, Printed]) -> Iterator[str]:
    """A "metric" line for each number found; the values of one name are its rounds.

    A number may have commas between its digits.  What is found and is no finite number is left out.
    """
    for name, one in metrics.items():
        for number, value in enumerate(_values(text, name, one), 1):
            if number > _MOST:
                break
            yield _metric(name, number, value, one.unit)


def _values(text: str, name: str, one: Printed) -> Iterator[float]:
    plain = rf"^[ \t]*{re.escape(name)}[ \t:=]+({_NUMBER})(?:[ \t]*{re.escape(one.unit)})?[ \t\r]*$"
    for match in re.finditer(one.match or plain, text, re.MULTILINE):
        try:
            value = float((match[1] or "").replace(",", ""))
        except ValueError:
            continue
        if math.isfinite(value):
            yield value


def phases(jsonl: str, names: Sequence[str]) -> Iterator[str]:
    """A "metric" line for each round of the named phases, from the workload's own lines."""
    for line in jsonl.splitlines():
        try:
            one = json.loads(line)
            if one["type"] == "phase" and one["name"] in names:
                value = one["end_ns"] - one["begin_ns"]
                yield _metric(one["name"], one["round"], value, "ns")
        except (ValueError, LookupError, TypeError):
            continue  # whoever reads the lines says so


def _metric(name: str, number: int, value: float, unit: str) -> str:
    data = {"type": "metric", "name": name, "round": number, "value": value, "unit": unit}
    return json.dumps(data, separators=(",", ":"))


def inserted(jsonl: str, more: Iterable[str]) -> str:
    """The workload's lines with more of them before its last one, which says that it is done."""
    head, newline, last = jsonl.rstrip("\n").rpartition("\n")
    return "".join(f"{line}\n" for line in (*([head] if newline else []), *more, last) if line)
