# SPDX-License-Identifier: GPL-2.0-only
"""Consoles of syzkaller's report tests: each crash of theirs is one here, and nothing else is.

PATH: a checkout of google/syzkaller, or a folder of such files.  A file is a head (``TITLE:``,
``TYPE:``), an empty line and a console; no title means that nothing is wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness.results import console
from harness.results.console import Outcome

_BELOW = Path("pkg/report/testdata/linux/report")


@dataclass(frozen=True, slots=True)
class Case:
    """One file: ``title`` is "" where the console is clean; ``text`` is the console."""

    name: str
    title: str
    kind: str
    text: str


def read(path: Path) -> Case:
    """A file of the corpus."""
    whole = path.read_bytes().decode("utf-8", "replace").replace("\r", "")
    head, _, rest = whole.partition("\n\n")
    if whole.startswith("\n"):
        head, rest = "", whole[1:]
    facts = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    text = rest.partition("\n\nREPORT:\n")[0]
    return Case(path.name, facts.get("TITLE", ""), facts.get("TYPE", "-"), text)


def run(path: Path) -> int:
    """Print agreement by kind; 1 if a crash is called ok or a clean console is not."""
    folder = path / _BELOW if (path / _BELOW).is_dir() else path
    files = sorted(item for item in folder.iterdir() if item.is_file())
    total: Counter[str] = Counter()
    good: Counter[str] = Counter()
    wrong = 0
    for case in map(read, files):
        finding = console.worst(case.text)
        outcome = finding.outcome if finding else Outcome.OK
        kind = case.kind if case.title else "clean"
        agrees = (outcome is Outcome.OK) == (not case.title)
        total[kind] += 1
        good[kind] += agrees
        if not agrees:
            wrong += 1
            print(f"{case.name}: {outcome}: {case.title or (finding and finding.text)}")
    for kind in sorted(total):
        print(f"{kind:<40} {good[kind]:4d} of {total[kind]:4d}")
    return 1 if wrong else 0
