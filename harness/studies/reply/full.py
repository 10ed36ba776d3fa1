# SPDX-License-Identifier: GPL-2.0-only
"""The long form of the answer: configuration, method, all that moved, memory at each usage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.report import bloat, counters, model, phrases, tables
from harness.report.layout import Block
from harness.report.model import Report
from harness.report.table import trimmed
from harness.results.frames import ARMS
from harness.results.manifest import UNKNOWN, Manifest, known
from harness.studies.overhead.analysis import Overhead
from harness.studies.overhead.tables import projected
from harness.studies.reply import parts
from harness.studies.reply.parts import Answer, Evidence, bullets, lined, titled, wrap
from harness.util.units import format_size

MARK = "How it was measured"
"""A heading that only the long form has."""
_COUNTERS = 4


def blocks(answer: Answer, manifest: Manifest, evidence: Sequence[Evidence]) -> Iterator[Block]:
    """The whole body."""
    report = answer.report
    opening, *figures = derived(answer)
    yield opening
    yield titled("What was compared", _compared(report, manifest))
    yield titled(MARK, _how(report, manifest))
    yield from figures
    yield titled("Excluded boots", parts.excluded(report))
    yield titled("What this cannot see", bullets(report.facts.blind))
    yield titled("To repeat it", parts.repeat(answer.commands, evidence))
    made = wrap(f"Tables made with {evidence[0].made}.")
    yield titled("Evidence", [*parts.proof(evidence), *made])


def derived(answer: Answer) -> Iterator[Block]:
    """The blocks whose numbers follow from the raw files."""
    yield _opening(answer)
    if not answer.only_overhead:
        yield from numbers(answer.report)
    for one in answer.overheads:
        yield from memory(one)


def _opening(answer: Answer) -> Iterator[str]:
    """Failures first, then the verdicts."""
    what = "memory overhead of swap metadata" if answer.only_overhead else "swap performance"
    yield from wrap(
        f"Measured: {what}, base against patch, each boot a fresh QEMU guest. All raw data is "
        "kept; its hash is below."
    )
    yield ""
    yield from parts.outcome(answer)
    if not answer.only_overhead:
        yield from wrap(model.caution(answer.report))


def numbers(report: Report) -> Iterator[list[str]]:
    """The tables: verdicts; and for each workload its noise, what else moved, counters."""
    yield lined(tables.verdicts(report))
    for part in report.parts:
        yield [f"Workload {part.workload}"]
        if report.has_control:
            yield lined(tables.noise(part))
        yield [line for said in tables.judging(part) for line in wrap(said)]
        yield lined(tables.secondary(part))
        yield lined(tables.percentiles(part, only_moved=True))
        yield lined(tables.always(part))
        if part.tested:
            yield wrap(phrases.counted(part))
            shown = counters.relevant(part.counters)
            yield lined(tables.counters(shown, most=_COUNTERS))
    if report.sizes:
        yield lined(bloat.table(report.sizes))


def _compared(report: Report, manifest: Manifest) -> Iterator[str]:
    facts = report.facts
    for arm, said in facts.compared:
        kernel = manifest.arm(arm)
        yield from bullets([f"{arm}: {said.replace(kernel.name, parts.called(kernel))}"])
    if facts.basis:
        yield from bullets([f"base of the series: {facts.basis}"])
    if facts.patches:
        yield from bullets([f"patches, with their patch ids: {'; '.join(facts.patches)}"])
    if facts.config_diff:
        yield from bullets(f"configurations differ: {line}" for line in facts.config_diff)
    shas = [dict(facts.repeat)[f"{arm} config sha256"] for arm in ARMS]
    if shas[0] == shas[1] != UNKNOWN:
        yield f"- both kernels have the same configuration, sha256 {shas[0][:12]}"


def _how(report: Report, manifest: Manifest) -> Iterator[str]:
    yield from bullets([report.facts.clock])
    had = manifest.guest
    guest = f"memory {_size(had.memory)}, cpus {_size(had.cpus)}, swap {_size(had.swap)}"
    said = ", ".join(f"{label} {value}" for label, value in report.facts.conditions)
    yield from bullets([f"guest: {guest}; {said or 'MGLRU, THP and swappiness: unknown'}"])
    yield from bullets([f"back-ends: {'; '.join(manifest.backend_list()) or UNKNOWN}"])
    for part in report.parts:
        yield from bullets([f"workload {part.workload}: {part.parameters}"])
    block = "base, patch and control" if report.has_control else "base and patch, no A/A"
    yield from bullets(
        [
            f"{report.usable} of {report.planned} {report.boots_called} count; planned: "
            f"{known(manifest.pairs)} blocks of {block} for each back-end and workload, in random "
            f"order (seed {known(manifest.seed)})"
        ]
    )
    machine = dict(report.facts.machine)
    yield from bullets([f"{machine['Compiler']}; {machine['QEMU']}; host: {machine['Host']}"])


def _size(value: object) -> str:
    if isinstance(value, int) and value >= 1 << 20:
        return format_size(value)
    return UNKNOWN if value is None else str(value)


def memory(report: Overhead) -> Iterator[list[str]]:
    """For each back-end the claimed, modelled and measured memory, side by side."""
    lines = [
        *bullets(_sides(report)),
        *wrap(
            "- model multiplies the terms, allocated rounds them as the allocators do, measured is "
            "fitted to the guest's allocinfo; '!': the claim, '?': the model lies outside the "
            "measured interval"
        ),
    ]
    if report.failed:
        lines += wrap(f"- {len(report.failed)} boots of it are excluded")
    size = format_size(report.projected)
    yield titled(f"Memory overhead, projected to {size} of swap, MiB", lines)
    for backend in report.backends:
        for one in projected(report, backend):
            yield lined(trimmed(replace(one, title=f"{backend.name}: {one.title}")))


def _sides(report: Overhead) -> Iterator[str]:
    """Both kernels, and whose claim stands beside them."""
    for kernel in report.kernels.values():
        yield f"{kernel.arm}: {kernel.name} ({kernel.version}); {kernel.note}"
    if report.claim:
        yield f"claimed: {report.claim.title}; {report.claim.source}"
    if report.claim and not report.claim_fits:
        yield "The claim is about other kernels than these two."
