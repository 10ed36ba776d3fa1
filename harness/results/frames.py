# SPDX-License-Identifier: GPL-2.0-only
"""A results folder as pandas data frames, loaded with one call.

Every frame has the columns cell, backend, workload, arm and pair. Nothing in a results
folder stops the load: a boot that failed, is missing or is damaged is a row in `boots`, and
what could not be read is a row in `defects`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from harness.results import collected, deltas, histogram, ktap, manifest, probes, telemetry, turns
from harness.results.collected import BOOT, COLUMNS, Collected
from harness.results.counted import BootWork
from harness.results.manifest import Manifest
from harness.results.probes import pmu
from harness.util import atomic
from harness.util.errors import UserError

ARMS = ("base", "patch")
CONTROL = "control"
"""The third boot of a block: the base kernel once more, for A/A. Absent from older results."""
FORMER = {"again": CONTROL}
"""Names of arms in the folders of older results."""
_ORDER = (CONTROL, *ARMS)
"""Of the boots of a pair in tables: as it was when the control was "again"."""

BootKey: TypeAlias = tuple[str, int, str]
"""(cell, pair, arm)"""

_BULK = ("slabinfo", "allocinfo", "vmallocinfo")

_LINE_FAULTS = (
    ValueError, LookupError, TypeError, ArithmeticError, RecursionError, histogram.HistogramError,
)  # fmt: skip

_COUNT = re.compile(r"^(\d{1,9}) (\d{1,18})\n", re.MULTILINE)
_FOOTPRINT = re.compile(r"^(\w{1,32}) (\d{1,12})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Frames:
    """One results folder.

    boots: one row a boot, also for failed and missing ones; `usable` says whether it counts
    metrics: one value a boot (name, value, unit); rounds inside the boot are averaged
    raw_metrics: the same before averaging, with `round`
    hists: one `histogram.Histogram` in column `hist` for each name, phase and round
    samples: t_ns, seq, reason, probe, key, field, unit, value: every number of every sample
        (see `bulk` of `load`); values are floats, exact up to 2**53
    phases: begin_ns, end_ns, cpu_ns of each phase and round; busy_ns: all instructions that the
        guest executed in it, one a ns; NaN where they were not counted; sampler_ns: time that
        the sampler's interval samples in it took
    deltas: counter differences between a phase's marks; see `deltas.of_boot`
    params: effective parameters (source "param") and back-end settings (source "readback")
    raw: sampled files that no parser knows, as they are
    misses: files that the sampler could not read
    tests: the kernel's own tests, one row a test: name, result ("pass", "fail", "skip", "xfail",
        "lost"), directive, inner (it has tests of its own), log; see `ktap.Case`
    defects: what could not be read, one sentence each
    """

    boots: pd.DataFrame
    metrics: pd.DataFrame
    raw_metrics: pd.DataFrame
    hists: pd.DataFrame
    samples: pd.DataFrame
    phases: pd.DataFrame
    deltas: pd.DataFrame
    params: pd.DataFrame
    raw: pd.DataFrame
    misses: pd.DataFrame
    tests: pd.DataFrame
    defects: pd.DataFrame


def load(results: Path, *, bulk: bool = False, counters: bool = True) -> Frames:
    """Read results/<name>: its manifest.json (if any) and every boots/<cell>/<pair>-<arm>.

    bulk: also read slabinfo, allocinfo and vmallocinfo, many thousand numbers a sample.
    counters: without, samples.raw.gz stays unread, which takes nearly all of the time.
    UserError if there is no such folder or it holds no boot.
    """
    boots = results / "boots"
    if not boots.is_dir():
        raise UserError(f"{results} is no results folder: it has no folder 'boots'")
    tables = Collected(bulk, counters)
    there = _folders(boots)
    plan = manifest.load(results)
    for cell, pair, arm in _expected(plan, there):
        backend, _, workload = cell.rpartition(".")
        tables.boots.append((cell, backend, workload, arm, pair))
        missing = boots / cell / f"{pair:02d}-{arm}"
        _boot(tables, there.get((cell, pair, arm), missing), results)
    if not tables.boots:
        raise UserError(f"{boots} is empty: no boot has finished yet")
    read = {name: collected.frame(tables.rows[name], [*BOOT, *COLUMNS[name]]) for name in COLUMNS}
    read["raw_metrics"] = collected.raw_metrics(tables)
    if all(plan.in_turn(clock) for clock in set(read["boots"]["clock"]) - {""}):
        read = turns.valid(read)
    return Frames(
        **read,
        metrics=averaged(read["raw_metrics"], ["name", "unit"]),
        samples=collected.samples(tables),
        deltas=collected.deltas(tables),
    )


def averaged(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One `value` a boot and `names`: the arithmetic mean over rounds."""
    keys = [*BOOT, *names]
    means = frame.groupby(keys, observed=True, sort=False)["value"].mean()
    return means.reset_index()


