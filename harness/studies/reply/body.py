# SPDX-License-Identifier: GPL-2.0-only
"""The body of an answer to a mailed series: what a reader of the list needs, and no more.

ASCII, at most 72 columns, no tabs.  No line begins with a blank or ">" and none ends with a blank,
so that format=flowed changes nothing, and two rounds of quoting move all lines of a table alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.report import model, phrases, text
from harness.report.model import Estimate, Report
from harness.report.numbers import change, fine, fine_interval, interval, number
from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest, known
from harness.source.gitnames import CLONE
from harness.studies.overhead.analysis import BackendOverhead, Overhead
from harness.studies.overhead.phrases import mib, span
from harness.util.escape import visible
from harness.util.units import format_size

WIDTH = text.WIDTH
_FAILURES = 8
_SECONDARY = 10
_COUNTERS = 4
_FILLER = "|"
# With blanks between just 72 columns: used, kernel, claimed, model, allocated, measured,
# interval, mark.
_CLAIM = (4, 6, 8, 9, 9, 9, 19, 1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves the numbers. name: the result; sha256: of its SHA256SUMS, None if it has none.

    made: the code and libraries that made this mail
    """

    name: str
    sha256: str | None
    made: str


def body(
    report: Report,
    manifest: Manifest,
    evidence: Sequence[Evidence],
    overhead: Overhead | None = None,
    *,
    only_overhead: bool = False,
) -> str:
    """The whole body. only_overhead: the result is of `make overhead`, so there are no timings."""
    blocks: list[Iterable[str]] = [
        opening(report, only_overhead=only_overhead),
        _titled("What was compared", _compared(report)),
        _titled("How it was measured", _how(report, manifest)),
    ]
    if not only_overhead:
        blocks += numbers(report)
    if overhead is not None:
        blocks += memory(overhead)
    blocks += [
        _titled("Boots that do not count", _failures(report)),
        _titled("What this cannot see", _bullets(report.facts.blind)),
        _repeat(report, overhead),
        _evidence(evidence),
    ]
    found = ("\n".join(line.rstrip() for line in block) for block in blocks)
    return "\n\n".join(filter(None, found)) + "\n"


def numbers(report: Report) -> Iterator[list[str]]:
    """The tables: verdicts, what else moved, counters. `verify` derives these again."""
    for part in report.parts:
        for name, rows in phrases.by_metric(part.primary):
            yield _verdicts(part.workload, name, part.margin, rows)
    moved = [
        row
        for part in report.parts
        for row in (*part.secondary, *part.percentiles)
        if row.change.excludes_zero and row.change.estimate_pct
    ]
    if moved:
        yield _secondary(moved)
    for part in report.parts:
        if part.tested:
            yield list(_counters(part.workload, part.counters, part.tested))


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [title, "-" * len(title), *found] if found else []


def _bullets(items: Iterable[str]) -> Iterator[str]:
    for item in items:
        yield from _wrap(f"- {item}")


def _wrap(sentence: str) -> list[str]:
    """Lines that all begin in the first column."""
    lines = text.wrap(sentence, "", "")
    return [f"_{line}" if line.startswith(("From ", ">")) else line for line in lines]


def opening(report: Report, *, only_overhead: bool) -> Iterator[str]:
    """Failures first, then the verdicts."""
    what = "memory overhead of swap metadata" if only_overhead else "swap performance"
    yield from _wrap(
        f"Measured: {what}, base against patch, each boot a fresh QEMU guest. All raw data is "
        "kept; its hash is below."
    )
    yield ""
    if only_overhead:
        yield from _wrap(model.outcome_line(report))
        return
    for line in model.opening(report):
        yield from _wrap(line)
    if report.facts.same_kernel:
        yield from _wrap("Base and patch are the same kernel image: every change is noise.")
    for row in report.primary:
        yield from _wrap(f"- {phrases.headline(row)}")
    if not report.has_control:
        yield from _wrap(model.caution(report))


def _compared(report: Report) -> Iterator[str]:
    facts = report.facts
    yield from _bullets(f"{arm}: {said}" for arm, said in facts.compared)
    if facts.basis:
        yield from _bullets([f"base of the series: {facts.basis}"])
    if facts.patches:
        yield from _bullets([f"patches, with their patch ids: {'; '.join(facts.patches)}"])
    if facts.config_diff:
        yield from _bullets(f"configurations differ: {line}" for line in facts.config_diff)
    shas = [dict(facts.repeat)[f"{arm} config sha256"] for arm in ARMS]
    if shas[0] == shas[1] != UNKNOWN:
        yield f"- both kernels have the same configuration, sha256 {shas[0][:12]}"


