"""report.txt: ASCII, at most 72 columns, no tabs - fit for a mail as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from harness import stats
from harness.report import model
from harness.report.model import Part, Report, Row
from harness.report.units import change, interval, number, percent, visible

WIDTH = 72
TOP_COUNTERS = 8
# Label, base, spread, patch, change, interval, pairs: with blanks between just 72 columns.
_COLUMNS = (14, 9, 7, 9, 8, 17, 2)
_BETTER = {"lower": "less is better", "higher": "more is better"}


def render(report: Report) -> str:
    """The whole text."""
    blocks: list[Iterable[str]] = [_head(report), _compared(report)]
    for part in report.parts:
        blocks += _part(part)
    blocks += [_failures(report), _method(report), _blind(report), _run(report)]
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"


def _wrap(text: str, first: str = "", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        visible(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_on_hyphens=False,
    )


def _head(report: Report) -> Iterator[str]:
    yield from _wrap(model.outcome_line(report))
    if report.facts.same_kernel:
        yield from _wrap(
            "Base and patch are the same kernel image: an A/A run, every change is noise."
        )
    for row in report.primary:
        yield from _wrap(headline(row), rest="  ")
    yield from _wrap(model.caution(report))


def headline(row: Row) -> str:
    """One primary result as a sentence."""
    where = f"{row.backend} {row.workload} {row.name}"
    if row.change.estimate_pct is None:
        return f"{where}: {row.change.method} (n = {row.change.n})"
    bounds = f" {interval(row.change)}" if row.change.low_pct is not None else ", no interval"
    word = f": {row.word}" if row.word else ""
    return f"{where}: {change(row.change)}{bounds}, n = {row.change.n}{word}"


def _compared(report: Report) -> Iterator[str]:
    yield f"Report: {visible(report.name)}"[:WIDTH]
    for arm, text in report.facts.compared:
        yield from _wrap(text, f"{arm.capitalize()}: ".ljust(7))
    for patch in report.facts.patches:
        yield from _wrap(patch, " " * 9, " " * 12)
    yield from _wrap(report.facts.clock, "Clock: ")
    if report.facts.config_diff:
        yield from _wrap("The configurations differ: " + "; ".join(report.facts.config_diff))


def _part(part: Part) -> Iterator[Iterable[str]]:
    title = visible(f"Workload {part.workload}")
    yield [title, "=" * len(title), *_wrap(part.description)]
    if not part.declared:
        yield _wrap("This workload declares no primary metric: all of its numbers are secondary.")
    for name, rows in by_metric(part.primary):
        margin = "" if part.margin == "unknown" else f"; declared margin {part.margin}"
        yield _table(f"{name} (primary), {unit(rows)}{margin}", rows, "back-end")
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
    if part.notes:
        yield [line for note in part.notes for line in _wrap(note, "- ")]


def unit(rows: Sequence[Row]) -> str:
    units = ", ".join(sorted({row.unit or "no unit" for row in rows}))
    better = {_BETTER[row.direction] for row in rows if row.direction}
    return "; ".join([units, *sorted(better)])


def by_metric(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for name in sorted({row.name for row in rows}):
        yield name, [row for row in rows if row.name == name]


def by_histogram(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    def title(row: Row) -> str:
        name = row.name.rpartition(" ")[0]
        return f"{name} in phase {row.phase}" if row.phase else name

    for name in sorted({title(row) for row in rows}):
        yield name, [row for row in rows if title(row) == name]


def _table(
    title: str, rows: Sequence[Row], label: str, labels: Sequence[str] | None = None
) -> list[str]:
    lines = [*_wrap(title), ""]
    lines.append(_line((label, "base", "+-", "patch", "change", "95 % interval", "n")))
    lines.append("-" * WIDTH)
    for row, name in zip(rows, labels or [row.backend for row in rows], strict=True):
        lines += _cells(visible(name), _numbers(row))
    return lines + [line for sentence in methods(rows) for line in _wrap(sentence, "  ")]


def _numbers(row: Row) -> tuple[str, ...]:
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


def _cells(label: str, numbers: Sequence[str]) -> list[str]:
    """A row; a label that is too long gets lines of its own."""
    if len(label) <= _COLUMNS[0]:
        return [_line((label, *numbers))]
    return [*textwrap.wrap(label, WIDTH, break_on_hyphens=False), _line(("", *numbers))]


def _line(cells: Sequence[str]) -> str:
    head = cells[0].ljust(_COLUMNS[0])
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], _COLUMNS[1:], strict=True))
    return " ".join([head, *rest]).rstrip()


def methods(rows: Sequence[Row]) -> list[str]:
    """How the intervals of a table were made, a sentence for each way."""
    sentences: list[str] = []
    for method in dict.fromkeys(row.change.method for row in rows):
        mine = [row for row in rows if row.change.method == method]
        text = method[0].upper() + method[1:]
        if method == stats.SIGNED_RANK:
            covers = {row.change.n: 100 * (row.change.coverage or 0) for row in mine}
            shown = [f"{cover:.1f} % at n = {n}" for n, cover in sorted(covers.items())]
            text += f"; covers {', '.join(shown)}"
        if len(mine) < len(rows):
            text = f"{', '.join(dict.fromkeys(row.backend for row in mine))}: {text}"
        sentences.append(text + ".")
    return sentences


COUNTERS = (
    "Counters by phase (exploratory): {moved} of {tested} moved, that is the interval excludes "
    "zero, or one arm has none in any boot. q is p adjusted for all counters tested "
    "(Benjamini-Hochberg); above 0.05 expect chance hits."
)


def _counters(part: Part) -> Iterator[list[str]]:
    """The counters that moved most, for each cell."""
    if not part.tested:
        return
    intro = COUNTERS.format(moved=len(part.counters), tested=part.tested)
    lines = _wrap(intro)
    for backend in dict.fromkeys(sorted(row.backend for row in part.counters)):
        mine = [row for row in part.counters if row.backend == backend]
        lines += ["", visible(f"{backend}, {min(len(mine), TOP_COUNTERS)} of {len(mine)}:")]
        for row in mine[:TOP_COUNTERS]:
            lines += _counter(row)
    if part.only_one:
        lines += ["", *_wrap("Only one kernel has: " + ", ".join(part.only_one) + ".", "", "  ")]
    yield lines


def _counter(row: Row) -> list[str]:
    name = f"{row.name}, phase {row.phase}"
    q = "no q" if row.q is None else f"q = {row.q:.2g}"
    shown = change(row.change)
    if shown == "-":
        shown = "no per cent"
    bounds = "" if row.change.low_pct is None else f" {interval(row.change)}"
    numbers = f"{number(row.base.median)} -> {number(row.patch.median)} {row.unit}"
    return [*_wrap(name, "  "), *_wrap(f"{numbers}, {shown}{bounds}, {q}", "    ")]


def _failures(report: Report) -> Iterator[str]:
    if not report.failures and not report.defects:
        return
    yield "Boots that do not count"
    yield "======================="
    if not report.failures:
        yield "None."
    for boot in report.failures:
        text = f"{boot.cell} {boot.pair:02d}-{boot.arm}: {boot.outcome}"
        yield from _wrap(f"{text}. {boot.detail[:300]}" if boot.detail else text, "", "  ")
    if report.failures:
        yield from _wrap("A pair counts only if both of its boots do.")
    if report.defects:
        yield from _wrap(f"Defects in the raw files: {len(report.defects)}.")
    for defect in report.defects[:20]:
        yield from _wrap(defect[:300], "  ", "    ")
    if len(report.defects) > 20:
        yield "  ... and more: see report.html."


METHOD = (
    "The boot is the sample: each is a fresh VM; rounds inside a boot are averaged first. "
    "Base and patch boots run in pairs, in random order inside the pair. 'base' and "
    "'patch' are medians over the boots of complete pairs; '+-' is the coefficient of "
    "variation over the base boots (half the range for two). 'change' is the signed change "
    "from base to patch in per cent, estimated from the log-ratios of the pairs; n counts pairs.",
    "A percentile is a nearest-rank percentile of one boot's histogram, then paired like any "
    "other number. It is the middle of a bucket, so a shift smaller than a bucket can be hidden.",
)


def _method(report: Report) -> Iterator[str]:
    yield "How to read this"
    yield "================"
    for text in METHOD:
        yield from _wrap(text)


def _blind(report: Report) -> Iterator[str]:
    yield "What this clock cannot see"
    yield "=========================="
    for text in report.facts.blind:
        yield from _wrap(text, "- ")


def _run(report: Report) -> Iterator[str]:
    yield "How to repeat it"
    yield "================"
    for label, text in (*report.facts.repeat, *report.facts.machine):
        one_line = len(label) + 2 + len(visible(text)) <= WIDTH or " " in text
        # A hash stays whole, on a line of its own.
        yield from (
            _wrap(text, f"{label}: ", "  ")
            if one_line
            else [
                f"{label}:",
                *_wrap(text, "  "),
            ]
        )
    yield from _wrap(
        "Raw files: boots/<cell>/<pair>-<arm>/. Values: report/metrics.csv and "
        "report/estimates.csv. Plots and failed boots' consoles: report/report.html."
    )
