# SPDX-License-Identifier: GPL-2.0-only
"""What the board keeps of one comparison, read from its finished report."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.results import address
from harness.results import manifest as manifests
from harness.results.manifest import ArmFacts, Manifest, clock_unit
from harness.util import atomic

_SHOWN_FUNCTIONS = 5
_ROLES = ("primary", "secondary")


def values(one: Any) -> dict[str, Any]:
    """The fields of a data class; `dataclasses.asdict` copies what is in them, ten times slower."""
    return {name: getattr(one, name) for name in one.__slots__}


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one cell; base, patch: medians, in ``unit``; changes in per cent.

    address: the cell's; base_cv, patch_cv: spreads over the boots in per cent
    aa_change, aa_cv: of control against base, in per cent
    """

    address: str
    cell: str
    metric: str
    unit: str
    direction: str
    n: int
    base: float | None
    patch: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str
    margin: float | None
    aa_cv: float | None
    aa_change: float | None
    base_cv: float | None
    patch_cv: float | None

    @classmethod
    def of(cls, fields: Iterable[Any]) -> Self:
        """Of its values in order.  Words that many rows share are held once."""
        words: list[Any] = [sys.intern(one) if isinstance(one, str) else one for one in fields]
        return cls(*words)

    @property
    def backend(self) -> str:
        """The part of the cell before the dot."""
        return self.cell.partition(".")[0]


@dataclass(frozen=True, slots=True)
class ChangedFunction:
    """One of the functions that a profile saw change most; base, patch: its own instructions."""

    cell: str
    metric: str
    unit: str
    function: str
    file: str
    part: str
    base: str
    patch: str
    change: float


@dataclass(frozen=True, slots=True)
class BoardKernel:
    """One arm.  address: of its page if it has no series, else ""; key: of its build

    series, revision: as on the board, "" for a kernel without a series; switch: how it was
    switched in the guest
    """

    key: str
    name: str
    version: str
    tree: str
    address: str
    title: str = ""
    series: str = ""
    revision: str = ""
    message_id: str = ""
    patches: int = 0
    switch: str = ""

    @property
    def label(self) -> str:
        """What a table calls it."""
        if not self.series:
            short = re.sub(r"^git:([0-9a-f]{12})[0-9a-f]+$", r"git:\1", self.name)
            return short if self.name.startswith("v") else f"{self.version} ({short})"
        parts = (self.series, self.revision, f"({self.switch})" if self.switch else "")
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class BoardComparison:
    """A comparison as every list of the board needs it.

    name: its folder below the results; sums: the hash of its SHA256SUMS; begun, ended: of the
    patched kernel's boots, ISO time; method: see `address.method_hash`; rows: the primary ones
    failed: boots that do not count, of ``boots``; bundle: the file's name or ""
    """

    address: str
    name: str
    sums: str
    begun: str
    ended: str
    clock: str
    method: str
    base: BoardKernel
    patch: BoardKernel
    pairs: int
    failed: int
    boots: int
    rows: tuple[Row, ...]
    why: tuple[ChangedFunction, ...] = ()
    bundle: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """What `as_data` gave."""
        rest = {**data, "base": BoardKernel(**data["base"]), "patch": BoardKernel(**data["patch"])}
        rest["rows"] = tuple(map(Row.of, data["rows"]))
        return cls(**{**rest, "why": tuple(ChangedFunction(*one) for one in data["why"])})

    def as_data(self) -> dict[str, Any]:
        """Plain values; rows as lists, because there are many of them."""
        made = values(self)
        made |= {arm: values(made[arm]) for arm in ("base", "patch")}
        made["rows"] = [list(values(row).values()) for row in self.rows]
        return {**made, "why": [list(values(one).values()) for one in self.why]}

    @property
    def is_judged(self) -> bool:
        """Whether a row has a verdict: a profile, or one pair, has none."""
        return any(row.verdict != "none" for row in self.rows)

    @property
    def verdicts(self) -> dict[str, int]:
        """How many rows have each verdict, the worst first."""
        order = ("worse", "better", "equivalent", "undecided", "none")
        found = [row.verdict for row in self.rows]
        return {kind: found.count(kind) for kind in order if kind in found}


