# SPDX-License-Identifier: GPL-2.0-only
"""The serial console: from its text to a typed outcome.

Pure: what the rules are stands in ``console.yaml``; nothing is run here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

import yaml

READY = "harness-init: ready"
"""The line with which the guest's init says that sshd answers."""
_STAMP = re.compile(r"^\[ *\d+\.\d+\](\[ *[CT]\d+\])? ?")


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
    UNPROVEN = "switch-unproven"
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


_Rule = tuple[Outcome, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class _Rules:
    """console.yaml, whose comments say what each part is for."""

    rules: tuple[_Rule, ...]
    fatal: frozenset[Outcome]
    brought_about: re.Pattern[str]
    begin: re.Pattern[str]
    end: re.Pattern[str]
    within: int


@cache
def _rules() -> _Rules:
    data = yaml.safe_load((Path(__file__).parent / "console.yaml").read_text(encoding="utf-8"))
    return _Rules(
        rules=tuple(
            (Outcome(one["outcome"]), re.compile(one["pattern"], re.MULTILINE))
            for one in data["rules"]
        ),
        fatal=frozenset(Outcome(name) for name in data["fatal"]),
        brought_about=re.compile(data["brought_about"]),
        begin=re.compile(data["begin"]),
        end=re.compile(data["end"]),
        within=int(data["within"]),
    )


class Reader:
    """Judges a console in pieces of whole lines, as it grows.

    fatal: the finding that ends the boot, or None.  A panic that an oops brought about (oops=panic)
    is told as that oops, its cause; one that a warning did (panic_on_warn) as that warning.
    """

    def __init__(self) -> None:
        self.fatal: ConsoleFinding | None = None
        self._number = 0
        self._above = ""
        self._warning: ConsoleFinding | None = None
        self._nameless: ConsoleFinding | None = None
        """A report that has begun and of which no rule knows a line so far."""

    def read(self, text: str) -> list[ConsoleFinding]:
        """What the next piece says."""
        found: list[ConsoleFinding] = []
        # Most pieces match no rule, and all others few: one search a rule, not one a rule and line.
        there = [rule for rule in _rules().rules if rule[1].search(text)]
        pieces = split(text)
        if not there and not self._nameless and not _rules().begin.search(text):
            self._number += len(pieces)
            self._above = pieces[-1] if pieces else self._above
            return found
        for line in pieces:
            outcome = next((outcome for outcome, pattern in there if pattern.search(line)), None)
            self._line(line, outcome, found)
            self._number, self._above = self._number + 1, line
        return found

    def end(self) -> list[ConsoleFinding]:
        """What is certain only because no more comes."""
        found: list[ConsoleFinding] = []
        self._keep_nameless(found)
        return found

    def _line(self, line: str, outcome: Outcome | None, found: list[ConsoleFinding]) -> None:
        rules = _rules()
        is_effect = outcome is Outcome.PANIC and rules.brought_about.search(line) is not None
        if outcome and outcome is not Outcome.GUEST_OOM and not is_effect:
            self._nameless = None
        elif self._nameless:
            if self._number == self._nameless.line + 1:
                self._nameless = replace(self._nameless, text=clean(line))
            beyond = self._number - self._nameless.line > rules.within
            if is_effect or beyond or rules.end.search(line):
                self._keep_nameless(found)
        if outcome:
            one = self._finding(outcome, line)
            found.append(one)
            if outcome is Outcome.WARNING:
                self._warning = one
            if outcome in rules.fatal and not self.fatal:
                self.fatal = (self._warning if is_effect else None) or one
        elif not self._nameless and rules.begin.search(line):
            self._nameless = ConsoleFinding(Outcome.WARNING, self._number, clean(line))

    def _finding(self, outcome: Outcome, line: str) -> ConsoleFinding:
        """Where a task's name has a newline in it, both lines are one."""
        if outcome is Outcome.HUNG_TASK and "INFO: " not in line and "INFO: " in self._above:
            both = f"{clean(self._above)} {unstamped(clean(line))}"
            return ConsoleFinding(outcome, self._number - 1, both)
        return ConsoleFinding(outcome, self._number, clean(line))

    def _keep_nameless(self, found: list[ConsoleFinding]) -> None:
        if self._nameless:
            found.append(self._nameless)
            self._warning, self._nameless = self._nameless, None


def findings(text: str) -> tuple[ConsoleFinding, ...]:
    """Every recognised line, in console order."""
    reader = Reader()
    return tuple(sorted((*reader.read(text), *reader.end()), key=lambda one: one.line))


def fatal(text: str) -> ConsoleFinding | None:
    """The finding that ends a boot, if there is one: see `Reader`."""
    reader = Reader()
    reader.read(text)
    return reader.fatal


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


def first(text: str, patterns: Sequence[str]) -> str:
    """The first line that one of the patterns matches; "" if none does."""
    made = [re.compile(pattern) for pattern in patterns]
    lines = split(text) if made else []
    return next((clean(line) for line in lines if any(one.search(line) for one in made)), "")


def tail(text: str, *, lines: int = 15) -> str:
    """The last lines of a console, without control characters."""
    return "\n".join(clean(line) for line in split(text)[-lines:])


def split(text: str) -> list[str]:
    """The lines: a newline ends one, and none of the other characters that a guest may print."""
    found = text.split("\n")
    return found if found[-1] else found[:-1]


def unstamped(line: str) -> str:
    """A line without the kernel's time stamp and the thread or CPU behind it."""
    return _STAMP.sub("", line)


def clean(line: str) -> str:
    """A line without control characters."""
    return "".join(char if char.isprintable() else "?" for char in line.rstrip("\r"))
