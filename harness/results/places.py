# SPDX-License-Identifier: GPL-2.0-only
"""What the addresses in a result's profiles are: functions, and the source line of instructions.

`harness.build.places` wrote it from the kernels, which may be gone by now.
"""

from __future__ import annotations

import bisect
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.util import atomic

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the source: the function, which may be inlined, its file, and the line.

    ``file`` is relative to the tree, "" where the kernel's line tables do not say; line 0 likewise
    """

    function: str
    file: str
    line: int


Stack = tuple[SourceLine, ...]
"""Where an instruction comes from, the innermost inlined function first."""


@dataclass(frozen=True, slots=True)
class Places:
    """Of one kernel.

    functions: name and source file by address
    starts, stacks: ``stacks[i]`` is that of the instructions from ``starts[i]`` on to the next
    """

    functions: Mapping[int, tuple[str, str]]
    starts: Sequence[int]
    stacks: Sequence[Stack]

    def stack(self, address: int) -> Stack:
        """Of an instruction that a profile has in a phase; empty if nobody knows."""
        index = bisect.bisect_right(self.starts, address) - 1
        return self.stacks[index] if index >= 0 else ()


def name_of(arm: str) -> str:
    """The file in the results folder."""
    return f"places-{arm}.json.gz"


def write(results: Path, arm: str, found: Places) -> None:
    """Write the file of an arm; the same places give the same bytes."""
    distinct = list(dict.fromkeys(found.stacks))
    index = {stack: number for number, stack in enumerate(distinct)}
    data = {
        "schema": _SCHEMA,
        "functions": {f"{place:x}": list(one) for place, one in sorted(found.functions.items())},
        "stacks": [[[one.function, one.file, one.line] for one in stack] for stack in distinct],
        "starts": [
            [f"{start:x}", index[stack]]
            for start, stack in zip(found.starts, found.stacks, strict=True)
        ],
    }
    text = json.dumps(data, separators=(",", ":")).encode()
    atomic.binary(results / name_of(arm), gzip.compress(text, 6, mtime=0))


def read(results: Path, arm: str) -> Places | None:
    """The places of an arm's kernel; None if nobody recorded them, or in a damaged file."""
    try:
        data: Any = json.loads(gzip.decompress((results / name_of(arm)).read_bytes()))
        stacks = [tuple(_line(*one) for one in stack) for stack in data["stacks"]]
        starts = [(int(start, 16), stacks[number]) for start, number in data["starts"]]
        functions = {int(place, 16): _texts(*one) for place, one in data["functions"].items()}
        return Places(functions, [one[0] for one in starts], [one[1] for one in starts])
    except (
        OSError, EOFError, zlib.error, KeyError, IndexError, TypeError, ValueError, AttributeError,
    ):  # fmt: skip
        return None


def _line(function: Any, file: Any, line: Any) -> SourceLine:
    if not isinstance(line, int):
        raise TypeError("a line is a number")
    return SourceLine(*_texts(function, file), line)


def _texts(name: Any, file: Any) -> tuple[str, str]:
    if not (isinstance(name, str) and isinstance(file, str)):
        raise TypeError("names are text")
    return name, file