def read(
    folder: Path, name: str, sums: str, kernels: Known
) -> tuple[BoardComparison, dict[str, Any]]:
    """A finished comparison, and all that its own page and JSON say.

    name: of the folder below the results; sums: the hash of its SHA256SUMS
    ValueError where the report lacks what the board needs
    """
    made = manifests.load(folder)
    identity = atomic.json_file(folder / "experiment.json") or _identity(made)
    boots = [*_boots(folder)]
    cells = identity.get("cells") or _cells(boots)
    found = {one: address.cell(one, cells.get(one) or {}, identity) for one in made.cells}
    rows = list(_rows(folder / "report" / "estimates.csv", found, made))
    primary = tuple(Row.of(values(row).values()) for role, row in rows if role == "primary")
    parts = address.method(identity)
    begun = [one["started"] for one in boots if one.get("arm") == "patch" and one.get("started")]
    summary = BoardComparison(
        address=address.comparison(name, identity),
        name=name,
        sums=sums,
        begun=min(begun, default=""),
        ended=max(begun, default=""),
        clock=made.clock,
        method=address.method_hash(parts),
        base=_kernel(made.arm("base"), kernels, ()),
        patch=_kernel(made.arm("patch"), kernels, _options(identity)),
        pairs=made.pairs or 0,
        failed=sum(one.get("outcome") != "ok" for one in boots),
        boots=len(boots),
        rows=primary,
        why=_why(folder / "report" / "functions.csv", primary),
    )
    data = {
        "schema": 1,
        "summary": summary.as_data(),
        "method": parts,
        "command": made.command,
        "machine": {key: made.host.get(key) for key in ("cpu", "cpus", "kernel")},
        "patches": [one.subject for one in made.series.patches],
        "cells": {one: cells.get(one) or {} for one in made.cells},
        "secondary": [list(values(row).values()) for role, row in rows if role == "secondary"],
        "opening": _opening(folder / "report" / "report.txt"),
    }
    return summary, data


def message_ids(folder: Path) -> set[str]:
    """Of the mails that a result's series came from: cover letter and patches."""
    series = manifests.load(folder).arm("patch").series
    if series is None:
        return set()
    ids = [(series.letter or {}).get("message_id"), series.origin.get("message_id")]
    return {str(one) for one in (*ids, *(each.message_id for each in series.patches)) if one}


@dataclass(frozen=True, slots=True)
class Known:
    """The registry: names of its series, and (series, revision) by message-id."""

    names: frozenset[str]
    postings: Mapping[str, tuple[str, str]]

    def place(self, name: str, message_id: str) -> tuple[str, str]:
        """Series and revision of a patched kernel: by its mail, else by its name."""
        if message_id in self.postings:
            return self.postings[message_id]
        found = re.fullmatch(r"(.+)-((?:RFC-)?v[1-9]\d*)", name)
        if found and (name not in self.names):
            return found[1], found[2]
        return name, ""


def _identity(made: Manifest) -> dict[str, Any]:
    """What stands for experiment.json in a result that has none."""
    return {
        "kernels": {arm: facts.kernel for arm, facts in made.arms.items()},
        "clock": made.clock,
        "disk": made.guest.disk,
        "accel": made.accel,
        "qemu": made.qemu_version,
        "image": made.image.key,
        "experiment": {"memory": made.guest.memory, "swap": made.guest.swap,
                       "cpus": made.guest.cpus, "seed": made.seed},
    }  # fmt: skip


