# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: better, worse, equivalent within the margin, undecided - or none, and why.

Each block of boots holds base, patch and control (base again), in random order.
d_i = log(patch / base) is the change, a_i = log(control / base) is what no change looks like here
(A/A).

The rule, in this order. Margins and bounds are compared as log-ratios, so a margin of 1 % is a
factor of 1.01 either way, and swapping base and patch turns a verdict round.

1. none: nobody said what is better or by how much; there are fewer than three pairs of either
   kind, or no per cent; or A/A itself differs: its 95 % interval excludes zero and reaches beyond
   a tenth of the margin. (A smaller difference is shown, but is too small to make or hide what
   the margin is about. By chance alone A/A excludes zero in one run of twenty.)
2. equivalent: the 90 % interval of d lies inside the margin (two one-sided tests at 5 %). This
   comes before worse and better: a change that is real but all inside the declared margin is
   equivalent, and the reason says that it is real.
3. worse, better: the 95 % interval of d excludes zero *and* the estimate lies outside the 95 %
   interval of A/A. The second condition guards against a base arm that happened to be low or
   high. It makes a false alarm far rarer than the nominal 5 % (below 1 % in the simulation), so
   that a report with half a dozen verdicts, or one look more after adding pairs, keeps to 5 %.
4. undecided: everything else, with the number of pairs that would decide.

What is compared is equal where it differs by no more than the rounding of floats.

Where several kernels are compared with one, each comparison of a family is made at a level that
all share (Bonferroni): with k of them, intervals of 1 - 5 %/k, and 1 - 10 %/k for equivalence. So
the family errs no more often than one comparison does.

Three to five pairs: no test by ranks can reach 5 % there, so intervals are t intervals (95 %:
below six pairs, 90 %: below five). That is defensible because the two boots of a pair are
exchangeable if the patch changes nothing, so d is symmetric about zero whatever the noise is
like, and for symmetric noise the t interval errs on the safe side unless few distinct values
occur. Then three values can agree by accident; so the interval is made from the wider of the
spreads of d and of A/A. `tests/unit/stats/test_verdict_simulation.py` measures what that comes to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from harness.stats import paired as stats
from harness.stats.paired import Paired
from harness.stats.rounding import ROUNDING
from harness.util.errors import Exit

Direction = Literal["lower", "higher"]

MIN_PAIRS = 3
NEGLIGIBLE = 0.1
"""The share of the margin up to which a difference of A/A does not matter."""
_PLAN_POWER = 0.9
"""For each of the two conditions of a verdict: then both hold in about four runs of five."""


