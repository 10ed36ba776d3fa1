"""Data frames and manifest -> the report's model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from harness import frames, histogram, stats
from harness.errors import UserError
from harness.frames import ARMS, BOOT, Frames
from harness.report import facts
from harness.report.manifest import Manifest, insn_unit
from harness.report.model import MIN_BEYOND, PERCENTILES, Failure, Part, Report, Row

# Smaller changes of a counter in a phase are left out: one event more is many per cent there.
_MIN_COUNT = 50.0
_MIN_BY_UNIT = {"ns": 100_000.0, "us": 100.0, "B": 65_536.0}
_COUNTER_PROBES = (
    "vmstat", "memcg", "zswap", "zram", "blockstat", "stat", "psi", "kthreads", "generic",
)  # fmt: skip
_CONSOLE_LINES = 30
_CONSOLE_BYTES = 16_384


def analyse(data: Frames, manifest: Manifest, results: Path) -> Report:
    """The model of a whole report. UserError if boots of both clocks are in one folder."""
    clock = _clock(data, manifest)
    used = _used(data.boots)
    metrics = _metric_rows(data, manifest, clock, used)
    percentiles, too_few = _percentile_rows(data, clock, used)
    counters, only_one, tested = _counter_rows(data, clock, used)
    parts = []
    for workload in sorted(set(data.boots["workload"])):
        mine = [row for row in metrics if row.workload == workload]
        parts.append(
            Part(
                workload=workload,
                description=str(manifest.get("workloads", workload, "description") or ""),
                margin=manifest.text("workloads", workload, "margin"),
                declared=manifest.get("workloads", workload, "primary") is not None,
                primary=tuple(row for row in mine if row.role == "primary"),
                secondary=tuple(row for row in mine if row.role == "secondary"),
                percentiles=tuple(r for r in percentiles if r.workload == workload),
                counters=tuple(r for r in counters if r.workload == workload),
                only_one=only_one.get(workload, ()),
                tested=tested.get(workload, 0),
                notes=(*_notes(data, manifest, clock, workload, mine), *too_few.get(workload, ())),
            )
        )
    return Report(
        name=manifest.text("name") if manifest.get("name") else results.name,
        clock=clock,
        planned=len(data.boots),
        usable=int(data.boots["usable"].sum()),
        failures=_failures(data.boots, results),
        parts=tuple(parts),
        defects=tuple(
            f"{row.cell} {row.pair:02d}-{row.arm} {row.source}: {row.text}"
            for row in _rows(data.defects)
        ),
        facts=facts.gather(data, manifest, clock),
    )


def _clock(data: Frames, manifest: Manifest) -> str:
    clocks = {clock for clock in data.boots["clock"] if clock}
    if len(clocks) > 1:
        raise UserError(
            f"boots of different clocks ({', '.join(sorted(clocks))}) lie in one results folder: "
            "their numbers cannot be compared; keep one clock in a folder"
        )
    return clocks.pop() if clocks else manifest.text("clock")


def _used(boots: pd.DataFrame) -> set[tuple[str, int]]:
    """(cell, pair) of which both boots count."""
    arms: dict[tuple[str, int], set[str]] = {}
    for boot in _rows(boots[boots["usable"]]):
        arms.setdefault((boot.cell, boot.pair), set()).add(boot.arm)
    return {key for key, there in arms.items() if there == set(ARMS)}


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples, whose fields have the types that `frames` documents."""
    yield from frame.itertuples()