def _how(report: Report, manifest: Manifest) -> Iterator[str]:
    yield from _bullets([report.facts.clock])
    had = manifest.guest
    guest = f"memory {_size(had.memory)}, cpus {_size(had.cpus)}, swap {_size(had.swap)}"
    said = ", ".join(f"{label} {value}" for label, value in report.facts.conditions)
    yield from _bullets([f"guest: {guest}; {said or 'MGLRU, THP and swappiness: unknown'}"])
    yield from _bullets([f"back-ends: {'; '.join(manifest.backend_list()) or UNKNOWN}"])
    for part in report.parts:
        yield from _bullets([f"workload {part.workload}: {part.parameters}"])
    block = "base, patch and base again" if report.has_control else "base and patch, no A/A"
    yield from _bullets(
        [
            f"{report.usable} of {report.planned} boots count; planned: {known(manifest.pairs)} "
            f"blocks of {block} for each back-end and workload, in random order "
            f"(seed {known(manifest.seed)})"
        ]
    )
    machine = dict(report.facts.machine)
    yield from _bullets([f"{machine['Compiler']}; {machine['QEMU']}; host: {machine['Host']}"])


def _size(value: object) -> str:
    if isinstance(value, int) and value >= 1 << 20:
        return format_size(value)
    return UNKNOWN if value is None else str(value)


def _verdicts(workload: str, name: str, margin: str, rows: Sequence[Estimate]) -> list[str]:
    """The main table of a metric: what lkp and mmtests print, with an interval and a verdict."""
    said = "" if margin == UNKNOWN else f"; declared margin {margin}"
    heads = ("back-end", "base", "patch", "change", "95 % interval", "n", "verdict")
    lines = [*_wrap(f"{workload} {name}, {phrases.unit(rows)}{said}"), ""]
    lines += [text.line(heads, text.VERDICTS), "-" * WIDTH]
    for row in rows:
        lines += text.cells(visible(row.backend), text.judged(row), text.VERDICTS, _FILLER)
    lines.append("-" * WIDTH)
    for row in rows:
        if row.noise is not None:
            aa = row.noise.change
            lines += _wrap(
                f"{row.backend}: base against base {fine(aa.estimate_pct, sign=True)}% "
                f"{fine_interval(aa)}, n = {aa.n}; smallest change that would get a verdict "
                f"{fine(row.noise.detectable_pct)}%"
            )
    sentences = (*phrases.reasons(rows), *phrases.methods(rows), *phrases.scatters(rows))
    return [*lines, *(line for sentence in sentences for line in _wrap(sentence))]


def _secondary(rows: Sequence[Estimate]) -> list[str]:
    """Secondary metrics and percentiles whose interval excludes zero, the largest change first."""
    ranked = sorted(rows, key=lambda row: -abs(row.change.estimate_pct or 0.0))
    lines = _wrap(
        f"Also measured, no verdicts: {len(rows)} secondary metrics and latency percentiles have "
        f"an interval that excludes zero; the {min(len(rows), _SECONDARY)} largest changes:"
    )
    for row in ranked[:_SECONDARY]:
        lines += _wrap(
            f"- {row.backend} {row.workload} {row.name}: {number(row.base.median)} -> "
            f"{number(row.patch.median)} {row.unit}, {change(row.change)} {_close(row)}, "
            f"n = {row.change.n}"
        )
    return lines


def _close(row: Estimate) -> str:
    """The interval without a blank, so that no line breaks inside it."""
    return interval(row.change).replace(", ", ",")


def _counters(workload: str, rows: Sequence[Estimate], tested: int) -> Iterator[str]:
    yield from _wrap(
        f"Counters of {workload} (exploratory): {len(rows)} of {tested} moved; q is p adjusted "
        "for all of them. Strongest evidence first:"
    )
    for backend in sorted({row.backend for row in rows}):
        for row in [row for row in rows if row.backend == backend][:_COUNTERS]:
            shown = change(row.change)
            q = "no q" if row.q is None else f"q = {row.q:.2g}"
            yield from _wrap(
                f"- {backend}, {row.phase}: {row.name} {number(row.base.median)} -> "
                f"{number(row.patch.median)} {row.unit}, "
                f"{'no per cent' if shown == '-' else shown}, {q}"
            )


