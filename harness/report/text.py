# SPDX-License-Identifier: GPL-2.0-only
"""report.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from harness.report import model, phrases
from harness.report.model import Estimate, Regression, Report, WorkloadReport
from harness.report.numbers import change, interval, number, percent
from harness.report.phrases import by_histogram, by_metric, methods, unit
from harness.util.escape import visible

WIDTH = 72
TOP_COUNTERS = 8
_TOP_REGRESSIONS, _TOP_LINES = 3, 6
_TOP_CHANGES = 40
# With blanks between just 72 columns: label, base, spread, patch, change, interval, pairs;
_COLUMNS = (14, 9, 7, 9, 8, 17, 2)
# label, base, patch, change, interval, pairs, verdict;
VERDICTS = (11, 9, 9, 8, 17, 2, 10)
# label, A/A change, A/A interval, pairs, spread, smallest detectable change.
_NOISE = (14, 10, 20, 2, 9, 9)


def render(report: Report) -> str:
    """The whole text."""
    blocks: list[Iterable[str]] = [_head(report), _compared(report)]
    for part in report.parts:
        blocks += _part(part, report)
    blocks += [
        _selftests(report),
        _failures(report),
        _skipped(report),
        _method(report),
        _blind(report),
        _run(report),
    ]
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"


def wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Printable ASCII in lines of at most 72 columns; `rest` is as wide as `first` if None."""
    return textwrap.wrap(
        visible(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_on_hyphens=False,
    )


def _head(report: Report) -> Iterator[str]:
    for line in model.opening(report):
        yield from wrap(line)
    for item in report.regressions[:_TOP_REGRESSIONS]:
        yield from _regression(item, _TOP_LINES)
    if report.facts.debug:
        yield from wrap(report.facts.debug)
    yield from wrap(report.facts.clock, "Clock: ")
    if report.facts.same_kernel:
        yield from wrap(
            "Base and patch are the same kernel image: an A/A run, every change is noise."
        )
    for row in report.primary:
        yield from wrap(phrases.headline(row), rest="  ")
    yield from wrap(model.caution(report))


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
        for line in report.facts.config_diff:
            yield from wrap(visible(line), "- ", "  ")


def _part(part: WorkloadReport, report: Report) -> Iterator[Iterable[str]]:
    title = visible(f"Workload {part.workload}")
    parameters = wrap(part.parameters, "Parameters: ", "  ")
    yield [title, "=" * len(title), *wrap(part.description), *parameters]
    if not part.declared:
        yield wrap("This workload declares no primary metric: all of its numbers are secondary.")
    for name, rows in by_metric(part.primary):
        margin = "" if part.margin == "unknown" else f"; declared margin {part.margin}"
        yield _primary(f"{name} (primary), {unit(rows)}{margin}", rows)
        if report.has_control:
            yield _noise(name, rows)
    for name, rows in by_metric(part.secondary):
        yield _table(f"{name} (secondary), {unit(rows)}", rows, "back-end")
    for name, rows in by_histogram(part.percentiles):
        yield _table(
            f"latency of {name}, {unit(rows)}",
            rows,
            "percentile",
            [f"{row.name.rpartition(' ')[2]} {row.backend}" for row in rows],
        )
    yield from _counters(part)
    if report.facts.unseen:
        yield wrap(report.facts.unseen)
    if part.notes:
        yield [line for note in part.notes for line in wrap(note, "- ")]


def _primary(title: str, rows: Sequence[Estimate]) -> list[str]:
    """Base, patch, change and verdict of each back-end; then why, and how the interval was made."""
    heads = ("back-end", "base", "patch", "change", "95 % interval", "n", "verdict")
    lines = [*wrap(title), "", line(heads, VERDICTS), "-" * WIDTH]
    for row in rows:
        lines += cells(visible(row.backend), judged(row), VERDICTS)
    sentences = [*phrases.reasons(rows), *methods(rows), *phrases.skews(rows)]
    return lines + [line for sentence in sentences for line in wrap(sentence, "  ", "    ")]


def _noise(name: str, rows: Sequence[Estimate]) -> list[str]:
    """What base against base again shows, beside every verdict."""
    heads = ("back-end", "A/A change", "95 % interval", "n", "CV", "detects")
    lines = [*wrap(f"noise floor of {name}: base against base again, in %"), ""]
    lines += [line(heads, _NOISE), "-" * WIDTH]
    for row in rows:
        lines += cells(visible(row.backend), phrases.noise(row), _NOISE)
    return lines + [line for text in phrases.scatters(rows) for line in wrap(text, "  ", "    ")]


def _table(
    title: str, rows: Sequence[Estimate], label: str, labels: Sequence[str] | None = None
) -> list[str]:
    lines = [*wrap(title), ""]
    heads = (label, "base", "+-", "patch", "change", "95 % interval", "n")
    lines += [line(heads, _COLUMNS), "-" * WIDTH]
    for row, name in zip(rows, labels or [row.backend for row in rows], strict=True):
        lines += cells(visible(name), numbers(row), _COLUMNS)
    sentences = [*methods(rows), *phrases.skews(rows)]
    return lines + [line for sentence in sentences for line in wrap(sentence, "  ")]


def judged(row: Estimate) -> tuple[str, ...]:
    """The cells of a primary row behind its label: base, patch, change, interval, n, verdict."""
    found = numbers(row)
    return (found[0], *found[2:], "" if row.verdict is None else str(row.verdict.kind))


def numbers(row: Estimate) -> tuple[str, ...]:
    """The cells of a row behind its label."""
    spread = percent(row.base.percent, sign=False)
    return (
        number(row.base.median),
        spread if spread == "-" else f"{spread}%",
        number(row.patch.median),
        change(row.change),
        interval(row.change),
        str(row.change.n),
    )


def cells(label: str, numbers: Sequence[str], widths: Sequence[int], filler: str = "") -> list[str]:
    """A row; a label that is too long gets lines of its own, and `filler` stands in its place."""
    if len(label) <= widths[0]:
        return [line((label, *numbers), widths)]
    alone = textwrap.wrap(label, WIDTH, break_on_hyphens=False)
    return [*alone, line((filler, *numbers), widths)]


def line(texts: Sequence[str], widths: Sequence[int]) -> str:
    """One line: the first text to the left, the others to the right."""
    head = texts[0].ljust(widths[0])
    rest = (text.rjust(width) for text, width in zip(texts[1:], widths[1:], strict=True))
    return " ".join([head, *rest]).rstrip()


def _counters(part: WorkloadReport) -> Iterator[list[str]]:
    """The counters with the strongest evidence, for each cell."""
    if part.tested:
        lines = wrap(phrases.COUNTERS.format(moved=len(part.counters), tested=part.tested))
        for backend in dict.fromkeys(sorted(row.backend for row in part.counters)):
            mine = [row for row in part.counters if row.backend == backend]
            lines += ["", visible(f"{backend}, {min(len(mine), TOP_COUNTERS)} of {len(mine)}:")]
            for row in mine[:TOP_COUNTERS]:
                lines += _counter(row)
        yield lines
    if part.only_one:
        yield wrap("Only one kernel has: " + ", ".join(part.only_one) + ".", "", "  ")


def _counter(row: Estimate) -> list[str]:
    name = f"{row.name}, phase {row.phase}"
    q = "no q" if row.q is None else f"q = {row.q:.2g}"
    shown = change(row.change)
    if shown == "-":
        shown = "no per cent"
    bounds = "" if row.change.low_pct is None else f" {interval(row.change)}"
    numbers = f"{number(row.base.median)} -> {number(row.patch.median)} {row.unit}"
    return [*wrap(name, "  "), *wrap(f"{numbers}, {shown}{bounds}, {q}", "    ")]


def _regression(item: Regression, lines: int) -> Iterator[str]:
    yield from wrap(f"{item.sentence}; the end of its log:", "- ", "  ")
    for said in item.log[-lines:] or ("(it printed nothing)",):
        yield from wrap(said[:300], "  | ", "  | ")


def _selftests(report: Report) -> Iterator[str]:
    """The kernel's own tests: counts, each regression with its log, and what else differs."""
    if not report.tested:
        return
    yield "The kernel's own tests"
    yield "======================"
    for part in report.tested:
        for arm, counts in part.counts:
            yield from wrap(f"{part.cell} {arm}: {counts or 'none'}.", "", "  ")
        if not part.regressions:
            yield from wrap("No test passes in all base boots and fails in a patch boot.", "  ")
        for item in part.regressions:
            yield from _regression(item, len(item.log))
        for text in part.changes[:_TOP_CHANGES]:
            yield from wrap(text, "- ", "  ")
        if len(part.changes) > _TOP_CHANGES:
            yield f"- and {len(part.changes) - _TOP_CHANGES} more: see report.html"
    for text in dict.fromkeys(text for part in report.tested for text in part.unbuilt):
        yield from wrap(text, "- ", "  ")
    yield from wrap(
        "A test that differs from boot to boot counts as what it came to at worst. Whole logs: "
        "selftests.ktap of each boot."
    )


def _failures(report: Report) -> Iterator[str]:
    if not report.failures and not report.defects:
        return
    yield "Boots that do not count"
    yield "======================="
    if not report.failures:
        yield "None."
    for boot in report.failures:
        text = f"{boot.cell} {boot.pair:02d}-{boot.arm}: {boot.outcome}"
        yield from wrap(f"{text}. {boot.detail[:300]}" if boot.detail else text, "", "  ")
        if boot.place:
            yield from wrap(f"In {boot.place[:300]}", "  ", "    ")
    if report.failures:
        yield from wrap("A pair counts only if both of its boots do.")
    if report.defects:
        yield from wrap(f"Defects in the raw files: {len(report.defects)}.")
    for defect in report.defects[:20]:
        yield from wrap(defect[:300], "  ", "    ")
    if len(report.defects) > 20:
        yield "  ... and more: see report.html."


def _skipped(report: Report) -> Iterator[str]:
    if report.facts.skipped:
        yield "Cells that were skipped"
        yield "======================="
        for text in report.facts.skipped:
            yield from wrap(text, "- ", "  ")


def _method(report: Report) -> Iterator[str]:
    yield "How to read this"
    yield "================"
    for text in phrases.METHOD:
        yield from wrap(text)


def _blind(report: Report) -> Iterator[str]:
    yield "What this clock cannot see"
    yield "=========================="
    for text in report.facts.blind:
        yield from wrap(text, "- ")


def _run(report: Report) -> Iterator[str]:
    yield "How to repeat it"
    yield "================"
    for label, text in (*report.facts.repeat, *report.facts.machine, *_conditions(report)):
        one_line = len(label) + 2 + len(visible(text)) <= WIDTH or " " in text
        # A hash stays whole, on a line of its own.
        yield from (
            wrap(text, f"{label}: ", "  ")
            if one_line
            else [
                f"{label}:",
                *wrap(text, "  "),
            ]
        )
    yield from wrap(
        "Raw files: boots/<cell>/<pair>-<arm>/. Values: report/metrics.csv and "
        "report/estimates.csv. Plots and failed boots' consoles: report/report.html."
    )


def _conditions(report: Report) -> tuple[tuple[str, str], ...]:
    said = ", ".join(f"{label} {value}" for label, value in report.facts.conditions)
    return (("Settings that the guests gave back", said),) if said else ()
