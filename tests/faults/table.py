# SPDX-License-Identifier: GPL-2.0-only
"""The rows of the fault matrix, read from ``faults.yaml`` and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from harness.results.console import Outcome
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import Amount, Check, Items, Model, Named, Regex, Text, nearest, one_of

FILE = Path(__file__).with_name("faults.yaml")
WAYS = (
    "guest", "refused", "signal", "grow", "kills", "full", "second", "cache", "no-ccache", "half",
    "clock",
)  # fmt: skip
"""The ways to break things; see ``matrix.WAYS`` for what does them."""
AGAIN = ("complete", "same")


_Status = Annotated[
    tuple[int, ...], Check(lambda v: tuple(v) if isinstance(v, list) else (v,), first=True)
]


@dataclass(frozen=True, slots=True)
class ExpectedOutcome(Model):
    """What must hold after a fault.

    within: seconds in which it must be noticed
    status: exit statuses of the command, one of which it must be
    outcome: of the boot that was hit, "" if it must leave no result
    says: a pattern that the command's words, or the boot's detail, must match
    keeps: files of the hit boot that must be there and not empty
    again: whether the same command must complete afterwards, or even give the "same" figures as a
        run that nobody disturbed
    """

    within: Amount
    status: _Status
    outcome: Annotated[str, one_of(Outcome)] = ""
    says: Regex = ""
    keeps: Items[Text] = ()
    again: Annotated[str, one_of(AGAIN)] = ""


@dataclass(frozen=True, slots=True)
class Fault(Model):
    """One row: ``by`` names the way, ``settings`` are its parameters."""

    name: str
    what: Text
    by: Annotated[str, one_of(WAYS)]
    expect: ExpectedOutcome
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table(Model):
    faults: Named[Fault]


def load(path: Path = FILE) -> tuple[Fault, ...]:
    """All rows in their order.  UserError names the row and key of a mistake."""
    return yamlfile.load(path, _Table).faults


def select(faults: Sequence[Fault], only: Sequence[str]) -> tuple[Fault, ...]:
    """The rows named by ``only``, in the table's order; all if it is empty.  Raises UserError."""
    known = [fault.name for fault in faults]
    for name in only:
        if name not in known:
            raise UserError(f"there is no fault '{name}'{nearest(name, known)}; --list lists them")
    return tuple(fault for fault in faults if not only or fault.name in only)
