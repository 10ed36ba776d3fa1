# SPDX-License-Identifier: GPL-2.0-only
"""trend.txt: ASCII, at most 72 columns."""

from __future__ import annotations

from collections import Counter

from harness.report import layout, table
from harness.report.layout import capped, paragraphs, section
from harness.report.numbers import change, interval, percent
from harness.report.table import Table, columns
from harness.stats.changepoint import MIN_POINTS
from harness.stats.verdict import Kind
from harness.studies.nightly import triage
from harness.studies.nightly.trend import Trend, TrendLine, TrendPoint
from harness.studies.nightly.triage import Triage
from harness.util.errors import Exit

_MOST_POINTS = 12
_MOST_LEFT = 20
STATUS = {
    Exit.OK: "nothing is worse", Exit.WORSE: "something is worse",
    Exit.UNDECIDED: "something is undecided or was not run", Exit.USER: "a setting is wrong",
    Exit.KERNEL: "a kernel did not apply, build, boot or survive",
    Exit.INFRA: "something could not be asked or run",
}  # fmt: skip


def render(trend: Trend, moved: Triage) -> str:
    """The whole text: this night, failures first, what moved, then each line, the method."""
    return layout.page(
        (
            paragraphs([*opening(trend), *map(_failure, failures(trend))]),
            paragraphs(_left(trend)),
            section("Moved, and not explained", triage.entries(moved)),
            table.text(fresh(trend)),
            *(table.text(points(line, most=_MOST_POINTS)) for line in trend.lines),
            section("How to read this", paragraphs([method(trend)])),
        )
    )


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
    return [*lines, *(f"{sentence}." for sentence in trend.unlisted)]


def _when(iso: str) -> str:
    """A night's moment to the minute: they are kept in UTC."""
    return f"{iso[:10]} {iso[11:16]} UTC"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


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


def failures(trend: Trend) -> list[tuple[str, str, str]]:
    """(place, kind, detail) of what went wrong in the night, each once."""
    return list(dict.fromkeys((one.place, one.kind, one.detail) for one in trend.failures))


def _failure(failed: tuple[str, str, str]) -> str:
    place, kind, detail = failed
    return f"{kind.upper()}: {place}: {detail}"


def _left(trend: Trend) -> list[str]:
    if not trend.left:
        return []
    head = (
        f"NOT DONE: the budget was spent with {len(trend.left)} comparisons left; the next night "
        "goes on with them, the most informative first:"
    )
    jobs = capped([f"- {job.folder} ({job.why})" for job in trend.left], _MOST_LEFT)
    return [head, *jobs, *capped(trend.expected, _MOST_LEFT)]


def fresh(trend: Trend) -> Table:
    """The primary metrics of this night's comparisons."""
    heads = ("comparison", "metric", "change", "95 % interval", "n", "verdict")
    return Table(
        "Measured in this night",
        columns(*heads, names=2),
        tuple(
            (comparison.folder, one.metric, change(one), interval(one), str(one.n), one.verdict)
            for comparison, many in trend.fresh
            for one in many
        ),
    )


def points(line: TrendLine, most: int | None = None) -> Table:
    """A line's points, oldest first, its change points as notes; only the newest ``most``."""
    shown = line.marks if most is None else line.marks[-most:]
    older = len(line.marks) - len(shown)
    notes = [f"{older} older points are on the page and in the history."] if older else []
    notes += [f"At {mark.label} the {moved(mark)}." for mark in shown if mark.shift]
    better = f"; {line.direction} is better" if line.direction else ""
    margin = f"; margin {line.margin:g} %" if line.margin is not None else ""
    heads = ("revision", "date", "night", "change", "95 % interval", "n", "verdict")
    return Table(
        f"{line.title}, {line.unit or 'no unit'}{better}{margin}",
        columns(*heads),
        tuple(
            (
                mark.label, mark.comparison.date[:10], str(mark.comparison.night),
                change(mark.estimate), interval(mark.estimate), str(mark.estimate.n),
                mark.estimate.verdict,
            )
            for mark in shown
        ),
        tuple(notes),
    )  # fmt: skip
