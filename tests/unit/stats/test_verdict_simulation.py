# SPDX-License-Identifier: GPL-2.0-only
"""The whole verdict machinery on simulated machines: how often it is wrong, and what it covers.

    python -m tests.unit.stats.test_verdict_simulation [runs]

prints the table (2,000 runs a cell). The tests make fewer runs of the same and allow for three
standard errors. Every boot has 1 % noise; what comes on top is the scenario's. The seeds are fixed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.stats import paired as stats
from harness.stats import verdict
from harness.stats.verdict import Kind
from harness.util.errors import Exit

Values = NDArray[np.float64]
Random = np.random.Generator
Order = NDArray[np.intp]
"""When each boot runs: a row for base, patch and again, a column a pair."""

SD = 0.01
SD_PAIR = SD * math.sqrt(2)
NOMINAL = 0.05
RUNS = 2000
NO_MARGIN = 1e-6
"""In per cent: so small that "equivalent" cannot hide a false alarm."""


def _iid(random: Random, boots: int) -> Values:
    return random.normal(0, SD, boots)


def _correlated(random: Random, boots: int) -> Values:
    """AR(1), 0.8 from boot to boot, the same spread as the others."""
    fresh = random.normal(0, SD, boots)
    noise = fresh.copy()
    for i in range(1, boots):
        noise[i] = 0.8 * noise[i - 1] + 0.6 * fresh[i]
    return noise


def _drift(random: Random, boots: int) -> Values:
    """5 % slower at the end than at the begin."""
    ramp = np.arange(boots, dtype=np.float64) * (5 * SD / (boots - 1))
    return _iid(random, boots) + ramp


def _neighbour(random: Random, boots: int) -> Values:
    """A neighbour starts in the middle: everything is 5 % slower from then on."""
    return np.where(np.arange(boots) < boots // 2, 0.0, 5 * SD) + _iid(random, boots)


def _skewed(random: Random, boots: int) -> Values:
    """Rare slow boots: exponential."""
    return random.exponential(SD, boots)


def _two_states(random: Random, boots: int) -> Values:
    """Nothing but two values: an event that falls into the measured phase or does not."""
    return np.where(random.integers(0, 2, boots) > 0, SD, 0.0)


Noise = Callable[[Random, int], Values]
REQUIRED: dict[str, Noise] = {
    "independent": _iid, "correlated": _correlated, "drift": _drift, "neighbour": _neighbour,
}  # fmt: skip
NOISES: dict[str, Noise] = {**REQUIRED, "skewed": _skewed, "two states": _two_states}


def blocks(random: Random, pairs: int) -> Order:
    """As the plan does it: block after block, the three boots of a block in random order."""
    order = np.argsort(random.random((pairs, 3)), axis=1) + 3 * np.arange(pairs)[:, None]
    return order.T


def base_first(random: Random, pairs: int) -> Order:
    """As it is often done: all base boots first (A/A inside them), then all patch boots."""
    aa = np.argsort(random.random((pairs, 2)), axis=1) + 2 * np.arange(pairs)[:, None]
    return np.stack([aa[:, 0], 2 * pairs + np.arange(pairs), aa[:, 1]])


@dataclass(frozen=True)
class Tally:
    """Shares of all runs."""

    runs: int
    kinds: dict[Kind, float]
    excluded: float
    covered: float

    @property
    def alarms(self) -> float:
        """Worse or better."""
        return self.kinds[Kind.WORSE] + self.kinds[Kind.BETTER]


def simulate(
    noise: Noise,
    pairs: int,
    *,
    runs: int,
    effect_pct: float = 0.0,
    margin_pct: float = NO_MARGIN,
    order: Callable[[Random, int], Order] = blocks,
    looks: int = 1,
) -> Tally:
    """Judge `runs` runs of a true effect.

    looks: so many times `pairs` more are added as long as the verdict is undecided.
    """
    random = np.random.default_rng(crc32(f"{noise.__name__} {pairs} {effect_pct}".encode()))
    kinds = dict.fromkeys(Kind, 0)
    excluded = covered = 0
    for _ in range(runs):
        at = order(random, pairs * looks)
        base, patch, again = 1000 * np.exp(noise(random, at.size)[at])
        patch = patch * (1 + effect_pct / 100)
        for look in range(1, looks + 1):
            old, new, same = (list(arm[: pairs * look]) for arm in (base, patch, again))
            got = verdict.decide((old, new), (old, same), direction="lower", margin_pct=margin_pct)
            if got.kind is not Kind.UNDECIDED:
                break
        kinds[got.kind] += 1
        low, high = got.change.low_pct, got.change.high_pct
        assert low is not None
        assert high is not None
        excluded += got.change.excludes_zero
        covered += low - 1e-9 <= effect_pct <= high + 1e-9
    return Tally(runs, {k: n / runs for k, n in kinds.items()}, excluded / runs, covered / runs)


def slack(share: float, runs: int) -> float:
    """Three standard errors of a share."""
    return 3 * math.sqrt(share * (1 - share) / runs)


_TEST_RUNS = 200
_CASES = [(name, pairs) for name in REQUIRED for pairs in (3, 6, 10)]


@pytest.mark.parametrize(("name", "pairs"), _CASES)
def test_no_effect_is_called_one_no_more_often_than_nominal(name: str, pairs: int) -> None:
    tally = simulate(NOISES[name], pairs, runs=_TEST_RUNS)
    limit = NOMINAL + slack(NOMINAL, _TEST_RUNS)
    assert tally.alarms <= tally.excluded <= limit
    # The same for A/A itself.
    assert tally.kinds[Kind.NONE] <= limit


@pytest.mark.parametrize(("name", "pairs"), _CASES)
def test_coverage_and_false_equivalence_at_the_edge_of_the_margin(name: str, pairs: int) -> None:
    tally = simulate(NOISES[name], pairs, runs=_TEST_RUNS, effect_pct=3, margin_pct=3)
    assert tally.covered >= 1 - NOMINAL - slack(NOMINAL, _TEST_RUNS)
    assert tally.kinds[Kind.EQUIVALENT] <= NOMINAL + slack(NOMINAL, _TEST_RUNS)


@pytest.mark.parametrize(("name", "pairs"), [("two states", 3), ("two states", 6), ("skewed", 3)])
def test_noise_that_no_t_interval_was_made_for(name: str, pairs: int) -> None:
    tally = simulate(NOISES[name], pairs, runs=_TEST_RUNS)
    assert tally.alarms <= NOMINAL + slack(NOMINAL, _TEST_RUNS)


@pytest.mark.parametrize("name", ["correlated", "drift", "neighbour"])
def test_all_base_boots_first_is_wrong_and_a_a_does_not_show_it(name: str) -> None:
    tally = simulate(NOISES[name], 10, runs=100, order=base_first)
    assert tally.alarms > 4 * NOMINAL
    assert tally.kinds[Kind.NONE] < 3 * NOMINAL


@pytest.mark.parametrize("pairs", [3, 6, 10, 20])
def test_the_smallest_detectable_effect_is_detected_as_often_as_said(pairs: int) -> None:
    effect = stats.detectable(SD_PAIR, pairs)
    assert effect is not None
    # Far more pairs than A/A needs are no help here: only the interval is asked.
    random = np.random.default_rng(pairs)
    runs = 600
    found = 0
    for _ in range(runs):
        d = random.normal(0, SD_PAIR, pairs) + math.log1p(effect / 100)
        found += stats.paired([1.0] * pairs, list(np.exp(d))).excludes_zero
    assert found / runs == pytest.approx(stats.POWER, abs=slack(stats.POWER, runs) + 0.005)


@pytest.mark.parametrize("pairs", [3, 6, 10])
def test_what_the_noise_floor_says_is_called_in_four_runs_of_five(pairs: int) -> None:
    effect = stats.detectable(SD_PAIR, pairs, power=0.9)
    tally = simulate(_iid, pairs, runs=_TEST_RUNS, effect_pct=effect or 0.0)
    assert tally.kinds[Kind.WORSE] == pytest.approx(0.8, abs=0.05 + slack(0.8, _TEST_RUNS))


@pytest.mark.parametrize(
    ("effect", "margin", "kind"), [(2.5, 0.5, Kind.WORSE), (0.0, 1.5, Kind.EQUIVALENT)]
)
def test_the_pairs_that_are_asked_for_decide(effect: float, margin: float, kind: Kind) -> None:
    needed = stats.pairs_needed(SD_PAIR, effect, margin_pct=margin, power=0.9)
    assert needed is not None
    tally = simulate(_iid, needed, runs=_TEST_RUNS, effect_pct=effect, margin_pct=margin)
    assert tally.kinds[kind] >= stats.POWER - NOMINAL - slack(stats.POWER, _TEST_RUNS)


def test_ci_sees_the_simulated_machine_as_it_is() -> None:
    random = np.random.default_rng(1)
    at = blocks(random, 10)
    base, patch, again = 1000 * np.exp(_drift(random, at.size)[at])
    old, new, same = list(base), list(patch * 1.1), list(again)
    got = verdict.decide((old, new), (old, same), direction="lower", margin_pct=1.0)
    assert verdict.worst([got]) is Exit.WORSE


def table(runs: int) -> Iterator[str]:
    """The printed table; all figures but n in per cent of the runs."""
    yield f"{runs} runs a row, nominal 5 %, 3 standard errors {100 * slack(NOMINAL, runs):.1f}"
    yield (
        f"{'noise':<12}{'n':>3}{'alarms':>8}{'excl.0':>8}{'A/A':>6}"
        f"{'cover':>7}{'f.equiv':>8}{'power':>7}{'verdict':>8}"
    )
    for name, noise in NOISES.items():
        for pairs in (3, 5, 6, 10):
            nothing = simulate(noise, pairs, runs=runs)
            edge = simulate(noise, pairs, runs=runs, effect_pct=3, margin_pct=3)
            effect = stats.detectable(SD_PAIR, pairs, power=0.9) or 0.0
            shown = simulate(noise, pairs, runs=runs, effect_pct=effect)
            figures = (
                (nothing.alarms, 8), (nothing.excluded, 8), (nothing.kinds[Kind.NONE], 6),
                (edge.covered, 7), (edge.kinds[Kind.EQUIVALENT], 8),
                (shown.excluded, 7), (shown.kinds[Kind.WORSE], 8),
            )  # fmt: skip
            yield f"{name:<12}{pairs:>3}" + "".join(f"{100 * v:>{w}.1f}" for v, w in figures)
    yield "all base boots first, then all patch boots (A/A pairs inside the base boots):"
    for name, noise in REQUIRED.items():
        wrong = simulate(noise, 10, runs=runs, order=base_first)
        yield (
            f"{name:<12} 10{100 * wrong.alarms:>8.1f}{100 * wrong.excluded:>8.1f}"
            f"{100 * wrong.kinds[Kind.NONE]:>6.1f}"
        )
    yield "10 pairs, and 10 more if undecided:"
    for name, noise in REQUIRED.items():
        twice = simulate(noise, 10, runs=runs, looks=2)
        yield f"{name:<12} 20{100 * twice.alarms:>8.1f}"


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(line, flush=True)
