# SPDX-License-Identifier: GPL-2.0-only
"""Sentences and cells that the text and the page share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.report import counters
from harness.report.model import Estimate, Report, WorkloadReport
from harness.report.numbers import fine, fine_interval
from harness.stats import paired

# Two spreads of a few pairs differ that much by chance seldom enough.
_MUCH_WIDER = 5.0
_ROUNDING = 1e-9
_BETTER = {"lower": "less is better", "higher": "more is better"}

FEW_PAIRS = f"Fewer than {paired.LEAST} pairs: no change of a counter can be told from chance."

_SAMPLE = (
    "The boot is the sample: each is a fresh VM; rounds inside a boot are averaged first. "
    "Boots run in blocks of {block}, in random order inside the block, with the same seed. 'base' "
    "and 'patch' are medians over the boots of complete pairs; '+-' is the coefficient of "
    "variation over the base boots (half the range for two). 'change' is the signed change from "
    "base to patch in per cent, estimated from the log-ratios of the pairs; n counts pairs."
)
_AA = (
    "A/A is control against base, taken like any change. Its CV is that of one boot (sd of "
    "the differences / sqrt 2). 'min. detectable' is the minimum detectable effect (MDE): the "
    "smallest change that would be called worse or better in four runs of five. It follows from "
    "the sd of the A/A differences and the number of pairs, by noncentral t at 5 % two-sided, "
    "90 % for each of a verdict's two conditions, for normal noise."
)
_VERDICTS = (
    "Verdicts, on primary metrics only, with the margin declared before the run. none: too few "
    "pairs (3 are needed), or A/A itself differs: its 95 % interval excludes zero and reaches "
    "beyond a tenth of the margin; by chance alone that happens in one run of twenty. "
    "equivalent: the 90 % interval lies inside the margin, also if the change is real. worse, "
    "better: the 95 % interval excludes zero and the estimate lies outside the 95 % interval of "
    "A/A. undecided: anything else; the pairs still needed are about those that decide a true "
    "change of the estimated size. A margin of 1 % is a factor of 1.01 either way."
)
_INTERVALS = (
    "With 6 or more pairs the intervals rest on ranks and hold for any noise. Below 6 pairs ranks "
    "can never reach p < 0.05: intervals there are t intervals, {spread}and rest on normal noise. "
    "If 8 or more differences are skewed (more than 2 standard errors) the t interval of their "
    "mean is given beside. Pairs added after a look at the result are a second try: count the "
    "looks."
)
_COUNTERS = (
    "Counters are what the kernel counted in one phase, rounds averaged; the table gives them "
    "moved or not. Of all others those of swap, reclaim and memory are named that change by more "
    f"than {counters.SHARE:g} % beyond chance: p by t, adjusted for all counters tested "
    f"(Benjamini-Hochberg), is at most {counters.CHANCE:g}, or all pairs differ by the same. They "
    "are exploratory; the strongest evidence comes first."
)
_PERCENTILES = (
    "A percentile is a nearest-rank percentile of one boot's histogram, then paired like any "
    "other number. It is the middle of a bucket, so a shift smaller than a bucket can be hidden. "
    "Where all pairs agree, the width of the bucket stands in the place of the interval."
)


def method(report: Report) -> Iterator[str]:
    """How the figures of this report came about: only what it has."""
    aa = report.has_control
    yield _SAMPLE.format(block="base, patch and control (base again)" if aa else "base and patch")
    if aa:
        yield from (_AA, _VERDICTS)
    yield _INTERVALS.format(spread="from the wider of the spreads of A/B and A/A, " if aa else "")
    if any(part.tested or part.counts for part in report.parts):
        yield _COUNTERS
    if any(part.percentiles for part in report.parts):
        yield _PERCENTILES


def unit(rows: Sequence[Estimate]) -> str:
    """Unit and direction of a table."""
    units = ", ".join(sorted({row.unit or "no unit" for row in rows}))
    better = {_BETTER[row.direction] for row in rows if row.direction}
    return "; ".join([units, *sorted(better)])


def counted(part: WorkloadReport) -> str:
    """How many counters were compared, and how many are worth a line."""
    rows = (*part.primary, *part.secondary)
    if max((row.change.n for row in rows), default=0) < paired.LEAST:
        return FEW_PAIRS
    return (
        f"Of {part.tested} counters by phase, {len(counters.relevant(part.counters))} of swap, "
        f"reclaim and memory changed by more than {counters.SHARE:g} % beyond chance."
    )


def histogram(row: Estimate) -> str:
    """What a percentile is one of."""
    name = f"latency of {row.name.rpartition(' ')[0]}"
    return f"{name} in phase {row.phase}" if row.phase else name


def clock_line(report: Report) -> str:
    """What the clock cannot see, in one sentence."""
    if report.facts.unseen:
        return report.facts.unseen
    return " ".join(("Clock: wall time.", *report.facts.blind[:1]))


def _where(row: Estimate, rows: Sequence[Estimate]) -> str:
    """The back-end; with the metric where several rows are of that back-end."""
    alone = sum(row.backend == one.backend for one in rows) == 1
    return row.backend if alone else f"{row.backend} {row.name}"


def reasons(rows: Sequence[Estimate]) -> list[str]:
    """Why each verdict is what it is; one sentence for all if they agree."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict is not None:
            text = f"{row.verdict.kind}: {row.verdict.reason}."
            found.setdefault(text, []).append(_where(row, rows))
    return [
        text[0].upper() + text[1:] if len(found) == 1 else f"{', '.join(who)}: {text}"
        for text, who in found.items()
    ]


