"""A results folder as pandas data frames, loaded with one call.

Every frame has the columns cell, backend, workload, arm and pair. Nothing in a results
folder stops the load: a boot that failed, is missing or is damaged is a row in `boots`, and
what could not be read is a row in `defects`.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness import deltas, histogram, probes, telemetry
from harness.errors import UserError

ARMS = ("base", "patch")
AGAIN = "again"
"""The third boot of a block: the base kernel once more, for A/A. Absent from older results."""
BOOT = ["cell", "backend", "workload", "arm", "pair"]

Numbers: TypeAlias = "array[Any]"
_BULK = ("slabinfo", "allocinfo", "vmallocinfo")

_LINE_FAULTS = (
    ValueError, KeyError, TypeError, OverflowError, RecursionError, histogram.HistogramError,
)  # fmt: skip

_FOOTPRINT = re.compile(r"^(\w{1,32}) (\d{1,12})$", re.MULTILINE)

_COLUMNS = {
    "boots": [
        "position", "outcome", "detail", "usable", "clock", "accel", "kernel_release", "started",
        "wall_s", "verify_pages", "verify_bad", "samples", "torn", "sampler_cpu_ns", "footprint",
        "folder",
    ],
    "raw_metrics": ["name", "value", "unit", "round"],
    "hists": ["name", "phase", "round", "unit", "hist"],
    "phases": ["name", "round", "begin_ns", "end_ns", "cpu_ns"],
    "params": ["source", "name", "value", "unit"],
    "raw": ["t_ns", "path", "text"],
    "misses": ["path", "errno"],
    "defects": ["source", "text"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frames:
    """One results folder.

    boots: one row a boot, also for failed and missing ones; `usable` says whether it counts
    metrics: one value a boot (name, value, unit); rounds inside the boot are averaged
    raw_metrics: the same before averaging, with `round`
    hists: one `histogram.Histogram` in column `hist` for each name, phase and round
    samples: t_ns, seq, reason, probe, key, field, unit, value: every number of every sample
        (see `bulk` of `load`); values are floats, exact up to 2**53
    phases: begin_ns, end_ns, cpu_ns of each phase and round
    deltas: counter differences between a phase's marks; see `deltas.of_boot`
    params: effective parameters (source "param") and back-end settings (source "readback")
    raw: sampled files that no parser knows, as they are
    misses: files that the sampler could not read
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
    defects: pd.DataFrame


@dataclass(slots=True)
class _Tables:
    """Rows while they are collected; what has millions of rows is kept as bare numbers.

    values: columns (index into `taken`, series, value)
    changes: columns (index into `spans`, series, begin, end)
    """

    bulk: bool
    counters: bool
    rows: dict[str, list[list[Any]]] = field(default_factory=lambda: {n: [] for n in _COLUMNS})
    boots: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    series: dict[deltas.Series, int] = field(default_factory=dict)
    taken: list[tuple[int, int, int, str]] = field(default_factory=list)
    values: tuple[Numbers, ...] = field(
        default_factory=lambda: (array("l"), array("l"), array("d"))
    )
    spans: dict[tuple[int, str, int], int] = field(default_factory=dict)
    changes: tuple[Numbers, ...] = field(
        default_factory=lambda: (array("l"), array("l"), array("d"), array("d"))
    )

    def add(self, table: str, *values: Any) -> None:
        self.rows[table].append([*self.boots[-1], *values])

    def defect(self, source: str, text: object) -> None:
        self.add("defects", source, str(text))


def load(results: Path, *, bulk: bool = False, counters: bool = True) -> Frames:
    """Read results/<name>: its manifest.json (if any) and every boots/<cell>/<pair>-<arm>.

    bulk: also read slabinfo, allocinfo and vmallocinfo, many thousand numbers a sample.
    counters: without, samples.raw.gz stays unread, which takes nearly all of the time.
    UserError if there is no such folder or it holds no boot.
    """
    boots = results / "boots"
    if not boots.is_dir():
        raise UserError(f"{results} is no results folder: it has no folder 'boots'")
    tables = _Tables(bulk, counters)
    for cell, pair, arm in _expected(results, boots):
        backend, _, workload = cell.rpartition(".")
        tables.boots.append((cell, backend, workload, arm, pair))
        _boot(tables, boots / cell / f"{pair:02d}-{arm}", results)
    if not tables.boots:
        raise UserError(f"{boots} is empty: no boot has finished yet")
    plain = {name: _frame(tables.rows[name], [*BOOT, *_COLUMNS[name]]) for name in _COLUMNS}
    return Frames(
        **plain,
        metrics=averaged(plain["raw_metrics"], ["name", "unit"]),
        samples=_samples(tables),
        deltas=_deltas(tables),
    )


