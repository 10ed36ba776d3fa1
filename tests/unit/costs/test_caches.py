# SPDX-License-Identifier: GPL-2.0-only
"""The output of the caches plugin, and estimated cycles."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.costs import caches, cycles
from harness.costs.caches import CacheCounts, MissRow
from harness.experiment import cpumodel

TEXT = """\
put 3 0
executed 10000
operations 20
lines 500
model sapphire-rapids
0 user 0 40 0 0 0 20 20
ffffffff81000010 direct 1 30 20 10 0 0 0
ffffffff81000014 direct 0 10 10 10 0 0 0
ffffffff81000014 vmalloc 0 5 0 0 0 1 0
ffffffff81000100 image 7 0 0 0 0 0 0
model neoverse-n1
end
put 4 1
executed 1
operations 0
lines 0
model sapphire-rapids
end
put 5 0
executed 77
"""


def function(address: int) -> str:
    return "early" if address < 0xFFFF_FFFF_8100_0100 else "late"


def test_sums_are_by_line_and_whole() -> None:
    found = caches.parse(TEXT)
    assert list(found) == [3, 4], "the guest died in the fifth"
    counts = found[3]
    assert counts.misses("sapphire-rapids") == (8, 85, 30, 20, 0, 21, 20)
    assert counts.misses("neoverse-n1") == (0,) * 7
    assert counts.lines_per_operation == 25
    assert found[4].lines_per_operation is None


def test_misses_by_function_and_region() -> None:
    rows = caches.parse(TEXT)[3].models["sapphire-rapids"]
    assert caches.by_function(rows, function) == {
        "user": (0, 40, 0, 0, 0, 20, 20),
        "early": (1, 45, 30, 20, 0, 1, 0),
        "late": (7, 0, 0, 0, 0, 0, 0),
    }
    regions = caches.by_region(rows)
    assert list(regions) == ["user", "direct", "vmalloc", "image"]
    assert regions["direct"] == (1, 40, 30, 20, 0, 0, 0)


def test_rounds_are_summed() -> None:
    one = caches.parse(TEXT)[3]
    both = caches.merged([one, one])
    assert both.misses("sapphire-rapids") == (16, 170, 60, 40, 0, 42, 40)
    assert (both.executed, both.lines_per_operation) == (20000, 25)


@pytest.mark.parametrize(
    "text",
    [
        "executed 1\nend\n",
        "put 1 0\nexecuted 1\nend\n",
        "put 1\nexecuted one\noperations 0\nlines 0\nend\n",
        "put 1 0\nexecuted 1\noperations 0\nlines 0\nmodel m\n0 user 1 2 3\nend\n",
        "put 1 0\nexecuted 1\noperations 0\nlines 0\nmodel m\n0 moon 1 2 3 4 5 6 7\nend\n",
        "put 1 0\n\nend\n",
    ],
)
def test_what_is_no_output_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="of a plugin's output"):
        caches.parse(text)


MODEL = cpumodel.known()["sapphire-rapids"]


def counts(executed: int, **missed: int) -> CacheCounts:
    misses = tuple(missed.get(event, 0) for event in cpumodel.EVENTS)
    return CacheCounts(executed, 0, 0, {MODEL.name: (MissRow(0, "user", misses),)})


def test_cycles_are_instructions_and_misses() -> None:
    assert (MODEL.cycles, MODEL.l1d.miss, MODEL.llc.miss) == (0.5, 10, 270)
    misses = (0, 4, 0, 2, 0, 0, 0)
    assert cycles.stalls(MODEL, misses) == 580
    found = cycles.compare(MODEL, counts(1000, l1d=4, llc=2), counts(2000), (1, 1))
    assert (found.insns, found.misses) == ((500, 1000), (580, 0))
    assert found.cycles() == (500 + 40 + 540, 1000)
    assert found.cycles(0.5) == (500 + 290, 1000)
    assert cycles.weights(MODEL).startswith(
        "sapphire-rapids: 0.5 cycles for an instruction; for a miss L1I 10, L1D 10, L2 95, LLC 270,"
    )


def test_a_change_of_instructions_is_no_change_of_cycles() -> None:
    """10 % more instructions, and one of ten misses less: fewer cycles."""
    found = cycles.compare(MODEL, counts(10000, llc=1000), counts(22000, llc=1800), (10, 20))
    assert found.insns_pct == pytest.approx(10)
    assert found.change_pct() == pytest.approx(100 * (24850 / 27500 - 1))
    assert found.holds()


def test_a_sign_that_depends_on_what_a_miss_costs_is_told() -> None:
    """+1000 x 0.5 cycles against 4 misses of memory less: 500 - 1080 x the scale."""
    base, patch = counts(10000, llc=40), counts(11000, llc=37)
    found = cycles.compare(MODEL, base, patch, (10, 10))
    assert [found.change_pct(scale) > 0 for scale in cycles.SCALES] == [True, False, False]
    assert not found.holds()
    assert cycles.compare(MODEL, base, base, (10, 10)).holds()


def test_nothing_executed_gives_no_estimate() -> None:
    with pytest.raises(ValueError, match="nothing was executed"):
        cycles.compare(MODEL, counts(1), replace(counts(1), executed=0), (1, 1))
    with pytest.raises(ValueError, match="nothing was executed"):
        cycles.compare(MODEL, counts(1), counts(1), (1, 0))
