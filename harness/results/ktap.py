# SPDX-License-Identifier: GPL-2.0-only
"""KTAP: the text in which the kernel's own tests say what came of them -> results.

Pure: nothing is run.  Read are Documentation/dev-tools/ktap.rst (nesting by two blanks), the
output of tools/testing/selftests/kselftest.h (TAP version 13), that of kselftest's runner.sh,
which nests a program's output by "# ", and that of KUnit, whose older subtests have no version
line but "# Subtest: NAME".  A text that ends in the middle is a result, too: a kernel
may die under any test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from harness.results.console import unstamped

_VERSION = re.compile(r"(?:K?TAP) version \d+\s*$")
_PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*(.*))?$")
_RESULT = re.compile(r"(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*)$")
_DIRECTIVE = re.compile(
    r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR|exit=\d+)\b:?\s*(.*)$", re.I
)
_REMARK = re.compile(r"\s#\s()(.*)$")
"""What kselftest.h writes behind a result without a directive."""
_SUBTEST = re.compile(r"# Subtest: \S")
_NAMED = re.compile(r"(?:(?:# )?Subtest: |(?=selftests: ))(\S.*)$")
_RUN = re.compile(r"\[RUN\]\s+(\S.*)$")
_BAIL = "Bail out!"
_DEEPEST = 20
"""Levels of nesting that are read: a test's output is somebody else's, and may be anything."""


class Result(StrEnum):
    """What came of one test.

    XFAIL: it failed as its author expected (TODO, too); LOST: it was begun, or planned, and
    nothing came of it.
    """

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class KtapTest:
    """One test.

    path: its name, behind the names of those that it is part of
    directive: what stands behind the "#" of its line: "SKIP no swap"; "" if nothing does
    log: what it printed, the diagnostic lines before its own, without their "#"
    inner: whether it has tests of its own
    """

    path: tuple[str, ...]
    result: Result
    directive: str = ""
    log: tuple[str, ...] = ()
    inner: bool = False

    @property
    def name(self) -> str:
        """The path as one text."""
        return " > ".join(self.path)


@dataclass(frozen=True, slots=True)
class KtapResult:
    """All tests of a text, the outer ones behind those inside them; ``defects`` are sentences."""

    cases: tuple[KtapTest, ...]
    defects: tuple[str, ...]


@dataclass(slots=True)
class _Level:
    """What was read of one level of nesting."""

    path: tuple[str, ...]
    cases: list[KtapTest] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    planned: int | None = None
    skipped: str | None = None
    number: int = 0
    bailed: str | None = None
    context: str = ""
    bare: bool = False

    @property
    def where(self) -> str:
        return " > ".join(self.path) or "the whole"


def parse(text: str) -> KtapResult:
    """Results of a KTAP text; never raises, whatever is in it."""
    # A last line without an end is half of one: what it says may not be what it would have said.
    whole, _, half = text.rpartition("\n")
    lines = [line.rstrip() for line in whole.split("\n")]
    if not any(map(_VERSION.match, lines)):
        lines = [unstamped(line) for line in lines]  # KUnit's, out of the kernel's log
    if not any(map(_VERSION.match, lines)):
        return KtapResult((), ("there is no line 'TAP version' or 'KTAP version'",))
    level = _Level(())
    if half.strip():
        level.defects.append("the text ends in the middle of a line")
    _read(level, lines)
    return KtapResult(tuple(level.cases), tuple(level.defects))


def _read(level: _Level, lines: Sequence[str]) -> None:
    for line in lines:
        plan, result = _PLAN.match(line), _RESULT.match(line)
        if _VERSION.match(line):
            # What was said before it is no test's output.
            level.pending.clear()
        elif plan:
            level.planned, level.skipped = int(plan[1]), plan[2]
        elif result:
            _result(level, result)
        elif line.startswith(_BAIL):
            level.bailed = line.removeprefix(_BAIL).strip() or "no reason given"
        else:
            level.pending.append(line)
    _end(level)


def _result(level: _Level, found: re.Match[str]) -> None:
    """A line "ok" or "not ok", and what was printed since the one before it."""
    level.number += 1
    if found[2] and int(found[2]) != level.number:
        level.defects.append(f"{level.where}: test {level.number} calls itself {found[2]}")
        level.number = int(found[2])
    mark = _DIRECTIVE.search(found[3]) or _REMARK.search(found[3])
    said = found[3][: mark.start()] if mark else found[3]
    word = mark[1].upper() if mark else ""
    result = Result.FAIL if found[1] else Result.PASS
    if word == "SKIP":
        result = Result.SKIP
    elif word in {"TODO", "XFAIL"}:
        result = Result.XFAIL
    elif word in {"TIMEOUT", "ERROR"}:
        result = Result.FAIL
    directive = " ".join(filter(None, (mark[1], mark[2]))).strip() if mark else ""
    # kselftest.h writes "ok 4 # SKIP NAME".
    name = said.strip() or (mark[2].strip() if mark else "")
    _add(level, name or f"test {level.number}", result, directive)


def _add(level: _Level, name: str, result: Result, directive: str) -> None:
    """A test of this level, with what is inside it; equal names are told apart."""
    log = _outward(level.pending)
    level.pending = []
    for line in log:
        # mm's tests give many results one name, and say before what it is about.
        told = _RUN.match(line)
        level.context = told[1] if told else level.context
    whole = f"{level.context}: {name}" if level.context and level.path else name
    level.seen[whole] += 1
    if level.seen[whole] > 1:
        whole += f" ({level.seen[whole]})"
    path = (*level.path, whole)
    inside = _inside(path, log)
    level.cases += inside.cases
    level.defects += inside.defects
    level.cases.append(KtapTest(path, result, directive, log, inner=bool(inside.cases)))


def _inside(path: tuple[str, ...], log: Sequence[str]) -> KtapResult:
    """The tests in a test's own output, if there are any."""
    start = next((i for i, line in enumerate(log) if _VERSION.match(line)), None)
    lines = _headed(log) or _bare(log) if start is None else log[start:]
    if not lines or len(path) >= _DEEPEST:
        return KtapResult((), ())
    level = _Level(path, bare=start is None)
    _read(level, lines)
    return KtapResult(tuple(level.cases), tuple(level.defects))


