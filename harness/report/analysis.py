# SPDX-License-Identifier: GPL-2.0-only
"""Data frames and manifest -> the report's model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report import (
    background,
    backing,
    counters,
    facts,
    failing,
    hosts,
    latency,
    meaning,
    profileboots,
    selftests,
    steady,
    sweep,
    tally,
    waits,
)
from harness.report.lost import ExcludedBoot
from harness.report.model import BootPair, Estimate, Report, WorkloadReport
from harness.report.profile import analysis as profile
from harness.report.profile import costs
from harness.results import pairing, sizes, traces
from harness.results.frames import ARMS, CONTROL, Frames
from harness.results.manifest import UNKNOWN, Manifest, clock_unit
from harness.results.pairing import Counted, PairedValues
from harness.stats import verdict
from harness.util.errors import UserError

_CONSOLE_LINES = 30
_CONSOLE_BYTES = 16_384


def analyse(data: Frames, manifest: Manifest, results: Path) -> Report:
    """The model of a whole report. UserError if boots of both clocks are in one folder."""
    clock = _clock(data, manifest)
    used = pairing.counted(data.boots)
    metrics, one_sided = _metric_rows(data, manifest, clock, used)
    metrics = steady.judged(metrics, data, clock)
    percentiles = latency.gather(data, used)
    tails = _percentile_rows(percentiles, clock, used)
    changed = meaning.gather(manifest)
    unlike = frozenset[str]().union(*(item.counters for item in changed))
    moved = counters.gather(data, clock, used, unlike)
    always = tally.gather(data, used)
    unlike_backing = backing.gather(data, used)
    parts = []
    for workload in sorted(set(data.boots["workload"])):
        mine = [row for row in metrics if row.workload == workload]
        unmeasured = tuple(_unmeasured(data, manifest, clock, workload, mine))
        parts.append(
            WorkloadReport(
                workload=workload,
                description=manifest.workload(workload).description,
                parameters=manifest.parameters(workload),
                margin=manifest.workload(workload).margin,
                declared=manifest.workload(workload).primary is not None,
                primary=tuple(row for row in mine if row.role == "primary"),
                secondary=tuple(row for row in mine if row.role == "secondary"),
                percentiles=tuple(r for r in tails if r.workload == workload),
                counters=tuple(r for r in moved.moved if r.workload == workload),
                only_one=(*one_sided.get(workload, ()), *moved.only_one.get(workload, ())),
                tested=moved.tested.get(workload, 0),
                unmeasured=unmeasured,
                background=background.gather(data, used, workload),
                counts=tuple(always.counts.get(workload, ())),
                absent=tuple(always.absent.get(workload, ())),
                backing=tuple(unlike_backing.get(workload, ())),
                notes=(
                    *_notes(data, manifest, clock, workload, mine),
                    *(
                        f"{backend}: no complete pair of boots has the primary metric {name}."
                        for backend, name in unmeasured
                    ),
                    *percentiles.notes.get(workload, ()),
                    *meaning.notes(changed, moved.unlike.get(workload, ())),
                ),
            )
        )
    blocks, lost = _blocks(data.boots), failures(data.boots, manifest, results)
    return Report(
        name=results.name if manifest.name == UNKNOWN else manifest.name,
        clock=clock,
        planned=len(data.boots),
        usable=int(data.boots["usable"].sum()),
        has_control=bool((data.boots["arm"] == CONTROL).any()),
        failures=lost,
        parts=tuple(parts),
        defects=tuple(
            f"{row.cell} {row.pair:02d}-{row.arm} {row.source}: {row.text}"
            for row in pairing.rows(data.defects)
        ),
        facts=facts.gather(
            data,
            manifest,
            clock,
            (
                *steady.gather(data, clock),
                *hosts.gather(data, [row for row in metrics if row.role == "primary"]),
            ),
        ),
        blocks=blocks,
        tested=selftests.gather(data, manifest),
        failing=failing.gather(blocks, lost),
        sizes=sizes.read(results),
        profile=profile.analyse(results, data, manifest) if profile.is_there(results) else None,
        costs=costs.analyse(results, manifest) if costs.is_there(results) else None,
        sweeps=sweep.gather(manifest),
        waits=waits.gather(data, used),
        profiled=profileboots.gather(results),
    )


def _clock(data: Frames, manifest: Manifest) -> str:
    clocks = {clock for clock in data.boots["clock"] if clock}
    if len(clocks) > 1:
        raise UserError(
            f"boots of different clocks ({', '.join(sorted(clocks))}) lie in one results folder: "
            "their numbers cannot be compared; keep one clock in a folder"
        )
    return clocks.pop() if clocks else manifest.clock


def _row(
    key: Any, group: PairedValues, has_control: bool, *, margin: float | None, **fields: Any
) -> Estimate:
    """A judged number; the verdict is kept for primary metrics only, the noise for all."""
    aa = (group.aa_base.tolist(), group.aa_control.tolist())
    judged = verdict.decide(
        (group.base.tolist(), group.patch.tolist()),
        aa if has_control else None,
        direction=fields["direction"] or None,
        margin_pct=margin,
    )
    again = pairing.changes(group.aa_pairs, *aa)
    return Estimate.of(
        key,
        group,
        judged.change,
        noise=judged.noise,
        verdict=judged if fields["role"] == "primary" else None,
        again=again if fields["role"] == "primary" else (),
        **fields,
    )


def _metric_rows(
    data: Frames, manifest: Manifest, clock: str, used: Counted
) -> tuple[list[Estimate], dict[str, tuple[str, ...]]]:
    """A row for each metric; and by workload, the metrics that one kernel never gave."""
    has_control = bool((data.boots["arm"] == CONTROL).any())
    rows: list[Estimate] = []
    one_sided: dict[str, set[str]] = {}
    for key, group in pairing.groups(data.metrics, ["name", "unit"], used):
        workload, name, unit = (str(key[k]) for k in ("workload", "name", "unit"))
        there = group.arms
        if len(there) < len(ARMS):
            place = f"{there[0] if there else 'neither'}: metric {name}"
            one_sided.setdefault(workload, set()).add(place)
            continue
        primary = name == manifest.primary(workload, str(key["backend"]), clock)
        rows.append(
            _row(
                key,
                group,
                has_control,
                role="primary" if primary else "secondary",
                name=name,
                phase="",
                unit=manifest.unit(workload, name, unit, clock),
                data_unit=unit,
                direction=manifest.direction(workload, name),
                margin=manifest.margin(workload),
            )
        )
    return rows, {workload: tuple(sorted(names)) for workload, names in one_sided.items()}


def _percentile_rows(percentiles: latency.Percentiles, clock: str, used: Counted) -> list[Estimate]:
    values = percentiles.values
    has_control = bool((values["arm"] == CONTROL).any())
    return [
        _row(
            key,
            group,
            has_control,
            role="percentile",
            name=f"{key['name']} p{key['percent']:g}",
            phase=str(key["phase"]),
            unit=clock_unit(str(key["unit"]), clock),
            data_unit=str(key["unit"]),
            direction="lower",
            margin=None,
            bucket_pct=percentiles.bucket(key, group),
        )
        for key, group in pairing.groups(values, latency.KEYS, used)
    ]


def _unmeasured(
    data: Frames, manifest: Manifest, clock: str, workload: str, rows: list[Estimate]
) -> Iterator[tuple[str, str]]:
    """Back-ends without a pair that has the primary metric, and its name."""
    for backend in sorted(set(data.boots[data.boots["workload"] == workload]["backend"])):
        primary = manifest.primary(workload, backend, clock)
        shown = any(row.backend == backend and row.role == "primary" for row in rows)
        if primary is not None and not shown:
            yield backend, primary


def failures(boots: pd.DataFrame, manifest: Manifest, results: Path) -> tuple[ExcludedBoot, ...]:
    """The boots of a result that do not count."""
    decoded = traces.read(results)
    return tuple(
        ExcludedBoot(
            cell=str(boot.cell),
            pair=int(boot.pair),
            arm=str(boot.arm),
            outcome=str(boot.outcome),
            detail=str(boot.detail),
            folder=str(boot.folder),
            console=_console(results / str(boot.folder) / "console.log"),
            trace=decoded.get(str(boot.folder), ""),
            known=failing.known(
                manifest, str(boot.workload), str(boot.backend), str(boot.arm), str(boot.outcome)
            ),
        )
        for boot in pairing.rows(boots[~boots["usable"]])
    )


def _blocks(boots: pd.DataFrame) -> tuple[BootPair, ...]:
    """Every pair with its boots; those that were never begun come last."""
    found: dict[tuple[str, int], list[Any]] = {}
    for boot in pairing.rows(boots):
        found.setdefault((str(boot.cell), int(boot.pair)), []).append(boot)
    blocks = []
    for (cell, pair), mine in found.items():
        usable = {boot.arm for boot in mine if boot.usable}
        mine.sort(key=lambda boot: (str(boot.position), str(boot.arm)))
        blocks.append(
            BootPair(
                cell,
                pair,
                min((str(boot.started) for boot in mine if boot.started), default=""),
                usable >= set(ARMS),
                tuple((str(b.arm), str(b.outcome), str(b.folder)) for b in mine),
            )
        )
    blocks.sort(key=lambda block: (not block.started, block.started, block.pair, block.cell))
    return tuple(blocks)


def _console(path: Path) -> str:
    """The last lines of a boot's serial log."""
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(path.stat().st_size - _CONSOLE_BYTES, 0))
        tail = log.read().decode("utf-8", "backslashreplace")
    return "\n".join(tail.replace("\r\n", "\n").split("\n")[-_CONSOLE_LINES:]).strip("\n")