def _options(identity: Mapping[str, Any]) -> tuple[str, ...]:
    """The options that only the patched kernel was configured with."""
    found = (identity.get("experiment") or {}).get("head_config")
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _kernel(arm: ArmFacts, known: Known, options: Sequence[str]) -> BoardKernel:
    series, revision, message_id = "", "", ""
    if arm.series:
        message_id = str((arm.series.letter or {}).get("message_id") or "")
        series, revision = known.place(arm.series.name, message_id)
    set_in_guest = (one for key, one in arm.switch.items() if key != "proof")
    switch = ", ".join([*options, *(word for one in set_in_guest for word in _words(one))])
    return BoardKernel(
        key=arm.kernel,
        name=arm.name,
        version=arm.version,
        tree=arm.tree,
        address="" if series else address.kernel(arm.version, arm.tree),
        title=arm.series.title if arm.series else "",
        series=series,
        revision=revision,
        message_id=message_id,
        patches=len(arm.series.patches) if arm.series else 0,
        switch=switch,
    )


def _words(given: Any) -> list[str]:
    """A part of a switch, however it is written."""
    if isinstance(given, dict):
        return [f"{key}={value}" for key, value in given.items()]
    return [str(one) for one in given] if isinstance(given, list) else [str(given)]


def _rows(path: Path, cells: Mapping[str, str], made: Manifest) -> Iterator[tuple[str, Row]]:
    """(role, row) of the metrics; of the secondary ones those that are better somehow."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for one in csv.DictReader(lines):
                role = one["role"]
                if role not in _ROLES or (role == "secondary" and not one["direction"]):
                    continue
                workload = one["workload"]
                yield (
                    role,
                    Row(
                        address=cells.get(one["cell"], ""),
                        cell=one["cell"],
                        metric=one["name"],
                        unit=made.unit(workload, one["name"], one["unit"], one["clock"])
                        or clock_unit(one["unit"], one["clock"]),
                        direction=one["direction"],
                        n=int(one["n"]),
                        base=_number(one["base_median"]),
                        patch=_number(one["patch_median"]),
                        change=_number(one["change_pct"]),
                        low=_number(one["low_pct"]),
                        high=_number(one["high_pct"]),
                        verdict=one["verdict"],
                        reason=one["reason"],
                        margin=_number(one["margin_pct"]),
                        aa_cv=_number(one["aa_cv_pct"]),
                        aa_change=_number(one["aa_change_pct"]),
                        base_cv=_number(one["base_spread_pct"]),
                        patch_cv=_number(one["patch_spread_pct"]),
                    ),
                )
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"its report/estimates.csv cannot be read ({error})") from error


def _number(text: str | None) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _cells(boots: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each cell ran, of a result whose experiment.json does not say it."""
    return {
        str(one["cell"]): {
            "back-end": one.get("backend_kind"), "workload": one.get("workload"),
            "memory.max": one.get("memory_max"), **(one.get("backend_settings") or {}),
            **(one.get("params") or {}),
        }
        for one in boots if "cell" in one
    }  # fmt: skip


def _boots(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("boots/*/*/boot.json")):
        if found := atomic.json_file(path):
            yield found


def _opening(path: Path) -> list[str]:
    """The first paragraph of the report: failures and verdicts."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.split("\n\n")[0].splitlines() if line.strip()]


def _why(path: Path, rows: Sequence[Row]) -> tuple[ChangedFunction, ...]:
    """The functions that changed most, of each primary metric that was profiled."""
    wanted = {(row.cell, row.metric) for row in rows}
    found: dict[tuple[str, str], list[ChangedFunction]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                key = (line["cell"], line["metric"])
                change = float(line["own_change"])
                if key in wanted and change:
                    found.setdefault(key, []).append(
                        ChangedFunction(
                            *key, f"insn/{line['unit']}", line["function"], line["file"],
                            line["part"], line["own_base"], line["own_patch"], change,
                        )
                    )  # fmt: skip
    except (OSError, KeyError, ValueError, csv.Error):
        return ()
    by_size = (sorted(many, key=lambda one: -abs(one.change)) for many in found.values())
    return tuple(one for many in by_size for one in many[:_SHOWN_FUNCTIONS])