def averaged(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One `value` a boot and `names`: the arithmetic mean over rounds."""
    keys = [*BOOT, *names]
    means = frame.groupby(keys, observed=True, sort=False)["value"].mean()
    return means.reset_index()


def _expected(results: Path, boots: Path) -> list[tuple[str, int, str]]:
    """(cell, pair, arm) of every boot that is there or should be there, in order.

    A cell that the plan names, a pair below the planned number and the other boots of a pair
    are expected even if no folder is there; "again" only if the plan has it ("aa") or any boot
    of it is there.
    """
    there = set(_folders(boots))
    manifest = _json(results / "manifest.json") or {}
    planned = manifest.get("pairs")
    numbers = range(planned) if isinstance(planned, int) and 0 <= planned <= 10_000 else range(0)
    cells = {cell for cell, _, _ in there}
    named = manifest.get("cells")
    if isinstance(named, list):
        cells |= {cell for cell in named if isinstance(cell, str)}
    has_again = manifest.get("aa") is True or any(arm == AGAIN for _, _, arm in there)
    arms = (*ARMS, AGAIN) if has_again else ARMS
    wanted = {(cell, pair, arm) for cell in cells for pair in numbers for arm in arms}
    halves = {(cell, pair, arm) for cell, pair, _ in there for arm in arms}
    return sorted(there | wanted | halves)


def _folders(boots: Path) -> Iterator[tuple[str, int, str]]:
    # A name that begins with a dot is a boot still under way.
    for folder in sorted(boots.glob("[!.]*/[!.]*")):
        pair, _, arm = folder.name.partition("-")
        if folder.is_dir() and pair.isdecimal() and arm in (*ARMS, AGAIN):
            yield folder.parent.name, int(pair), arm


def _boot(tables: _Tables, folder: Path, results: Path) -> None:
    """Read one boot's folder into the tables."""
    facts = _json(folder / "boot.json")
    if facts is None:
        facts = {"outcome": "unreadable", "detail": "boot.json is missing or damaged"}
        if not folder.is_dir():
            facts = {"outcome": "missing", "detail": "this boot has not been run"}
    readback = facts.get("backend_readback")
    for name, value in readback.items() if isinstance(readback, dict) else ():
        tables.add("params", "readback", str(name), str(value), "")
    done, pages, bad = _workload(tables, folder / "workload.jsonl")
    stream = _stream(tables, folder / "samples.raw.gz")
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
        str(folder.relative_to(results)),
    )  # fmt: skip


def _footprint(path: Path) -> dict[str, int]:
    """Bytes that the harness's own programs held in the guest, by program; its lines give KiB."""
    text = path.read_text("utf-8", "backslashreplace") if path.is_file() else ""
    return {name: int(kib) << 10 for name, kib in _FOOTPRINT.findall(text)}


def _workload(tables: _Tables, path: Path) -> tuple[bool, int, int]:
    """Read a workload's JSON lines; whether it finished, pages verified, pages bad."""
    done, pages, bad = False, 0, 0
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
            elif kind == "verify":
                pages, bad = pages + int(item["pages"]), bad + int(item["bad"])
            else:
                _line(tables, kind, item, rounds)
        except _LINE_FAULTS as error:
            tables.defect("workload.jsonl", f"line {number}: {type(error).__name__}: {error}")
    return done, pages, bad


def _line(
    tables: _Tables, kind: str, item: dict[str, Any], rounds: dict[tuple[str, ...], int]
) -> None:
    """One param, phase, metric or hist line; its round is given, or counts up by name."""
    name = str(item["name"])
    slot = (str(kind), name, str(item.get("phase", "")))
    turn = int(item.get("round", rounds.get(slot, 0)))
    rounds[slot] = turn + 1
    unit = str(item.get("unit", ""))
    if kind == "param":
        tables.add("params", "param", name, str(item["value"]), unit)
    elif kind == "metric":
        tables.add("raw_metrics", name, _number(item["value"]), unit, turn)
    elif kind == "phase":
        begin, end = int(item["begin_ns"]), int(item["end_ns"])
        tables.add("phases", name, turn, begin, end, _number(item.get("cpu_ns", math.nan)))
    elif kind == "hist":
        hist = histogram.from_json(item)
        tables.add("hists", name, str(item.get("phase", "")), turn, unit, hist)
    else:
        raise ValueError(f"unknown type {kind!r}")


