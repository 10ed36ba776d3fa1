# SPDX-License-Identifier: GPL-2.0-only
"""trend.txt: ASCII, at most 72 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from harness.report.numbers import percent
from harness.stats.changepoint import MIN_POINTS
from harness.stats.verdict import Kind
from harness.studies.nightly.store import StoredEstimate
from harness.studies.nightly.trend import Trend, TrendLine, TrendPoint
from harness.util.errors import Exit
from harness.util.escape import visible

WIDTH = 72
_COLUMNS = (14, 10, 9, 18, 3, 10)
_MOST_POINTS = 12
_MOST_LEFT = 20
STATUS = {
    Exit.OK: "nothing is worse", Exit.WORSE: "something is worse",
    Exit.UNDECIDED: "something is undecided or was not run", Exit.USER: "a setting is wrong",
    Exit.KERNEL: "a kernel did not apply, build, boot or survive",
    Exit.INFRA: "something could not be asked or run",
}  # fmt: skip


def render(trend: Trend) -> str:
    """The whole text: this night, then each line."""
    blocks = [list(block) for block in (_head(trend), _fresh(trend), _failed(trend), _left(trend))]
    blocks += [list(_line(line)) for line in trend.lines]
    blocks.append(list(_foot(trend)))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def opening(trend: Trend) -> list[str]:
    """The first sentences: what the night came to."""
    night = trend.night
    done = night.planned - night.left_over
    begun = f"Night {night.id} of {trend.name}, begun {_when(night.started)}"
    first = (
        f"{begun}: {done} of {night.planned} comparisons done in {_time(night.used_s)} "
        f"of {_time(night.budget_s)}."
    )
    if not night.planned:
        first = f"{begun}: nothing is new."
    found = Counter(one.verdict for _, many in trend.fresh for one in many)
    verdicts = ", ".join(f"{kind}: {found[kind]}" for kind in Kind if found[kind] or kind != "none")
    moved = [line for line in trend.lines if line.marks[-1].shift]
    lines = [first, f"Exit status {night.status}: {STATUS[Exit(night.status)]}."]
    lines += [f"{verdicts}."] if trend.fresh else []
    if moved:
        lines.append(
            f"{len(moved)} of {len(trend.lines)} lines moved at their newest point: "
            + "; ".join(line.title for line in moved)
            + "."
        )
    return lines


def _when(iso: str) -> str:
    """A night's moment to the minute: they are kept in UTC."""
    return f"{iso[:10]} {iso[11:16]} UTC"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def change(one: StoredEstimate) -> str:
    """The estimate, "+10.00%"; "-" if there is none."""
    text = percent(one.estimate_pct)
    return text if text == "-" else f"{text}%"


def interval(one: StoredEstimate) -> str:
    """The 95 % interval in per cent; "none" if there is none."""
    return "none" if one.low_pct is None else f"[{percent(one.low_pct)}, {percent(one.high_pct)}]"


def moved(mark: TrendPoint) -> str:
    """What a change point says; "" where there is none."""
    if mark.shift is None:
        return ""
    one = mark.shift
    size = "p < 0.0001" if one.p < 1e-4 else f"p = {one.p:.4f}"
    return f"level moved here from {percent(one.before)}% to {percent(one.after)}% ({size})"


def method(trend: Trend) -> str:
    """How to read the trend."""
    return (
        "Each point is a comparison of its own, with its own base: an effect is what that "
        "revision or head does to that base. A change point is where the mean of the points "
        "before and from there on differ more than their scatter explains: two-sample t at each "
        "place, Bonferroni over places and lines, binary segmentation, from "
        f"{MIN_POINTS} points on; shifts below a tenth of the margin are not marked. With normal "
        f"noise and no change at most {100 * trend.risk:g} % of pages have any mark; each night "
        "is another look. A point with more pairs than others was looked at more than once."
    )


def _head(trend: Trend) -> Iterator[str]:
    for line in opening(trend):
        yield from _wrap(line)


def _fresh(trend: Trend) -> Iterator[str]:
    if not trend.fresh:
        return
    yield "Measured in this night:"
    for comparison, estimates in trend.fresh:
        for one in estimates:
            yield from _wrap(f"  {comparison.folder} {one.metric}", "    ")
            yield f"      {one.verdict}: {change(one)} {interval(one)}, n = {one.n}"


def _failed(trend: Trend) -> Iterator[str]:
    seen = dict.fromkeys((one.place, one.kind, one.detail) for one in trend.failures)
    for place, kind, detail in seen:
        yield from _wrap(f"{kind.upper()}: {place}: {detail}")


def _left(trend: Trend) -> Iterator[str]:
    if not trend.left:
        return
    yield from _wrap(
        f"NOT DONE: the budget left {len(trend.left)} comparisons over; the next night goes on, in "
        "the order of what tells most:"
    )
    for job in trend.left[:_MOST_LEFT]:
        yield from _wrap(f"  {job.folder} ({job.why})", "    ")
    if len(trend.left) > _MOST_LEFT:
        yield f"  and {len(trend.left) - _MOST_LEFT} more"


def _line(line: TrendLine) -> Iterator[str]:
    better = f"; {line.direction} is better" if line.direction else ""
    margin = f"; margin {line.margin:g} %" if line.margin is not None else ""
    yield from _wrap(f"{line.title}, {line.unit or 'no unit'}{better}{margin}")
    yield ""
    yield _row(("revision", "date", "change", "95 % interval", "n", "verdict"))
    yield "-" * WIDTH
    older = len(line.marks) - _MOST_POINTS
    if older > 0:
        yield f"({older} older points are on the page and in the history)"
    for mark in line.marks[-_MOST_POINTS:]:
        one = mark.estimate
        label, date = visible(mark.label), mark.comparison.date[:10]
        yield _row((label[:14], date, change(one), interval(one), str(one.n), one.verdict))
        if mark.shift is not None:
            yield from _wrap(f"  ^ {moved(mark)}", "    ")


def _foot(trend: Trend) -> Iterator[str]:
    yield from _wrap(method(trend))


def _row(cells: tuple[str, ...]) -> str:
    head = cells[0].ljust(_COLUMNS[0])
    rest = (one.rjust(width) for one, width in zip(cells[1:], _COLUMNS[1:], strict=True))
    return " ".join([head, *rest]).rstrip()


def _wrap(text: str, rest: str = "  ") -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, subsequent_indent=rest, break_on_hyphens=False)
