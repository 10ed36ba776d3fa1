# SPDX-License-Identifier: GPL-2.0-only
"""The history of all nights: one SQLite file, results/README.md documents its tables."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.util.errors import InfraError, UserError

NAME = "history.sqlite"
_SCHEMA = 2
_TABLES = """
create table nights (id integer primary key, started text not null, ended text not null,
    config text not null, budget_s real not null, used_s real not null, planned integer not null,
    left_over integer not null, state text not null, status integer not null);
create table comparisons (night integer not null references nights(id), key text not null,
    subject text not null, kind text not null, revision text not null, date text not null,
    base text not null, suite text not null, name text not null, folder text not null,
    pairs integer not null, looks integer not null, seconds real not null,
    status integer not null, primary key (night, key));
create table estimates (night integer not null, key text not null, cell text not null,
    metric text not null, role text not null, backend text not null, workload text not null,
    unit text not null, direction text not null, margin_pct real, base_median real,
    patch_median real, n integer not null, estimate_pct real, low_pct real, high_pct real,
    verdict text not null, reason text not null, more integer, detectable_pct real,
    primary key (night, key, cell, metric));
create table failures (night integer not null, key text not null, place text not null,
    kind text not null, detail text not null);
create index comparisons_key on comparisons (key);
create index estimates_key on estimates (key);
"""
_STEPS = (
    _TABLES,
    """
alter table comparisons add column asked text not null default '';
alter table comparisons add column made_s real not null default 0;
alter table estimates add column aa_change_pct real;
create table searches (move text primary key, night integer not null, status integer not null,
    number integer, culprit text not null, detail text not null, folder text not null,
    seconds real not null);
""",
)
"""What makes a file of each version of one of the version before; the first makes a new file."""
OPEN, WHOLE, SPENT, REPLACED = "open", "whole", "budget spent", "replaced"


@dataclass(frozen=True, slots=True)
class Night:
    """One night. left_over: comparisons that were planned and not begun or not finished.

    state: OPEN, WHOLE, SPENT (budget) or REPLACED (nightly.yaml was changed while it was open)
    """

    id: int
    started: str
    ended: str
    config: str
    budget_s: float
    used_s: float
    planned: int
    left_over: int
    state: str
    status: int


@dataclass(frozen=True, slots=True)
class NightlyComparison:
    """One comparison as it was after a night; looks counts the nights that looked at it.

    asked: what was compared, as `job.asked` writes it; "" in rows of version 1
    seconds: of boots and report; made_s: of getting both kernels, 0 where they were there
    """

    night: int
    key: str
    subject: str
    kind: str
    revision: str
    date: str
    base: str
    suite: str
    name: str
    folder: str
    pairs: int
    looks: int
    seconds: float
    status: int
    asked: str = ""
    made_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredEstimate:
    """One metric of one cell of a comparison; changes in per cent, role primary or secondary.

    aa_change_pct: of control against base; None where nobody knows
    """

    night: int
    key: str
    cell: str
    metric: str
    role: str
    backend: str
    workload: str
    unit: str
    direction: str
    margin_pct: float | None
    base_median: float | None
    patch_median: float | None
    n: int
    estimate_pct: float | None
    low_pct: float | None
    high_pct: float | None
    verdict: str
    reason: str
    more: int | None
    detectable_pct: float | None
    aa_change_pct: float | None = None


@dataclass(frozen=True, slots=True)
class NightlyFailure:
    """Something that went wrong; key is "" where it belongs to no comparison.

    kind: an outcome of a boot, or "kernel", "user", "infra", "skipped"
    """

    night: int
    key: str
    place: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Search:
    """A finished bisection of a move.

    status: 0 for a culprit, 4 for none, else why there is no answer; number, culprit: the patch
    and its subject, None and "" without one; detail: the answer in a sentence
    """

    move: str
    night: int
    status: int
    number: int | None
    culprit: str
    detail: str
    folder: str
    seconds: float


class HistoryStore:
    """The open file.  Every call that writes is one transaction: all of it is there, or nothing."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def begin(self, night: Night) -> int:
        """A new night; its id is given, the one in ``night`` does not count."""
        row = dataclasses.astuple(night)[1:]
        with self._base:
            done = self._base.execute(
                f"insert into nights values (null, {', '.join('?' * len(row))})", row
            )
        return int(done.lastrowid or 0)

    def end(self, night: Night) -> None:
        """What became of a night."""
        names = [one.name for one in dataclasses.fields(Night)][1:]
        with self._base:
            self._base.execute(
                f"update nights set {', '.join(f'{name} = ?' for name in names)} where id = ?",
                (*dataclasses.astuple(night)[1:], night.id),
            )

    def add(
        self,
        one: NightlyComparison,
        estimates: Sequence[StoredEstimate],
        failures: Sequence[NightlyFailure],
    ) -> None:
        """A comparison with all that it found; what the same night said of it before goes."""
        with self._base:
            for table in ("comparisons", "estimates", "failures"):
                self._base.execute(
                    f"delete from {table} where night = ? and key = ?", (one.night, one.key)
                )
            _insert(self._base, "comparisons", [one])
            _insert(self._base, "estimates", estimates)
            _insert(self._base, "failures", failures)

    def note(self, failures: Sequence[NightlyFailure]) -> None:
        """Failures that belong to a night as a whole."""
        with self._base:
            _insert(self._base, "failures", failures)

    def nights(self) -> list[Night]:
        """All nights, oldest first."""
        return [Night(*row) for row in self._select("nights", "id")]

    def comparisons(self) -> list[NightlyComparison]:
        """All comparisons in the order in which they were finished."""
        return [NightlyComparison(*row) for row in self._select("comparisons", "rowid")]

    def estimates(self) -> list[StoredEstimate]:
        """All estimates in the order in which they were written."""
        return [StoredEstimate(*row) for row in self._select("estimates", "rowid")]

    def failures(self, night: int) -> list[NightlyFailure]:
        """The failures of one night."""
        rows = self._base.execute("select * from failures where night = ? order by rowid", (night,))
        return [NightlyFailure(*row) for row in rows]

    def searched(self, one: Search) -> None:
        """What a bisection came to, in place of what one of the same move did before."""
        with self._base:
            self._base.execute("delete from searches where move = ?", (one.move,))
            _insert(self._base, "searches", [one])

    def searches(self) -> list[Search]:
        """All bisections."""
        return [Search(*row) for row in self._select("searches", "rowid")]

    def _select(self, table: str, order: str) -> list[Any]:
        return self._base.execute(f"select * from {table} order by {order}").fetchall()