def _stream(tables: _Tables, path: Path) -> telemetry.Stream:
    """Read a boot's samples: every number, and the differences between marks."""
    there = tables.counters and path.is_file()
    stream = telemetry.read(telemetry.unpack(path.read_bytes()) if there else b"")
    for defect in stream.defects:
        tables.defect("samples.raw.gz", defect)
    boot = len(tables.boots) - 1
    misses: set[tuple[str, str]] = set()
    marks: list[deltas.Mark] = []
    for sample in stream.samples:
        misses |= {(miss.path, miss.errno) for miss in sample.misses}
        values: dict[int, float] = {}
        for file in sample.files:
            for series, value in _records(tables, file, sample):
                for column, number in zip(
                    tables.values, (len(tables.taken), series, value), strict=True
                ):
                    column.append(number)
                values[series] = values.get(series, 0) + value
        tables.taken.append((boot, sample.seq, sample.t_ns, sample.reason))
        if sample.mark is not None:
            paths = frozenset(file.path for file in sample.files)
            marks.append(deltas.Mark(sample.mark, paths, values))
    for miss in sorted(misses):
        tables.add("misses", *miss)
    found, complaints = deltas.of_boot(marks, list(tables.series))
    for delta in found:
        span = tables.spans.setdefault((boot, delta.phase, delta.round), len(tables.spans))
        row = (span, delta.series, delta.begin, delta.end)
        for column, number in zip(tables.changes, row, strict=True):
            column.append(number)
    for complaint in complaints:
        tables.defect("samples.raw.gz", complaint)
    return stream


def _records(
    tables: _Tables, file: telemetry.File, sample: telemetry.Sample
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
        series = deltas.Series(file.path, record.probe, record.key, record.field, record.unit)
        yield tables.series.setdefault(series, len(tables.series)), record.value


def _frame(rows: Sequence[Sequence[Any]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(names))


def _coded(codes: NDArray[np.int64], values: list[Any]) -> Any:
    """A column of few distinct values, `values[code]` for each code."""
    distinct = list(dict.fromkeys(values))
    place = {value: i for i, value in enumerate(distinct)}
    positions = np.asarray([place[value] for value in values], dtype=np.int64)
    return pd.Categorical.from_codes(positions[codes], categories=pd.Index(distinct))


def _boot_columns(tables: _Tables, codes: NDArray[np.int64]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: _coded(codes, [boot[i] for boot in tables.boots]) for i, name in enumerate(BOOT[:-1])
    }
    columns["pair"] = np.asarray([boot[-1] for boot in tables.boots], dtype=np.int64)[codes]
    return columns


def _series_columns(tables: _Tables, codes: NDArray[np.int64]) -> dict[str, Any]:
    series = list(tables.series)
    return {
        name: _coded(codes, [getattr(one, name) for one in series])
        for name in ("probe", "key", "field", "unit")
    }


def _samples(tables: _Tables) -> pd.DataFrame:
    at, series, value = (np.asarray(column) for column in tables.values)
    boots, seqs, times, reasons = _turned(tables.taken, 4)
    return pd.DataFrame(
        {
            **_boot_columns(tables, np.asarray(boots, dtype=np.int64)[at]),
            "seq": np.asarray(seqs, dtype=np.int64)[at],
            "t_ns": np.asarray(times, dtype=np.int64)[at],
            "reason": _coded(at, reasons),
            **_series_columns(tables, series),
            "value": value,
        }
    )


def _deltas(tables: _Tables) -> pd.DataFrame:
    at, series, begin, end = (np.asarray(column) for column in tables.changes)
    boots, phases, rounds = _turned(list(tables.spans), 3)
    return pd.DataFrame(
        {
            **_boot_columns(tables, np.asarray(boots, dtype=np.int64)[at]),
            "phase": _coded(at, phases),
            "round": np.asarray(rounds, dtype=np.int64)[at],
            **_series_columns(tables, series),
            "begin": begin,
            "end": end,
            "value": end - begin,
        }
    )


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as columns, also when there is no row."""
    return [[row[i] for row in rows] for i in range(width)]


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if the file is missing or is not one."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