def _pairwise(
    frame: pd.DataFrame, keys: list[str], used: set[tuple[str, int]]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """For each value of `keys`, a frame with columns base and patch, indexed by pair."""
    names = ["cell", "backend", "workload", *keys]
    plain = frame.astype(dict.fromkeys([*names, "arm"], object))
    keep = [key in used for key in zip(plain["cell"], plain["pair"], strict=True)]
    plain = plain[keep]
    if plain.empty:
        return
    # Not pivot_table: to keep missing values it lays out the product of all keys.
    sums = plain.groupby([*names, "pair", "arm"], dropna=False)["value"].sum(min_count=1)
    wide = sums.unstack("arm").reindex(columns=list(ARMS)).dropna(how="all")
    for key, group in wide.groupby(level=names, sort=True):
        yield key, group.droplevel([*names])


def _row(role: str, group: pd.DataFrame, **fields: Any) -> Row:
    base, patch = (tuple(float(v) for v in group[arm]) for arm in ARMS)
    return Row(
        role=role,
        base=stats.spread(base),
        patch=stats.spread(patch),
        base_values=base,
        patch_values=patch,
        pairs=tuple(int(pair) for pair in group.index),
        change=stats.paired(base, patch),
        **fields,
    )


def _metric_rows(
    data: Frames, manifest: Manifest, clock: str, used: set[tuple[str, int]]
) -> list[Row]:
    rows = []
    for key, group in _pairwise(data.metrics, ["name", "unit"], used):
        cell, backend, workload, name, unit = map(str, key)
        rows.append(
            _row(
                "primary" if name == manifest.primary(workload, backend, clock) else "secondary",
                group,
                cell=cell,
                backend=backend,
                workload=workload,
                name=name,
                phase="",
                unit=manifest.unit(workload, name, unit, clock),
                data_unit=unit,
                direction=manifest.direction(workload, name),
            )
        )
    return rows


def _percentile_rows(
    data: Frames, clock: str, used: set[tuple[str, int]]
) -> tuple[list[Row], dict[str, tuple[str, ...]]]:
    """Rows of latency percentiles, and for each workload a note on those left out."""
    boots: list[tuple[Any, ...]] = []
    left_out: dict[str, set[str]] = {}
    merged = merged_hists(data)
    fewest: dict[tuple[str, str, str], int] = {}
    for one in _rows(merged):
        key = (one.cell, one.name, one.phase)
        fewest[key] = min(one.hist.total, fewest.get(key, one.hist.total))
    for one in _rows(merged):
        for percent in PERCENTILES:
            if fewest[one.cell, one.name, one.phase] * (100 - percent) / 100 < MIN_BEYOND:
                left_out.setdefault(str(one.workload), set()).add(f"p{percent:g} of {one.name}")
                continue
            boot = (one.cell, one.backend, one.workload, one.arm, one.pair)
            value = one.hist.percentile(percent)
            boots.append((*boot, one.name, one.phase, one.unit, percent, value))
    columns = [*BOOT, "name", "phase", "unit", "percent", "value"]
    rows = []
    frame = pd.DataFrame(boots, columns=pd.Index(columns))
    for where, group in _pairwise(frame, ["name", "phase", "unit", "percent"], used):
        cell, backend, workload, name, phase, unit, percent = where
        rows.append(
            _row(
                "percentile",
                group,
                cell=cell,
                backend=backend,
                workload=workload,
                name=f"{name} p{percent:g}",
                phase=phase,
                unit=insn_unit(unit) if clock == "insn" else unit,
                data_unit=unit,
                direction="lower",
            )
        )
    notes: dict[str, list[str]] = {}
    for (workload, name), group in merged.groupby(["workload", "name"], sort=True):
        width = 100 * max(hist.resolution for hist in group["hist"])
        notes.setdefault(str(workload), []).append(f"Buckets of {name}: up to {width:.2g} % wide.")
    for workload, names in left_out.items():
        notes[workload].append(
            f"Left out, because a boot has fewer than {MIN_BEYOND} events beyond it: "
            f"{', '.join(sorted(names))}."
        )
    return rows, {workload: tuple(lines) for workload, lines in notes.items()}


def merged_hists(data: Frames) -> pd.DataFrame:
    """One histogram a boot, name and phase: the rounds of a boot merged."""
    keys = [*BOOT, "name", "phase", "unit"]
    rows = [
        [*key, histogram.merge(group["hist"])]
        for key, group in data.hists.groupby(keys, sort=True)
        if len({hist.sub_bits for hist in group["hist"]}) == 1
    ]
    return pd.DataFrame(rows, columns=pd.Index([*keys, "hist"]))


def _counter_rows(
    data: Frames, clock: str, used: set[tuple[str, int]]
) -> tuple[list[Row], dict[str, tuple[str, ...]], dict[str, int]]:
    """Counters by phase: those that moved, those that one kernel lacks, how many were tested."""
    found = data.deltas
    total = (found["probe"] != "psi") | found["field"].astype(str).str.endswith("total")
    found = found[found["probe"].isin(_COUNTER_PROBES) & total]
    names = ["phase", "probe", "key", "field", "unit"]
    # Equal keys inside one sample are summed before the rounds are averaged.
    by_round = found.groupby([*BOOT, *names, "round"], observed=True)["value"].sum()
    values = frames.averaged(by_round.reset_index(), names)
    rows: list[Row] = []
    only_one: dict[str, set[str]] = {}
    for key, group in _pairwise(values, names, used):
        cell, backend, workload, phase, probe, instance, field, unit = map(str, key)
        # The sampler lists only threads that used CPU time: an absent one used none.
        filled = group.fillna(0.0) if probe == "kthreads" else group
        name = " ".join(part for part in (probe, instance, field) if part)
        absent = [arm for arm in ARMS if filled[arm].isna().all()]
        if absent:
            there = "base" if absent == ["patch"] else "patch"
            only_one.setdefault(workload, set()).add(f"{there}: {name}")
            continue
        least = _MIN_BY_UNIT.get(unit, _MIN_COUNT)
        if filled.max().max() < least or filled.min().min() < 0:
            continue
        rows.append(
            _row(
                "counter", filled, cell=cell, backend=backend, workload=workload, name=name,
                phase=phase, unit=insn_unit(unit) if clock == "insn" else unit, data_unit=unit,
                direction="",
            )
        )  # fmt: skip
    tested: dict[str, int] = {}
    for row in rows:
        tested[row.workload] = tested.get(row.workload, 0) + 1
    return _moved(rows), {w: tuple(sorted(n)) for w, n in only_one.items()}, tested


def _moved(rows: Iterable[Row]) -> list[Row]:
    """Counters whose interval excludes zero, or that one arm never counts; largest first."""
    rows = list(rows)
    known = [row for row in rows if row.change.p is not None]
    adjusted = stats.false_discovery([row.change.p or 0.0 for row in known])
    q_values = {id(row): q for row, q in zip(known, adjusted, strict=True)}
    moved = [
        dataclasses.replace(row, q=q_values.get(id(row)))
        for row in rows
        if row.change.excludes_zero or _appears(row)
    ]
    return sorted(moved, key=lambda r: (-abs(r.change.estimate_pct or 0), r.cell, r.phase, r.name))


def _appears(row: Row) -> bool:
    """Zero in every boot of one arm and in none of the other, in two pairs at least."""
    base, patch = any(row.base_values), any(row.patch_values)
    return row.change.n > 1 and base != patch and (all(row.base_values) or all(row.patch_values))


def _failures(boots: pd.DataFrame, results: Path) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            cell=str(boot.cell),
            pair=int(boot.pair),
            arm=str(boot.arm),
            outcome=str(boot.outcome),
            detail=str(boot.detail),
            folder=str(boot.folder),
            console=_console(results / str(boot.folder) / "console.log"),
        )
        for boot in _rows(boots[~boots["usable"]])
    )