def _expected(plan: Manifest, there: Collection[BootKey]) -> list[BootKey]:
    """(cell, pair, arm) of every boot that is there or should be there, in order.

    A cell that the plan names, a pair below the planned number and the other boots of a pair
    are expected even if no folder is there; the control only if the plan has it ("aa") or any
    control is there. Of a cell that one kernel runs alone ("halves") the other boots are not.
    """
    numbers = range(plan.pairs) if plan.pairs and 0 <= plan.pairs <= 10_000 else range(0)
    cells = {cell for cell, _, _ in there} | set(plan.cells)
    has_control = plan.aa or any(arm == CONTROL for _, _, arm in there)
    arms = (*ARMS, CONTROL) if has_control else ARMS
    wanted = {(cell, pair, arm) for cell in cells for pair in numbers for arm in arms}
    halves = {(cell, pair, arm) for cell, pair, _ in there for arm in arms}
    alone = {one.cell: one.arm for one in plan.halves}
    wanted = {one for one in wanted | halves if alone.get(one[0], one[2]) == one[2]}
    return sorted({*there, *wanted}, key=lambda key: (key[0], key[1], _ORDER.index(key[2])))


def _folders(boots: Path) -> dict[BootKey, Path]:
    """The folder of each boot that is there; a name of now goes before a former one."""
    found: dict[BootKey, Path] = {}
    # A name that begins with a dot is a boot still under way.
    for folder in sorted(boots.glob("[!.]*/[!.]*")):
        pair, _, name = folder.name.partition("-")
        arm = FORMER.get(name, name)
        if folder.is_dir() and pair.isdecimal() and arm in (*ARMS, CONTROL):
            key = (folder.parent.name, int(pair), arm)
            if name == arm or key not in found:
                found[key] = folder
    return found


def _boot(tables: Collected, folder: Path, results: Path) -> None:
    """Read one boot's folder into the tables."""
    facts = atomic.json_file(folder / "boot.json")
    if facts is None:
        facts = {"outcome": "unreadable", "detail": "boot.json is missing or damaged"}
        if not folder.is_dir():
            facts = {"outcome": "missing", "detail": "this boot has not been run"}
    tables.work = BootWork()
    readback = facts.get("backend_readback")
    for name, value in readback.items() if isinstance(readback, dict) else ():
        tables.add("params", "readback", str(name), str(value), "")
    done, pages, bad = _workload(tables, folder / "workload.jsonl", folder / "counts")
    _tests(tables, folder / "selftests.ktap")
    stream = _stream(tables, folder / "samples.raw.gz")
    _observed(tables, stream)
    for one in tables.work.derived():
        tables.metric(one.name, one.unit, one.value, one.round)
    outcome, detail = str(facts.get("outcome", "unreadable")), str(facts.get("detail", ""))
    if outcome == "ok" and bad:
        outcome, detail = "corrupt", f"{bad} of {pages} pages came back with wrong content"
    elif outcome == "ok" and not done:
        outcome, detail = "incomplete", "the workload's output has no 'done' line"
    wall = facts.get("wall_s")
    tables.add(
        "boots",
        facts.get("position"), outcome, detail, outcome == "ok",
        str(facts.get("clock", "")), str(facts.get("accel", "")),
        str(facts.get("kernel_release", "")), str(facts.get("started", "")),
        sum(v for v in wall.values() if _is_number(v)) if isinstance(wall, dict) else math.nan,
        pages, bad, len(stream.samples), stream.torn,
        stream.samples[-1].cpu_ns if stream.samples else 0,
        _footprint(folder / "footprint"),
        *_host(facts.get("host")),
        state if isinstance(state := facts.get("host_state"), dict) else {},
        str(folder.relative_to(results)),
    )  # fmt: skip