def memory(report: Overhead) -> Iterator[list[str]]:
    """For each back-end the claimed, modelled and measured memory, side by side."""
    title = f"Memory overhead, projected to {format_size(report.projected)} of swap, MiB"
    lines = [title, "-" * len(title)]
    for kernel in report.kernels.values():
        lines += _wrap(f"- {kernel.arm}: {kernel.name} ({kernel.version}); {kernel.note}")
    if report.claim:
        lines += _wrap(f"- claimed: {report.claim.title}; {report.claim.source}")
    if report.claim and not report.claim_fits:
        lines += _wrap("- The claim is about other kernels than these two.")
    lines += _wrap(
        "- model multiplies the terms, allocated rounds them as the allocators do, measured is "
        "fitted to the guest's allocinfo; '!': the claim lies outside the measured interval"
    )
    if report.failed:
        lines += _wrap(f"- {len(report.failed)} boots of it do not count")
    yield lines
    for backend in report.backends:
        if backend.rows:
            yield from _projected(backend)


def _projected(backend: BackendOverhead) -> Iterator[list[str]]:
    heads = ("used", "kernel", "claimed", "model", "allocated", "measured", "95 % interval", "")
    terms, whole = [], []
    for row in backend.rows:
        used = f"{row.usage:g}%"
        for arm, cell in row.cells.items():
            fitted, total = cell.measured, cell.measured_all
            if cell.claimed is not None or fitted is not None:
                terms.append(
                    (
                        used, arm, mib(cell.claimed), mib(cell.plain), mib(cell.rounded),
                        mib(fitted.value if fitted else None), span(fitted),
                        "!" if cell.outside else "",
                    )
                )  # fmt: skip
            whole.append(
                (
                    used, arm, "-", "-", mib(cell.rounded_all),
                    mib(total.value if total else None), span(total), "",
                )
            )  # fmt: skip
    for title, rows in (("the claim's terms", terms), ("all metadata", whole)):
        if rows:
            made = [text.line(heads, _CLAIM), "-" * WIDTH]
            made += [text.line(row, _CLAIM) for row in rows]
            yield [*_wrap(f"{backend.name}, {title}:"), "", *made]


def _failures(report: Report) -> Iterator[str]:
    for boot in report.failures[:_FAILURES]:
        said = f"{boot.cell} {boot.pair:02d}-{boot.arm}: {boot.outcome}"
        said = f"{said}. {boot.detail[:200]}" if boot.detail else said
        yield from _bullets([f"{said}; in {boot.place[:200]}" if boot.place else said])
    if len(report.failures) > _FAILURES:
        yield f"- and {len(report.failures) - _FAILURES} more"


def _repeat(report: Report, overhead: Overhead | None) -> list[str]:
    commands = [dict(report.facts.repeat)["Command"]]
    if overhead is not None and overhead.command not in commands:
        commands.append(overhead.command)
    lines = [line for one in commands for line in command_lines(one)]
    if any(f"KERNEL_GIT={CLONE}" in line for line in lines):
        lines += ["", *_wrap("KERNEL_GIT is any clone of the kernel that has these commits.")]
    return _titled("To repeat it", lines)


def command_lines(command: str) -> list[str]:
    """A command in lines that a shell joins again; none longer than the mail's width.

    A word that is longer than a line cannot be broken without changing it: then the spec.yaml of
    the result says the same.
    """
    try:
        parts = [shlex.quote(word) for word in shlex.split(visible(command))]
    except ValueError:
        parts = [visible(command)]
    lines = [""]
    for word in parts:
        if len(word) > WIDTH - 2:
            return ["make compare SPEC=spec.yaml"]
        longer = f"{lines[-1]} {word}".lstrip()
        if len(longer) <= WIDTH - 2:
            lines[-1] = longer
        else:
            lines.append(word)
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _evidence(evidence: Sequence[Evidence]) -> list[str]:
    lines = []
    for one in evidence:
        if one.sha256 is None:
            lines += _wrap(f"{one.name} has no SHA256SUMS: nothing proves its files.")
        else:
            lines += [*_wrap(f"{one.name}, sha256 of its SHA256SUMS:"), one.sha256]
    lines += _wrap(f"Tables made with {evidence[0].made}.")
    return _titled("Evidence", lines)
