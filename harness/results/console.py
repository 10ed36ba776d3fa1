# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: from its text to a typed outcome.

Pure: what the rules are stands in ``console.yaml``; nothing is run here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import yaml

READY = "harness-init: ready"
"""The line with which the guest's init says that sshd answers."""


class Outcome(StrEnum):
    """How one boot ended."""

    OK = "ok"
    PANIC = "panic"
    OOPS = "oops"
    LOCKDEP = "lockdep"
    SOFT_LOCKUP = "soft-lockup"
    HUNG_TASK = "hung-task"
    RCU_STALL = "rcu-stall"
    HANG = "hang"
    FLOOD = "flood"
    GUEST_OOM = "guest-oom"
    WARNING = "warning"
    BOOT_FAILED = "boot-failed"
    PREPARE_FAILED = "prepare-failed"
    WORKLOAD_FAILED = "workload-failed"
    CORRUPTED = "data-corrupted"
    LOST = "lost"
    TIMEOUT = "time-out"
    INFRA = "infrastructure"


@dataclass(frozen=True, slots=True)
class ConsoleFinding:
    """A console line that a rule recognised; ``line`` counts from 0."""

    outcome: Outcome
    line: int
    text: str


@cache
def _rules() -> tuple[tuple[tuple[Outcome, re.Pattern[str]], ...], frozenset[Outcome]]:
    data = yaml.safe_load((Path(__file__).parent / "console.yaml").read_text(encoding="utf-8"))
    rules = tuple((Outcome(rule["outcome"]), re.compile(rule["pattern"])) for rule in data["rules"])
    return rules, frozenset(Outcome(name) for name in data["fatal"])


def findings(text: str) -> tuple[ConsoleFinding, ...]:
    """Every recognised line, in console order."""
    rules, _ = _rules()
    found = []
    for number, line in enumerate(text.splitlines()):
        for outcome, pattern in rules:
            if pattern.search(line):
                found.append(ConsoleFinding(outcome, number, clean(line)))
                break
    return tuple(found)


def fatal(text: str) -> ConsoleFinding | None:
    """The finding that ends a boot, if there is one.

    A panic that an oops brought about (oops=panic) is told as that oops, its cause.
    """
    _, deadly = _rules()
    return next((item for item in findings(text) if item.outcome in deadly), None)


def worst(text: str, *, expected: Sequence[str] = ()) -> ConsoleFinding | None:
    """What a finished boot's console says: a fatal finding, else the first of any kind.

    Lines that match one of the ``expected`` patterns were brought about on purpose: they count
    only if they are fatal.
    """
    patterns = [re.compile(pattern) for pattern in expected]
    others = (
        item
        for item in findings(text)
        if not any(pattern.search(item.text) for pattern in patterns)
    )
    return fatal(text) or next(others, None)


def tail(text: str, *, lines: int = 15) -> str:
    """The last lines of a console, without control characters."""
    return "\n".join(clean(line) for line in text.splitlines()[-lines:])


def clean(line: str) -> str:
    """A line without control characters."""
    return "".join(char if char.isprintable() else "?" for char in line.rstrip("\r"))
