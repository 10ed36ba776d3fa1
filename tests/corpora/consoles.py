# SPDX-License-Identifier: GPL-2.0-only
"""Consoles of syzkaller's report tests: each crash of theirs is one here, and nothing else is.

PATH: a checkout of google/syzkaller, or a folder of such files.  A file is a head (``TITLE:``),
an empty line and a console; without a title, nothing is wrong in it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.results import console
from harness.results.console import Outcome

_BELOW = Path("pkg/report/testdata/linux/report")
_CLEAN = "nothing wrong"
_OTHER = "other"
_RELEASE = re.compile(r"(?:ainted(?:: [A-Z ]+)?|Linux version) (\d+)\.(\d+)")
_CALLER = re.compile(r"\[ *\d+\.\d+\]\[ *[TC]\d+\]")
_NOT_X86 = re.compile(r"\bpc : |PC is at|\bNIP |epc : |Internal error: |\(DT\)|\bARM\b|s390|riscv")


@dataclass(frozen=True, slots=True)
class Case:
    """One file: ``title`` is "" where the console is clean; ``text`` is the console."""

    name: str
    title: str
    text: str

    @property
    def modern(self) -> bool:
        """Of a kernel since 5.0 for x86, as far as the text shows: by release, else by stamp."""
        releases = [int(major) for major, _ in _RELEASE.findall(self.text)]
        new = max(releases) >= 5 if releases else _CALLER.search(self.text)
        return bool(new) and not _NOT_X86.search(self.text)


def read(path: Path) -> Case:
    """A file of the corpus."""
    whole = path.read_bytes().decode("utf-8", "replace").replace("\r", "")
    head, _, rest = ("", "", whole[1:]) if whole.startswith("\n") else whole.partition("\n\n")
    facts = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return Case(path.name, facts.get("TITLE", ""), rest.partition("\n\nREPORT:\n")[0])


def run(path: Path) -> int:
    """Print agreement by kind, and what does not agree; 1 if something does not."""
    folder = path / _BELOW if (path / _BELOW).is_dir() else path
    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    kinds = [(one["kind"], re.compile(one["title"]), one["outcomes"]) for one in data["kinds"]]
    kinds.append((_OTHER, re.compile(""), [one for one in Outcome if one is not Outcome.OK]))
    good: Counter[tuple[str, bool]] = Counter()
    count: Counter[tuple[str, bool]] = Counter()
    for case in map(read, sorted(item for item in folder.iterdir() if item.is_file())):
        found = console.worst(case.text)
        outcome = found.outcome if found else Outcome.OK
        kind, right = _CLEAN, [Outcome.OK]
        if case.title:
            kind, _, right = next(one for one in kinds if one[1].search(case.title))
        count[kind, case.modern] += 1
        good[kind, case.modern] += outcome in right
        if outcome not in right:
            age = "modern x86" if case.modern else "other"
            print(f"{case.name} ({age}, {kind}): {case.title}")
            print(f"    {outcome}: {found.text if found else 'no line is known'}"[:100])
    print(f"{'kind':<20} {'modern x86':>12} {'others':>12}")
    for kind in sorted({kind for kind, _ in count}):
        cells = (f"{good[kind, age]} of {count[kind, age]}" for age in (True, False))
        print(f"{kind:<20}" + "".join(f" {cell:>12}" for cell in cells))
    total = (f"{sum(one[key] for key in one)}" for one in (good, count))
    print(f"{' of '.join(total)} agree")
    return int(good != count)
