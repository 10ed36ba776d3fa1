# SPDX-License-Identifier: GPL-2.0-only
"""A published table of memory overhead: kernels/claims/<name>.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stats import crossover
from harness.stats.crossover import Crossover
from harness.studies.overhead.model import BACKENDS
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import listing, mapping, old_read, text, whole

CLAIMS = REPO / "kernels" / "claims"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PAGE = 4096
_KEYS = (
    "title", "series", "source", "models", "swap_bytes", "unit", "digits", "backends", "rows",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One line of the table. usage: per cent; old, new: bytes; entries: pages in swap."""

    word: str
    backend: str
    usage: float
    entries: int
    old: float
    new: float


@dataclass(frozen=True, slots=True)
class Claim:
    """The table. old, new: names of models; tolerance: half of its last digit, in bytes."""

    name: str
    title: str
    series: str
    source: str
    old: str
    new: str
    swap_bytes: int
    tolerance: float
    rows: tuple[ClaimRow, ...]

    @property
    def slots(self) -> int:
        """Slots as a claim counts them: the header's too."""
        return self.swap_bytes // _PAGE

    def of(self, backend: str) -> tuple[ClaimRow, ...]:
        """The rows measured with a back-end, by usage."""
        return tuple(
            sorted((row for row in self.rows if row.backend == backend), key=lambda row: row.usage)
        )

    def crossover(self, backend: str) -> Crossover | None:
        """Where the table itself has the new design become dearer; None below two rows."""
        found = self.of(backend)
        if len(found) < 2:
            return None
        shares = [row.usage / 100 for row in found]
        return crossover.rows(shares, [row.new - row.old for row in found])


def names(folder: Path = CLAIMS) -> tuple[str, ...]:
    """The names of all claims."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def for_series(series: str, folder: Path = CLAIMS) -> Claim | None:
    """The claim made for a series, None if there is none."""
    claims = (load(name, folder) for name in names(folder))
    return next((one for one in claims if one.series == series), None)


def load(name: str, folder: Path = CLAIMS) -> Claim:
    """The claim of that name. UserError names the file and the key at fault."""
    path = folder / f"{name}.yaml"
    keys = (
        "title",
        "series",
        "source",
        "models",
        "swap_bytes",
        "unit",
        "digits",
        "backends",
        "rows",
    )
    data = old_read(path, keys=keys)
    models = mapping(path, data, "models")
    unit = text(path, data, "unit")
    if unit not in _UNITS:
        raise UserError(f"{path}: unit must be one of {', '.join(_UNITS)}")
    words = mapping(path, data, "backends")
    for word, backend in words.items():
        if backend not in BACKENDS:
            raise UserError(f"{path}: backends.{word} must be one of {', '.join(BACKENDS)}")
    swap_bytes = whole(path, data, "swap_bytes")
    if swap_bytes < _PAGE:
        raise UserError(f"{path}: swap_bytes must be the size of the swap area")
    return Claim(
        name=name,
        title=text(path, data, "title"),
        series=text(path, data, "series"),
        source=text(path, data, "source"),
        old=text(path, models, "old", "models"),
        new=text(path, models, "new", "models"),
        swap_bytes=swap_bytes,
        tolerance=_UNITS[unit] * 0.5 * 10 ** -whole(path, data, "digits"),
        rows=tuple(
            _row(path, item, words, swap_bytes // _PAGE, _UNITS[unit])
            for item in listing(path, data, "rows")
        ),
    )


def _row(path: Path, item: Any, words: Mapping[str, str], slots: int, unit: int) -> ClaimRow:
    form = "[back-end's word, usage in per cent, old, new]"
    if not isinstance(item, list) or len(item) != 4 or item[0] not in words:
        raise UserError(f"{path}: rows: {item} must be {form}, the word one of backends")
    for value in item[1:]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{path}: rows: {item} must be {form}")
    word, usage, old, new = item
    if not 0 <= usage <= 100:
        raise UserError(f"{path}: rows: {item} has a usage that is not between 0 and 100")
    return ClaimRow(
        word, words[word], float(usage), round(slots * usage / 100), old * unit, new * unit
    )