class Kind(StrEnum):
    """What a comparison came to."""

    WORSE = "worse"
    BETTER = "better"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Noise:
    """What control against base shows.

    change: A/A as a comparison like any other; its n counts the A/A pairs
    cv_pct: spread of one boot in per cent: the sd of the A/A differences / sqrt(2)
    detectable_pct: the smallest change that as many pairs as A/B has would call worse or better
        in about four runs of five (5 % two-sided, 90 % for each of the two conditions)
    """

    change: Paired
    cv_pct: float | None
    detectable_pct: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict and all that it rests on.

    reason: why, a clause without a full stop
    change: base against patch, 95 %; narrow: the same at 90 %, for equivalence
    noise: None if there are no A/A boots
    margin_pct: None if none was declared
    more: about how many pairs more would decide; None unless undecided, or if it is too many
    """

    kind: Kind
    reason: str
    change: Paired
    narrow: Paired
    noise: Noise | None
    margin_pct: float | None
    more: int | None = None


Arms = tuple[Sequence[float | None], Sequence[float | None]]


def decide(
    pairs: Arms,
    noise_pairs: Arms | None,
    *,
    direction: Direction | None,
    margin_pct: float | None,
    family: int = 1,
) -> Verdict:
    """The verdict on pairs of (base, patch); (base, control) may be of other blocks.

    None, NaN and infinities are missing values and take out only the pairs that they are in.
    direction: which way is better; margin_pct: above 0. Where either is None, or ``noise_pairs``
    is, there is no verdict.  family: how many comparisons share the level.
    """
    if margin_pct is not None and not (margin_pct > 0 and math.isfinite(margin_pct)):
        raise ValueError(f"a margin is a number of per cent above zero, not {margin_pct}")
    aa = stats.paired(*noise_pairs) if noise_pairs is not None else None
    least = (aa.deviation or 0.0) if aa is not None else 0.0
    change = stats.paired(*pairs, least_sd=least, level=shared(stats.LEVEL, family))
    narrow_level = shared(stats.EQUIVALENCE_LEVEL, family)
    narrow = stats.paired(*pairs, least_sd=least, level=narrow_level)
    noise = None if aa is None or aa.n == 0 else _noise(aa, change.n)

    def verdict(kind: Kind, reason: str, more: int | None = None) -> Verdict:
        if kind is not Kind.NONE and aa is not None and aa.excludes_zero:
            reason += "; A/A differs too, by less than a tenth of the margin"
        return Verdict(kind, reason, change, narrow, noise, margin_pct, more)

    hindrance = next(_hindrances(change, aa, margin_pct, direction), "")
    if hindrance or aa is None or margin_pct is None:
        return verdict(Kind.NONE, hindrance)
    real = change.excludes_zero and not _covers(aa, change.estimate_pct)
    if _inside(narrow, margin_pct):
        text = f"the {100 * narrow_level:.3g} % interval lies inside the margin of {margin_pct:g} %"
        return verdict(Kind.EQUIVALENT, text + (", though not zero" if real else ""))
    if real:
        worse = (change.low_pct or 0) > 0 if direction == "lower" else (change.high_pct or 0) < 0
        return verdict(Kind.WORSE if worse else Kind.BETTER, _real_reason(change, margin_pct))
    why, more = _undecided(change, aa, margin_pct)
    if family > 1:  # how many would do is planned for a comparison alone
        return verdict(Kind.UNDECIDED, "more pairs are needed")
    return verdict(Kind.UNDECIDED, why, more)


def shared(level: float, family: int) -> float:
    """The level of one of so many comparisons that share one (Bonferroni)."""
    return 1 - (1 - level) / family


def none(reason: str) -> Verdict:
    """No verdict where there is nothing to judge."""
    empty = stats.paired([], [])
    return Verdict(Kind.NONE, reason, empty, empty, None, None)


def worst(verdicts: Iterable[Verdict]) -> Exit:
    """The exit status of a set of verdicts on primary metrics.

    WORSE if any is worse; UNDECIDED if any is undecided or none, or if there is no verdict at
    all: what nobody judged has not passed. Else OK.
    """
    kinds = {verdict.kind for verdict in verdicts}
    if Kind.WORSE in kinds:
        return Exit.WORSE
    return Exit.OK if kinds and kinds <= {Kind.BETTER, Kind.EQUIVALENT} else Exit.UNDECIDED


def _noise(aa: Paired, pairs: int) -> Noise:
    sd = aa.deviation
    if sd is None:
        return Noise(aa, None, None)
    return Noise(aa, 100 * sd / math.sqrt(2), stats.detectable(sd, pairs, power=_PLAN_POWER))


def _hindrances(
    change: Paired, aa: Paired | None, margin_pct: float | None, direction: Direction | None
) -> Iterator[str]:
    """Why there can be no verdict, the gravest reason first; nothing if there can."""
    if aa is None or aa.n + aa.dropped == 0:
        yield "no A/A boots: the noise is unknown"
        return
    if margin_pct is None:
        yield "no margin was declared"
        return
    if direction is None:
        yield "nobody declared which direction is better"
    for name, one in (("A/B", change), ("A/A", aa)):
        if one.n < MIN_PAIRS:
            yield f"too few pairs: {one.n} of {name}, {MIN_PAIRS} needed"
        elif one.low_pct is None:
            yield f"{name}: {one.method}"
    if aa.excludes_zero and not _inside(aa, margin_pct * NEGLIGIBLE):
        yield f"A/A itself differs: {_bounds(aa)} %"


def _inside(change: Paired, margin_pct: float) -> bool:
    """The interval lies inside the margin, a factor of 1 + margin either way."""
    if change.low_pct is None or change.high_pct is None:
        return False
    lower = _lower(margin_pct)
    return _at_most(lower, change.low_pct) and _at_most(change.high_pct, margin_pct)


def _lower(margin_pct: float) -> float:
    """The same factor down, in per cent."""
    return -100 * margin_pct / (100 + margin_pct)


def _at_most(one_pct: float, other_pct: float) -> bool:
    """Whether a change is at most another, or equal to it but for rounding."""
    largest = max(abs(one_pct), abs(other_pct))
    return one_pct <= other_pct or one_pct - other_pct <= ROUNDING * (100 + largest)


def _covers(aa: Paired, value: float | None) -> bool:
    if value is None or aa.low_pct is None or aa.high_pct is None:
        return True
    return _at_most(aa.low_pct, value) and _at_most(value, aa.high_pct)


def _bounds(change: Paired) -> str:
    return f"[{change.low_pct:+.3g}, {change.high_pct:+.3g}]"


def _real_reason(change: Paired, margin_pct: float) -> str:
    low, high = change.low_pct or 0.0, change.high_pct or 0.0
    beyond = not (_at_most(low, margin_pct) and _at_most(_lower(margin_pct), high))
    how = "the whole interval is" if beyond else "part of the interval is"
    where = "beyond" if beyond else "inside"
    return f"zero is excluded, and A/A shows no such change; {how} {where} the margin"


def _undecided(change: Paired, aa: Paired, margin_pct: float) -> tuple[str, int | None]:
    sd = max(change.deviation or 0.0, aa.deviation or 0.0)
    total = stats.pairs_needed(
        sd, change.estimate_pct or 0.0, margin_pct=margin_pct, power=_PLAN_POWER
    )
    more = None if total is None else max(total - change.n, 1)
    why = "zero is excluded, but A/A alone shows as much; " if change.excludes_zero else ""
    if more is None:
        return f"{why}more than {stats.MOST_PAIRS} pairs would be needed", None
    return f"{why}needs about {more} more pair{'' if more == 1 else 's'}", more
