# SPDX-License-Identifier: GPL-2.0-only
"""Files of /proc and /sys that others captured: each that a probe knows is read whole.

PATH: a folder with proc/ and sys/ somewhere below, or with archives of prometheus/procfs
(``*.ttar``), such as a checkout of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.results import probes
from harness.results.probes import ProbeError

_ENTRY = re.compile(r"^Path: (.+)\nLines: (\d+)\n", re.MULTILINE)
_PLACE = re.compile(r"(?:^|/)((?:proc|sys)/.*)")


def run(path: Path) -> int:
    """Print what was read by probe, and each file that was not; 1 if there is one."""
    good: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for name, text in _files(path):
        place = _PLACE.search(name)
        known = probes.find(f"/{place[1]}") if place else None
        if place is None or known is None:
            continue
        count[known[0]] += 1
        try:
            records = probes.parse(f"/{place[1]}", text).records
        except ProbeError as error:
            print(f"{name}: {error}")
            continue
        names = Counter(f"{one.key} {one.field}".strip() for one in records)
        twice = [one for one, times in names.items() if times > 1]
        if twice:
            print(f"{name}: {len(twice)} names stand for several numbers, such as {twice[0]}")
        good[known[0]] += not twice
    for probe in sorted(count):
        print(f"{probe:<20} {good[probe]} of {count[probe]}")
    print(f"{good.total()} of {count.total()} read")
    return int(good != count)


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file, also of those in archives."""
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        text = file.read_bytes().decode("utf-8", "replace")
        if file.suffix != ".ttar":
            yield str(file.relative_to(path)), text
            continue
        for entry in _ENTRY.finditer(text):
            lines = text[entry.end() :].split("\n", int(entry[2]))[: int(entry[2])]
            yield entry[1], "".join(f"{line}\n" for line in lines)
