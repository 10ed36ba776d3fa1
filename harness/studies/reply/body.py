# SPDX-License-Identifier: GPL-2.0-only
"""The body of an answer to a mailed series: verdicts, what moved with them, and their evidence.

At most 60 lines for the usual six cells; see `parts` for what a line must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.report import bloat, counters, layout, model, phrases, tables
from harness.report.layout import Block
from harness.report.model import Estimate, Report
from harness.report.numbers import change, fine, number
from harness.report.profile import brief
from harness.report.table import Table, columns
from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest
from harness.stats import paired
from harness.stats.verdict import Kind
from harness.studies.overhead import tables as answers
from harness.studies.overhead.analysis import Overhead
from harness.studies.reply import full, parts
from harness.studies.reply.parts import Answer, Evidence, bullets, lined, wrap

_COUNTERS, _BESIDE_FAILURES = 4, 2
_REASONS = 2
_OUTLYING = 3
"""A cell is named where its minimum detectable effect is so many times the next largest."""


def body(
    answer: Answer, manifest: Manifest, evidence: Sequence[Evidence], *, long: bool = False
) -> str:
    """The whole body."""
    blocks = (full.blocks if long else _blocks)(answer, manifest, evidence)
    return layout.page([line.rstrip() for line in block] for block in blocks)


def derived(said: str, answer: Answer) -> list[str]:
    """The lines with numbers that a mail which ``said`` so has of a result; `verify` asks."""
    long = f"\n{full.MARK}\n" in said
    blocks = (full.derived if long else _derived)(answer)
    return [line for block in blocks for line in block if any(c.isdigit() for c in line)]


def _blocks(answer: Answer, manifest: Manifest, evidence: Sequence[Evidence]) -> Iterator[Block]:
    what = "Memory overhead of swap metadata" if answer.only_overhead else "Swap performance"
    base, patch = (parts.called(manifest.arm(arm)) for arm in ARMS)
    series = manifest.series.name
    patch = patch if series == UNKNOWN else series
    yield wrap(f"{what} of {patch} against {base}, in fresh QEMU guests.")
    yield from _derived(answer)
    yield _compared(answer.report, manifest)
    yield ["To repeat it:", *parts.repeat(answer.commands, evidence)]
    made = evidence[0].made.partition(",")[0]
    yield [*parts.proof(evidence), *wrap(f"Tables made with {made}.")]


def _derived(answer: Answer) -> Iterator[Block]:
    """The blocks whose numbers follow from the raw files."""
    report = answer.report
    yield parts.outcome(answer)
    if not answer.only_overhead:
        yield [*lined(tables.verdicts(report)), *_undecided(report)]
    yield from map(_memory, answer.overheads)
    if not answer.only_overhead:
        yield _moved(report)
        yield brief.section(report.profile, report.costs)
        size = wrap(bloat.line(report.sizes)) if report.sizes else []
        yield [*size, *(line for said in _caveats(report) for line in wrap(said))]


def _undecided(report: Report) -> Iterator[str]:
    """Why there is no verdict, where there is none."""
    open_ = (Kind.UNDECIDED, Kind.NONE)
    found: dict[str, list[str]] = {}
    for row in report.primary:
        if row.verdict is not None and row.verdict.kind in open_:
            found.setdefault(f"{row.verdict.kind}: {row.verdict.reason}.", []).append(row.cell)
    for reason, cells in islice(found.items(), _REASONS):
        yield from wrap(f"{', '.join(cells)} {reason}")


def _memory(report: Overhead) -> list[str]:
    """What a full area costs on each back-end, and what was claimed."""
    whole = answers.answer(report)[-1]
    notes = [f"{one.arm} is {one.name}" for one in report.kernels.values()]
    if report.claim:
        unlike = "" if report.claim_fits else ", which is about other kernels"
        notes.append(f"claimed: {report.claim.title}{unlike}")
    for mark, what in (("!", "claim"), ("?", "model")):
        if any(row[-1] == mark for row in whole.rows):
            notes.append(f"'{mark}': {what} outside the interval")
    if report.failed:
        notes.append(f"{len(report.failed)} boots are excluded")
    return lined(replace(whole, notes=(f"{'; '.join(notes)}.",)))


def _moved(report: Report) -> list[str]:
    """The counters of swap, reclaim and memory that changed most, strongest evidence first."""
    found = [row for part in report.parts for row in counters.relevant(part.counters)]
    share = f"{counters.SHARE:g} %"
    if not found and all(phrases.counted(part) == phrases.FEW_PAIRS for part in report.parts):
        return wrap(phrases.FEW_PAIRS)
    if not found:
        return wrap(f"No counter of swap, reclaim or memory changed by over {share} beyond chance.")
    shown = found[: _BESIDE_FAILURES if report.failing else _COUNTERS]
    title = f"Counters of swap, reclaim, memory that changed by over {share}, {len(shown)} of "
    return lined(
        Table(
            f"{title}{len(found)}:",
            columns("counter", "cell", "phase", "base", "patch", "change", names=3),
            tuple(map(_counter, shown)),
        )
    )


def _counter(row: Estimate) -> tuple[str, ...]:
    values = number(row.base.median), number(row.patch.median)
    return (row.name, row.cell, row.phase, *values, change(row.change))


def _caveats(report: Report) -> Iterator[str]:
    """What the clock cannot see, what A/A shows, and how many pairs there are."""
    yield phrases.clock_line(report)
    if report.facts.unset:
        yield report.facts.unset
    noise = _noise(report) if report.has_control else model.caution(report)
    pairs = sorted({row.change.n for row in report.primary})
    if not pairs:
        yield noise
    else:
        said = f"{pairs[0]} to {pairs[-1]}" if len(pairs) > 1 else f"{pairs[0]}"
        few = pairs[0] < paired.MIN_EXACT
        how = "t intervals, for normal noise" if few else "intervals by ranks"
        how = how if pairs[-1] > 1 else "no intervals"
        yield f"{noise} n = {said} pairs a cell: {how}."


def _noise(report: Report) -> str:
    """What no change looks like, and what change would have been seen.

    One cell that is far noisier than all others is named: its figures say nothing of theirs.
    """
    floors = [_Floor.of(row) for row in report.primary]
    quiet = sorted((one for one in floors if one), key=lambda one: one.detectable)
    if not quiet:
        return "A/A (control against base) has too few pairs to say anything."
    *rest, worst = quiet
    alone = bool(rest) and worst.detectable > _OUTLYING * rest[-1].detectable
    shown = rest if alone else quiet
    low, high = min(one.low for one in shown), max(one.high for one in shown)
    within, most = (" within", "at most ") if len(shown) > 1 else ("", "")
    said = (
        f"A/A 95 % interval{'s' if most else ''}{within} "
        f"{_span(low, high)} %, minimum detectable effect {most}{fine(shown[-1].detectable)} %"
    )
    if alone:
        said += f"; of {worst.cell} {_span(worst.low, worst.high)} % and {fine(worst.detectable)} %"
    return f"{said}."


def _span(low: float, high: float) -> str:
    return f"[{fine(low, sign=True)}, {fine(high, sign=True)}]"


@dataclass(frozen=True, slots=True)
class _Floor:
    """The noise of one cell's primary metric, in per cent: A/A interval and what is detectable."""

    cell: str
    low: float
    high: float
    detectable: float

    @classmethod
    def of(cls, row: Estimate) -> _Floor | None:
        """None where too few pairs have it."""
        one = row.noise
        if one is None or one.detectable_pct is None:
            return None
        low, high = one.change.low_pct, one.change.high_pct
        return None if low is None or high is None else cls(row.cell, low, high, one.detectable_pct)


def _compared(report: Report, manifest: Manifest) -> Iterator[str]:
    """Both kernels, and the series by reference."""
    for arm in ARMS:
        kernel = manifest.arm(arm)
        said = (
            f"{arm}: {parts.called(kernel)}, version {kernel.version}, commit {kernel.commit[:12]}"
        )
        yield from bullets([said])
    series = manifest.arm("patch").series
    if series is not None:
        yield from bullets(parts.series(series))
    if series is not None and series.basis is not None and series.basis.warning:
        base = manifest.arm("base")
        warned = series.basis.warning.replace(base.name, parts.called(base))
        yield from bullets([f"WARNING: {warned}"])
    if report.facts.config_diff:
        yield from bullets(["the configurations differ: see the report"])
