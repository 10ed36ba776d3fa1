# SPDX-License-Identifier: GPL-2.0-only
"""What both forms of the answer are made of: lines fit for a list, and the parts that they share.

ASCII, at most 72 columns, no tabs.  No line begins with a blank or ">" and none ends with a blank,
so that format=flowed changes nothing, and two rounds of quoting move all lines of a table alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from harness.experiment.meant import DIFF
from harness.report import layout, model, table
from harness.report.layout import WIDTH
from harness.report.model import Report
from harness.report.table import Table
from harness.results.manifest import ArmFacts, SeriesFacts
from harness.source.gitnames import CLONE
from harness.studies.overhead.analysis import Overhead
from harness.util.escape import visible

_FILLER = "|"
_FAILURES = 8
_PATCHES = 8


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves the numbers. name: the result; sha256: of its SHA256SUMS, None if it has none.

    made: the code and libraries that made this mail
    kept: files with the patches, or with the diff of a tree
    needs: what a repetition takes beside the bundle, one phrase each
    """

    name: str
    sha256: str | None
    made: str
    kept: Sequence[str] = ()
    needs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the mail says.

    overheads: measurements of memory to give beside the report; one at most is asked for
    only_overhead: the result is of `make overhead`, so there are no timings
    """

    report: Report
    overheads: Sequence[Overhead] = ()
    only_overhead: bool = False

    @property
    def commands(self) -> list[str]:
        """The commands that measure it again."""
        own = dict(self.report.facts.repeat)["Command"]
        return [own, *(one.command for one in self.overheads)]


titled = partial(layout.section, mark="-")
"""A heading of the mail and its lines; nothing without lines."""


def bullets(items: Iterable[str]) -> Iterator[str]:
    """Each item behind a dash, all lines in the first column."""
    for item in items:
        yield from wrap(f"- {item}")


def wrap(sentence: str) -> list[str]:
    """Lines that all begin in the first column."""
    lines = layout.wrap(sentence, rest="")
    return [f"_{line}" if line.startswith(("From ", ">")) else line for line in lines]


def lined(one: Table) -> list[str]:
    """A table whose lines all begin in the first column."""
    return table.text(one, filler=_FILLER, indent="")


def outcome(answer: Answer) -> Iterator[str]:
    """Failures first, then the verdicts."""
    report = answer.report
    if answer.only_overhead:
        yield from wrap(model.outcome_line(report))
        return
    for line in model.opening(report):
        yield from wrap(line)
    if report.facts.same_kernel:
        yield from wrap("Base and patch are the same kernel image: every change is noise.")


def excluded(report: Report) -> Iterator[str]:
    """The excluded boots."""
    said = [
        f"{boot.cell} {boot.pair:02d}-{boot.arm}: {boot.outcome}"
        + (f". {boot.detail[:200]}" if boot.detail else "")
        + (f"; in {boot.place[:200]}" if boot.place else "")
        for boot in report.failures
    ]
    yield from bullets(layout.capped(said, _FAILURES))


def repeat(commands: Sequence[str], evidence: Sequence[Evidence]) -> Iterator[str]:
    """The commands that measure it again, each once, and what they need."""
    lines = [line for one in dict.fromkeys(commands) for line in command_lines(one)]
    yield from lines
    if any(line.startswith("make repeat ") for line in lines):
        files = " and ".join(dict.fromkeys(file for one in evidence for file in one.kept))
        needed = "; ".join(dict.fromkeys(phrase for one in evidence for phrase in one.needs))
        yield ""
        yield from wrap(
            f"What was measured is in the attached bundle ('make bundle' writes it): {files}. "
            f"Beside that it needs {needed or 'nothing'}."
        )
    elif any(f"KERNEL_GIT={CLONE}" in line for line in lines):
        yield ""
        yield from wrap("KERNEL_GIT is any clone of the kernel that has these commits.")


def called(arm: ArmFacts) -> str:
    """A kernel by what a reader can get: no path of the machine that measured it."""
    if arm.kind not in ("dir", DIFF):
        return arm.name
    head = str(arm.origin.get("head", ""))[:12]
    return f"a work tree (tree {arm.tree[:12]}{f', on commit {head}' if head else ''})"


def series(found: SeriesFacts) -> Iterator[str]:
    """The series by its message-id; else each patch by its patch-id, which git patch-id prints."""
    said = f"series: {found.title}, {len(found.patches)} patches"
    ids = [data.get("message_id") for data in (found.letter or {}, found.origin)]
    known = [one for one in ids if one]
    if known:
        yield f"{said}, message-id <{known[0]}>; patch ids are in manifest.json"
        return
    yield f"{said}, in the attached bundle"
    named = [f"patch-id {one.patch_id[:12]}: {one.subject}" for one in found.patches]
    yield from layout.capped(named, _PATCHES)


def command_lines(command: str) -> list[str]:
    """A command in lines that a shell joins again; none longer than the mail's width.

    A word that is longer than a line cannot be broken without changing it: then the spec.yaml of
    the result says the same.
    """
    try:
        parts = [shlex.quote(word) for word in shlex.split(visible(command))]
    except ValueError:
        parts = [visible(command)]
    lines = [""]
    for word in parts:
        if len(word) > WIDTH - 2:
            return ["make compare SPEC=spec.yaml"]
        longer = f"{lines[-1]} {word}".lstrip()
        if len(longer) <= WIDTH - 2:
            lines[-1] = longer
        else:
            lines.append(word)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def proof(evidence: Sequence[Evidence]) -> Iterator[str]:
    """The hash of each result."""
    for one in evidence:
        if one.sha256 is None:
            yield from wrap(f"{one.name} has no SHA256SUMS: nothing proves its files.")
        else:
            yield from wrap(f"{one.name}, sha256 of its SHA256SUMS:")
            yield one.sha256
