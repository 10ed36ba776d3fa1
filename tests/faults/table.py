# SPDX-License-Identifier: GPL-2.0-only
"""The rows of the fault matrix, read from ``faults.yaml`` and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from harness.results.console import Outcome
from harness.util.errors import UserError
from harness.util.yamlfile import nearest

FILE = Path(__file__).with_name("faults.yaml")
WAYS = (
    "guest", "refused", "signal", "grow", "kills", "full", "second", "cache", "no-ccache", "half",
    "clock",
)  # fmt: skip
"""The ways to break things; see ``matrix.WAYS`` for what does them."""
AGAIN = ("", "complete", "same")


@dataclass(frozen=True, slots=True)
class ExpectedOutcome:
    """What must hold after a fault.

    within: seconds in which it must be noticed
    status: exit statuses of the command, one of which it must be
    outcome: of the boot that was hit, "" if it must leave no result
    says: a pattern that the command's words, or the boot's detail, must match
    keeps: files of the hit boot that must be there and not empty
    again: whether the same command must complete afterwards, or even give the "same" figures as a
        run that nobody disturbed
    """

    within: float
    status: tuple[int, ...]
    outcome: str = ""
    says: str = ""
    keeps: tuple[str, ...] = ()
    again: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: ``by`` names the way, ``settings`` are its parameters."""

    name: str
    what: str
    by: str
    expected: ExpectedOutcome
    settings: Mapping[str, Any]


def load(path: Path = FILE) -> tuple[Fault, ...]:
    """All rows in their order.  UserError names the row and key of a mistake."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if (
        not isinstance(data, dict)
        or set(data) != {"faults"}
        or not isinstance(data["faults"], dict)
    ):
        raise UserError(f"{path} must have one key, 'faults', a mapping of names to rows")
    return tuple(_fault(path, str(name), row) for name, row in data["faults"].items())


def select(faults: Sequence[Fault], only: Sequence[str]) -> tuple[Fault, ...]:
    """The rows named by ``only``, in the table's order; all if it is empty.  Raises UserError."""
    known = [fault.name for fault in faults]
    for name in only:
        if name not in known:
            raise UserError(f"there is no fault '{name}'{nearest(name, known)}; --list lists them")
    return tuple(fault for fault in faults if not only or fault.name in only)


def _fault(path: Path, name: str, row: Any) -> Fault:
    place = f"{path}: '{name}'"
    if not isinstance(row, dict) or not {"what", "by", "expect"} <= set(row):
        raise UserError(f"{place} needs the keys what, by and expect")
    unknown = set(row) - {"what", "by", "with", "expect"}
    if unknown:
        raise UserError(f"{place}: unknown key '{min(map(str, unknown))}'")
    if row["by"] not in WAYS:
        raise UserError(f"{place}: 'by' is '{row['by']}'{nearest(str(row['by']), WAYS)}")
    settings = row.get("with") or {}
    if not isinstance(settings, dict):
        raise UserError(f"{place}: 'with' must be a mapping")
    return Fault(name, str(row["what"]), row["by"], _expected(place, row["expect"]), settings)


def _expected(place: str, data: Any) -> ExpectedOutcome:
    known = [item.name for item in fields(ExpectedOutcome)]
    if not isinstance(data, dict) or not {"within", "status"} <= set(data):
        raise UserError(f"{place}: 'expect' needs at least within and status")
    for key in data:
        if key not in known:
            raise UserError(f"{place}: unknown key 'expect.{key}'{nearest(str(key), known)}")
    status = data["status"] if isinstance(data["status"], list) else [data["status"]]
    found = ExpectedOutcome(
        within=float(data["within"]),
        status=tuple(int(number) for number in status),
        outcome=str(data.get("outcome", "")),
        says=str(data.get("says", "")),
        keeps=tuple(data.get("keeps", ())),
        again=str(data.get("again", "")),
    )
    try:
        re.compile(found.says)
    except re.error as error:
        raise UserError(f"{place}: 'expect.says' is no pattern: {error}") from error
    if found.outcome and found.outcome not in set(Outcome):
        raise UserError(f"{place}: there is no outcome '{found.outcome}'")
    if found.again not in AGAIN:
        raise UserError(f"{place}: 'expect.again' is complete or same, not '{found.again}'")
    return found
