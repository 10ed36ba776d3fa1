# SPDX-License-Identifier: GPL-2.0-only
"""The functions that a result's misses and locks are in, and the data that they are of.

`harness.build.symbols` wrote it from the kernels, which may be gone by now.
"""

from __future__ import annotations

import bisect
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.util import atomic

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class KernelSymbols:
    """Of one kernel.

    functions: names by address, ascending; of every address that was recorded the function is there
    per_cpu: where the symbols of per-CPU memory begin and end, None if that is not known
    data: names of variables by address, ascending; of every one that was recorded it is there
    sections: the instructions with which write sections of seqcounts begin
    """

    functions: Mapping[int, str]
    per_cpu: tuple[int, int] | None
    data: Mapping[int, str] = field(default_factory=dict)
    sections: frozenset[int] = frozenset()

    def namer(self) -> Callable[[int], str]:
        """Gives the function that an address lies in."""
        places = list(self.functions)

        def name(address: int) -> str:
            index = bisect.bisect_right(places, address) - 1
            return self.functions[places[index]] if index >= 0 else f"{address:#x}"

        return name


def name_of(arm: str) -> str:
    """The file in the results folder."""
    return f"symbols-{arm}.json.gz"


def write(results: Path, arm: str, found: KernelSymbols) -> None:
    """Write the file of an arm; the same symbols give the same bytes."""
    data = {
        "schema": _SCHEMA,
        "functions": {f"{place:x}": name for place, name in sorted(found.functions.items())},
        "per_cpu": [f"{place:x}" for place in found.per_cpu or ()],
        "data": {f"{place:x}": name for place, name in sorted(found.data.items())},
        "sections": [f"{place:x}" for place in sorted(found.sections)],
    }
    text = json.dumps(data, separators=(",", ":")).encode()
    atomic.binary(results / name_of(arm), gzip.compress(text, 6, mtime=0))


def read(results: Path, arm: str) -> KernelSymbols | None:
    """The symbols of an arm's kernel; None if nobody recorded them, or in a damaged file."""
    try:
        data: Any = json.loads(gzip.decompress((results / name_of(arm)).read_bytes()))
        functions = {int(place, 16): str(name) for place, name in data["functions"].items()}
        bounds = [int(place, 16) for place in data["per_cpu"]]
        sections = frozenset(int(place, 16) for place in data.get("sections", ()))
        variables = {int(place, 16): str(name) for place, name in data.get("data", {}).items()}
    except (OSError, EOFError, zlib.error, KeyError, TypeError, ValueError, AttributeError):
        return None
    per_cpu = (bounds[0], bounds[1]) if len(bounds) == 2 else None
    return KernelSymbols(
        dict(sorted(functions.items())), per_cpu, dict(sorted(variables.items())), sections
    )