def _console(path: Path) -> str:
    """The last lines of a boot's serial log."""
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(path.stat().st_size - _CONSOLE_BYTES, 0))
        tail = log.read().decode("utf-8", "backslashreplace")
    return "\n".join(tail.replace("\r\n", "\n").split("\n")[-_CONSOLE_LINES:]).strip("\n")


def _notes(
    data: Frames, manifest: Manifest, clock: str, workload: str, rows: list[Row]
) -> Iterator[str]:
    """What a reader of this workload's tables must know."""
    cells = sorted(set(data.boots[data.boots["workload"] == workload]["backend"]))
    waiting = [backend for backend in cells if manifest.waits_io(backend)]
    if clock == "insn" and waiting:
        yield (
            f"{', '.join(waiting)}: waits for host I/O, which this clock charges at random; "
            "only CPU instructions mean something there, elapsed times do not."
        )
    for backend in cells:
        primary = manifest.primary(workload, backend, clock)
        shown = any(row.backend == backend and row.role == "primary" for row in rows)
        if primary is not None and not shown:
            yield f"{backend}: no complete pair of boots has the primary metric {primary}."
    dropped = sorted({row.backend for row in rows if row.change.dropped})
    if dropped:
        yield f"{', '.join(dropped)}: pairs that lack a value on one side are left out."