def _host(facts: object) -> tuple[str, str]:
    """Name of the machine that ran a boot, and what it is; empty where nobody said."""
    if not isinstance(facts, dict):
        return "", ""
    cpu, kernel, qemu = (str(facts.get(key, "unknown")) for key in ("cpu", "kernel", "qemu"))
    return str(facts.get("name", "")), f"{cpu}, Linux {kernel}, {qemu}"


def _footprint(path: Path) -> dict[str, int]:
    """Bytes that the harness's own programs held in the guest, by program; its lines give KiB."""
    text = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
    return {name: int(kib) << 10 for name, kib in _FOOTPRINT.findall(text)}


def _counts(path: Path) -> dict[int, int]:
    """Instructions by line number, as QEMU's plugin counted them; empty if it did not."""
    text = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
    return {int(number): int(amount) for number, amount in _COUNT.findall(text)}


def _workload(tables: Collected, path: Path, counted: Path) -> tuple[bool, int, int]:
    """Read a workload's JSON lines; whether it finished, pages verified, pages bad."""
    done, pages, bad = False, 0, 0
    counts = _counts(counted)
    rounds: dict[tuple[str, ...], int] = {}
    text = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            kind = item["type"]
            if kind == "done":
                done = True
            elif kind == "test":  # the same is read from selftests.ktap, with what is inside it
                ktap.Result(item["result"])
            elif kind == "verify":
                pages, bad = pages + int(item["pages"]), bad + int(item["bad"])
            else:
                _line(tables, kind, item, rounds, counts)
        except _LINE_FAULTS as error:
            tables.defect("workload.jsonl", f"line {number}: {type(error).__name__}: {error}")
    return done, pages, bad


def _line(
    tables: Collected,
    kind: str,
    item: dict[str, Any],
    rounds: dict[tuple[str, ...], int],
    counts: Mapping[int, int],
) -> None:
    """One param, phase, metric or hist line; its round is given, or counts up by name.

    The value of a "counted" metric is ``counts`` of that line, per so many units of work; without
    the plugin there is none.
    """
    name = str(item["name"])
    slot = (str(kind), name, str(item.get("phase", "")))
    turn = int(item.get("round", rounds.get(slot, 0)))
    rounds[slot] = turn + 1
    unit = str(item.get("unit", ""))
    if kind == "param":
        tables.add("params", "param", name, str(item["value"]), unit)
    elif kind == "metric" and "counted" not in item:
        value = _number(item["value"])
        tables.metric(name, unit, value, turn)
        tables.work.times[name, turn] = value, unit
    elif kind == "metric":
        tables.work.of(name, turn, _number(item.get("per", 0)))
        if counts:
            value = counts[int(item["counted"])] / _number(item["per"])
            tables.metric(name, unit, value, turn)
    elif kind == "phase":
        begin, end = int(item["begin_ns"]), int(item["end_ns"])
        tables.work.elapsed[name, turn] = end - begin
        spent, busy = _number(item.get("cpu_ns", math.nan)), math.nan
        if counts and "counted" in item:
            busy = counts[int(item["counted"])]
        tables.add("phases", name, turn, begin, end, spent, busy, math.nan)
    elif kind == "hist":
        hist = histogram.from_json(item)
        tables.add("hists", name, str(item.get("phase", "")), turn, unit, hist)
    else:
        raise ValueError(f"unknown type {kind!r}")