@contextmanager
def opened(path: Path) -> Iterator[HistoryStore]:
    """The history in a file, made if it is not there, and brought to this version if it is older.

    UserError for a file of a newer version; InfraError where SQLite cannot use it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path)) as base:
            _migrate(base, path)
            yield HistoryStore(base)
    except sqlite3.Error as error:
        raise InfraError(f"the history {path} cannot be used: {error}") from error


@contextmanager
def reading(path: Path) -> Iterator[HistoryStore]:
    """A copy in memory, of this version; the file stays as it was recorded.  Errors as `opened`."""
    if not path.is_file():
        raise UserError(f"there is no history '{path}': 'make nightly' makes one")
    try:
        with closing(sqlite3.connect(":memory:")) as base:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
                file.backup(base)
            _migrate(base, path)
            yield HistoryStore(base)
    except sqlite3.Error as error:
        raise InfraError(f"the history {path} cannot be used: {error}") from error


def _migrate(base: sqlite3.Connection, path: Path) -> None:
    """Bring a file to this version in one transaction."""
    version = base.execute("pragma user_version").fetchone()[0]
    if version > _SCHEMA:
        raise UserError(
            f"{path} is of version {version}, this harness writes {_SCHEMA}: use a newer harness, "
            "or move it away"
        )
    if version < _SCHEMA:
        steps = "".join(_STEPS[version:])
        base.executescript(f"begin; {steps} pragma user_version = {_SCHEMA}; commit;")


def _insert(base: sqlite3.Connection, table: str, rows: Sequence[Any]) -> None:
    for row in rows:
        values = dataclasses.astuple(row)
        base.execute(f"insert into {table} values ({', '.join('?' * len(values))})", values)
