# SPDX-License-Identifier: GPL-2.0-only
"""A published table of memory overhead: kernels/claims/<name>.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from harness.stats import crossover
from harness.stats.crossover import Crossover
from harness.studies.overhead.model import BACKENDS
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Amount, Check, Items, Text, at_least, nearest, one_of

CLAIMS = REPO / "kernels" / "claims"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One line of the table. usage: per cent; old, new: bytes; entries: pages in swap."""

    word: str
    backend: str
    usage: float
    entries: int
    old: float
    new: float


def _four(value: Any) -> Any:
    if not isinstance(value, list) or len(value) != 4:
        raise yamlfile.Wanted("a list: back-end's word, usage in per cent, old, new")
    return tuple(value)


_Row = Annotated[
    tuple[Text, Annotated[float, at_least(0, 100)], Amount, Amount], Check(_four, first=True)
]


@dataclass(frozen=True, slots=True)
class Models(yamlfile.Model):
    """The names of the models of the two kernels."""

    old: Text
    new: Text


@dataclass(frozen=True, slots=True)
class Claim(yamlfile.Model):
    """The table, as its file has it; rows: back-end's word, usage in per cent, old, new."""

    name: str
    title: Text
    series: Text
    source: Text
    models: Models
    swap_bytes: Annotated[int, at_least(_PAGE)]
    unit: Annotated[str, one_of(_UNITS)]
    backends: Mapping[str, Annotated[str, one_of(BACKENDS)]]
    rows: Items[_Row] = ()
    digits: Annotated[int, at_least(0, 9)] = 0

    @property
    def tolerance(self) -> float:
        """Half of its last digit, in bytes."""
        return _UNITS[self.unit] * 0.5 * 10.0**-self.digits

    @property
    def lines(self) -> tuple[ClaimRow, ...]:
        """The rows in bytes and pages."""
        unit = _UNITS[self.unit]
        return tuple(
            ClaimRow(
                word,
                self.backends[word],
                usage,
                round(self.slots * usage / 100),
                old * unit,
                new * unit,
            )
            for word, usage, old, new in self.rows
        )

    @property
    def slots(self) -> int:
        """Slots as a claim counts them: the header's too."""
        return self.swap_bytes // _PAGE

    def of(self, backend: str) -> tuple[ClaimRow, ...]:
        """The rows measured with a back-end, by usage."""
        return tuple(
            sorted((row for row in self.lines if row.backend == backend), key=lambda row: row.usage)
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
    claim = yamlfile.load(path, Claim, name=name)
    for number, (word, *_) in enumerate(claim.rows, 1):
        if word not in claim.backends:
            raise UserError(
                f"{path}: rows, entry {number}: '{word}' is none of the words of backends"
                f"{nearest(word, claim.backends)}"
            )
    return claim