def _headed(log: Sequence[str]) -> Sequence[str]:
    """The lines below "# Subtest: ", if there is a result among them; else none."""
    start = next((i for i, line in enumerate(log) if _SUBTEST.match(line)), len(log))
    return log[start + 1 :] if any(map(_RESULT.match, log[start:])) else ()


def _bare(log: Sequence[str]) -> list[str]:
    """The lines of a program that gives results without a header, from "ok 1" on; else none.

    Up to 6.12 cgroup's tests do so.  They do not flush before they fork, and a child prints what it
    inherited once more: the same result a second time is the same result.
    """
    results = [_RESULT.match(line) for line in log]
    start = next((i for i, one in enumerate(results) if one and one[2] == "1"), None)
    if start is None:
        return []
    told = dict.fromkeys(line for line, one in zip(log, results, strict=True) if one)
    kept = []
    for line, one in zip(log[start:], results[start:], strict=True):
        if not one:
            kept.append(line)
        elif line in told:
            del told[line]
            kept.append(line)
    return kept


def _outward(pending: Sequence[str]) -> tuple[str, ...]:
    """Lines of an inner level as they stand there: without "# ", or without their indentation."""
    heads = ((line, line.lstrip()) for line in pending)
    indents = [
        len(line) - len(bare)
        for line, bare in heads
        if _VERSION.match(bare) or _SUBTEST.match(bare)
    ]
    width = min((indent for indent in indents if indent), default=0)
    made = []
    for line in pending:
        if line.startswith("#"):
            made.append(line[1:].removeprefix(" "))
        else:
            made.append(line[width:] if not line[:width].strip() else line.lstrip())
    return tuple(made)


def _end(level: _Level) -> None:
    """What is missing when the text of a level is over."""
    where = level.where
    named = [found[1] for line in _outward(level.pending) if (found := _NAMED.match(line))]
    if level.bailed is not None:
        level.defects.append(f"{where}: bailed out: {level.bailed}")
    if level.skipped and not level.number:
        return
    if level.planned is None and not level.bare:
        level.defects.append(f"{where}: there is no plan (1..N)")
    if named and level.number < (level.planned or level.number + 1):
        # Its output is there, and its line is not: the text ends in the middle of it.
        level.number += 1
        _add(level, named[-1], Result.LOST, "")
        level.cases[-1] = replace(level.cases[-1], directive="its output ends in the middle")
    if level.planned is not None and level.number != level.planned:
        level.defects.append(f"{where}: {level.planned} tests are planned, {level.number} reported")