def _tests(tables: Collected, path: Path) -> None:
    """Read the output of the kernel's own tests, if this boot ran them."""
    if not path.is_file():
        return
    found = ktap.parse(path.read_text("utf-8", "backslashreplace"))
    for case in found.cases:
        tables.add("tests", case.name, str(case.result), case.directive, case.inner, case.log)
    for defect in found.defects:
        tables.defect(path.name, defect)


def _stream(tables: Collected, path: Path) -> telemetry.Stream:
    """Read a boot's samples: every number, and the differences between marks."""
    there = tables.counters and path.is_file()
    stream = telemetry.read(telemetry.unpack(path.read_bytes()) if there else b"")
    for defect in stream.defects:
        tables.defect("samples.raw.gz", defect)
    boot = len(tables.boots) - 1
    misses: set[tuple[str, str]] = set()
    marks: list[deltas.SampleMark] = []
    for sample in stream.samples:
        misses |= {(miss.path, miss.errno) for miss in sample.misses}
        values: dict[int, float] = {}
        for file in sample.files:
            for series, value in _records(tables, file, sample):
                collected.append(tables.values, len(tables.taken), series, value)
                values[series] = values.get(series, 0) + value
        tables.taken.append((boot, sample.seq, sample.t_ns, sample.reason))
        if sample.mark is not None:
            paths = frozenset(file.path for file in sample.files)
            marks.append(deltas.SampleMark(sample.mark, paths, values))
    for miss in sorted(misses):
        tables.add("misses", *miss)
    known = list(tables.series)
    found, complaints = deltas.of_boot(marks, known)
    for delta in found:
        span = tables.spans.setdefault((boot, delta.phase, delta.round), len(tables.spans))
        collected.append(tables.changes, span, delta.series, delta.begin, delta.end)
        counter = known[delta.series]
        if counter.probe == pmu.NAME:
            events = tables.work.events.setdefault((delta.phase, delta.round), {})
            events[counter.field] = delta.end - delta.begin
    for complaint in complaints:
        tables.defect("samples.raw.gz", complaint)
    return stream


def _observed(tables: Collected, stream: telemetry.Stream) -> None:
    """Fill in how long the sampler read inside of each phase of the boot that was begun last."""
    reads = [(one.t_ns, one.end_ns) for one in stream.samples if one.mark is None]
    here, first = [*tables.boots[-1]], len(BOOT)
    begin, end = (first + COLUMNS["phases"].index(name) for name in ("begin_ns", "end_ns"))
    for row in reversed(tables.rows["phases"]):
        if row[:first] != here:
            break
        inside = (until - at for at, until in reads if row[begin] <= at <= row[end])
        row[-1] = sum(inside)


def _records(
    tables: Collected, file: telemetry.File, sample: telemetry.Sample
) -> Iterator[tuple[int, float]]:
    """Series number and value of each record of a file."""
    known = probes.find(file.path)
    if known is not None and known[0] in _BULK and not tables.bulk:
        return
    try:
        parsed = probes.parse(file.path, file.text)
    except probes.ProbeError as error:
        tables.defect("samples.raw.gz", f"sample {sample.seq}: {file.path}: {error}")
        return
    if parsed.raw is not None:
        tables.add("raw", sample.t_ns, file.path, parsed.raw)
    for record in parsed.records:
        series = deltas.CounterSeries(
            file.path, record.probe, record.key, record.field, record.unit
        )
        yield tables.series.setdefault(series, len(tables.series)), record.value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