def methods(rows: Sequence[Estimate]) -> list[str]:
    """How the intervals of a table were made, a sentence for each way."""
    sentences: list[str] = []
    for method in dict.fromkeys(row.change.method for row in rows):
        mine = [row for row in rows if row.change.method == method]
        text = method[0].upper() + method[1:]
        if method == paired.SIGNED_RANK:
            covers = {row.change.n: 100 * (row.change.coverage or 0) for row in mine}
            shown = [f"{cover:.1f} % at n = {n}" for n, cover in sorted(covers.items())]
            text += f"; covers {', '.join(shown)}"
        if len(mine) < len(rows):
            text = f"{', '.join(_where(row, rows) for row in mine)}: {text}"
        sentences.append(text + ".")
    return sentences


def skews(rows: Sequence[Estimate]) -> list[str]:
    """The t interval beside, where the differences are skewed."""
    return [
        f"{_where(row, rows)}: the differences are skewed; t interval of their mean "
        f"[{', '.join(fine(bound, sign=True) for bound in row.change.beside)}] %."
        for row in rows
        if row.change.beside is not None
    ]


def scatters(rows: Sequence[Estimate]) -> list[str]:
    """Where A/B scatters far more than A/A, so that the noise floor is too hopeful."""
    sentences = []
    for row in rows:
        own = row.change.deviation
        floor = row.noise.change.deviation if row.noise is not None else None
        if own is None or floor is None or own <= max(_MUCH_WIDER * floor, _ROUNDING):
            continue
        times = f"{own / floor:.0f} times as widely as A/A" if floor else "and A/A does not at all"
        sentences.append(
            f"{row.backend}: the changes of the pairs scatter {times}: they differ from seed to "
            "seed, which A/A does not show. The intervals hold; 'min. detectable' is too small."
        )
    return sentences


def noise(row: Estimate) -> tuple[str, ...]:
    """A/A change, interval, pairs, CV and detectable change, in per cent."""
    one = row.noise
    if one is None:
        return ("-", "none", "0", "-", "-")
    return (
        fine(one.change.estimate_pct, sign=True),
        fine_interval(one.change),
        str(one.change.n),
        fine(one.cv_pct),
        fine(one.detectable_pct),
    )