def _notes(
    data: Frames, manifest: Manifest, clock: str, workload: str, rows: list[Estimate]
) -> Iterator[str]:
    """What a reader of this workload's tables must know."""
    cells = sorted(set(data.boots[data.boots["workload"] == workload]["backend"]))
    waiting = [backend for backend in cells if manifest.waits_io(backend)]
    if clock == "insn" and waiting and manifest.disk_of(workload) == "sim":
        latency = manifest.guest.disk_latency_ns
        yield (
            f"{', '.join(waiting)}: elapsed times have the waiting for a simulated disk in them, "
            f"{latency} ns a request, which is the harness's choice and no instruction; so all "
            "instructions that the guest executes are primary there."
        )
    elif clock == "insn" and waiting:
        yield (
            f"{', '.join(waiting)}: waits for host I/O, which this clock charges at random. "
            "Elapsed times mean nothing there, and all instructions that the guest executes vary "
            "with what its timers do while it waits: DISK=sim has exact ones."
        )
    hists = data.hists[data.hists["workload"] == workload]
    apart = sorted({str(name) for name in hists["phase"] if str(name).startswith("hist_")})
    if apart:
        yield (
            f"Percentiles are those of {', '.join(apart)}, a pass of its own in which a clock is "
            "read at each access: it may swap in other pages than the timed one, see its counters. "
            "They are exact to a bucket, whatever their interval says."
        )
    dropped = sorted({row.backend for row in rows if row.change.dropped})
    if dropped:
        yield f"{', '.join(dropped)}: pairs that lack a value on one side are left out."
