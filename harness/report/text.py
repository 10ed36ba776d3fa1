# SPDX-License-Identifier: GPL-2.0-only
"""report.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report import bloat, counters, layout, model, phrases, scaling, table, tables, waits
from harness.report.layout import WIDTH, Block, capped, heading, listed, paragraphs, section, wrap
from harness.report.model import Regression, Report, WorkloadReport
from harness.report.profile import brief
from harness.util.escape import visible

_TOP_COUNTERS = 8
_TOP_REGRESSIONS, _TOP_LINES = 3, 6
_TOP_CHANGES = 40


def render(report: Report) -> str:
    """The whole text: outcome and verdicts, what was compared, each workload, method."""
    blocks: list[Block] = [
        _head(report),
        table.text(tables.verdicts(report)),
        table.text(tables.pmu(report)),
        [*wrap(phrases.clock_line(report)), *wrap(model.caution(report))],
        _compared(report),
        brief.section(report.profile, report.costs),
    ]
    for part in report.parts:
        blocks += _part(part, report)
    blocks += [
        section(scaling.TITLE, table.text(scaling.of(report))),
        section(waits.TITLE, table.text(waits.of(report.waits))),
        _selftests(report),
        _failures(report),
        section("Skipped cells", listed(report.facts.skipped)),
        table.text(bloat.table(report.sizes)) if report.sizes else [bloat.NOT_RECORDED],
        section("How to read this", (x for said in phrases.method(report) for x in wrap(said))),
        _blind(report),
        _run(report),
    ]
    return layout.page(blocks)


def _head(report: Report) -> Iterator[str]:
    for line in model.opening(report):
        yield from wrap(line)
    for item in report.regressions[:_TOP_REGRESSIONS]:
        yield from _regression(item, _TOP_LINES)
    if report.facts.debug:
        yield from wrap(report.facts.debug)
    if report.facts.unset:
        yield from wrap(report.facts.unset)
    if report.facts.same_kernel:
        yield from wrap(
            "Base and patch are the same kernel image: an A/A run, every change is noise."
        )


def _compared(report: Report) -> Iterator[str]:
    yield f"Report: {visible(report.name)}"[:WIDTH]
    for arm, text in report.facts.compared:
        yield from wrap(text, f"{arm.capitalize()}: ".ljust(7))
    for patch in report.facts.patches:
        yield from wrap(patch, " " * 9, " " * 12)
    if report.facts.basis:
        yield from wrap(f"Base of the series: {report.facts.basis}.", rest="  ")
    if report.facts.config_diff:
        yield "The configurations differ:"
        yield from listed(report.facts.config_diff)


def _part(part: WorkloadReport, report: Report) -> Iterator[Block]:
    parameters = wrap(part.parameters, "Parameters: ", "  ")
    yield [*heading(f"Workload {part.workload}"), *wrap(part.description), *parameters]
    if not part.declared:
        yield wrap("This workload declares no primary metric: all of its numbers are secondary.")
    if report.has_control:
        yield table.text(tables.noise(part))
    yield paragraphs(tables.judging(part))
    yield table.text(tables.secondary(part))
    if same := tables.unchanged(part.secondary):
        yield wrap(f"Unchanged in all pairs: {', '.join(same)}.", rest="  ")
    yield table.text(tables.background(part))
    yield table.text(tables.percentiles(part, only_moved=True))
    yield table.text(tables.always(part))
    if part.tested:
        shown = counters.relevant(part.counters)
        found = table.text(tables.counters(shown, most=_TOP_COUNTERS))
        yield [*wrap(phrases.counted(part)), *found]
    if part.only_one:
        yield wrap("Only one kernel has: " + ", ".join(part.only_one) + ".", "", "  ")
    yield listed(part.notes)


def _regression(item: Regression, lines: int) -> Iterator[str]:
    yield from wrap(f"{item.sentence}; the end of its log:", "- ", "  ")
    for said in item.log[-lines:] or ("(it printed nothing)",):
        yield from wrap(said[:300], "  | ", "  | ")


def _selftests(report: Report) -> Iterator[str]:
    """The kernel's own tests: counts, each regression with its log, and what else differs."""
    if not report.tested:
        return
    yield from heading("The kernel's own tests")
    for part in report.tested:
        for arm, counts in part.counts:
            yield from wrap(f"{part.cell} {arm}: {counts or 'none'}.", "", "  ")
        if not part.regressions:
            yield from wrap("No test passes in all base boots and fails in a patch boot.", "  ")
        for item in part.regressions:
            yield from _regression(item, len(item.log))
        yield from listed(capped(part.changes, _TOP_CHANGES, ": see report.html"))
    yield from listed(dict.fromkeys(text for part in report.tested for text in part.unbuilt))
    yield from wrap(
        "A test that differs from boot to boot counts as what it came to at worst. Whole logs: "
        "selftests.ktap of each boot."
    )


def _failures(report: Report) -> Iterator[str]:
    if not report.failures and not report.defects:
        return
    yield from heading("Excluded boots")
    if not report.failures:
        yield "None."
    for boot in report.failures:
        text = f"{boot.cell} {boot.pair:02d}-{boot.arm}: {boot.outcome}"
        yield from wrap(f"{text}. {boot.detail[:300]}" if boot.detail else text, "", "  ")
        if boot.place:
            yield from wrap(f"In {boot.place[:300]}", "  ", "    ")
    for cell, known in dict.fromkeys((one.cell, one.known) for one in report.failures if one.known):
        yield from wrap(f"Known of {cell}: {known[:300]}", "", "  ")
    if report.failures:
        yield from wrap("A pair counts only if both of its boots do.")
    if report.defects:
        yield from wrap(f"Defects in the raw files: {len(report.defects)}.")
    for defect in report.defects[:20]:
        yield from wrap(defect[:300], "  ", "    ")
    if len(report.defects) > 20:
        yield "  ... and more: see report.html."


def _blind(report: Report) -> Iterator[str]:
    yield from heading("What this clock cannot see")
    yield from wrap(report.facts.clock, "Clock: ")
    yield from listed(report.facts.blind)


def _run(report: Report) -> Iterator[str]:
    yield from heading("How to repeat it")
    for label, text in (*report.facts.repeat, *report.facts.machine, *_conditions(report)):
        if len(label) + 2 + len(visible(text)) <= WIDTH or " " in text:
            yield from wrap(text, f"{label}: ", "  ")
        else:  # a hash stays whole, on a line of its own
            yield from [f"{label}:", *wrap(text, "  ")]
    yield from wrap(
        "Raw files: boots/<cell>/<pair>-<arm>/. Values: report/metrics.csv, counters.csv and "
        "estimates.csv. Plots and failed boots' consoles: report/report.html."
    )


def _conditions(report: Report) -> tuple[tuple[str, str], ...]:
    said = ", ".join(f"{label} {value}" for label, value in report.facts.conditions)
    return (("Settings that the guests gave back", said),) if said else ()
