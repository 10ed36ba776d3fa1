# SPDX-License-Identifier: GPL-2.0-only
"""The model of caches and TLBs, held against answers that are known without it."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.experiment import cpumodel
from harness.util.units import parse_size

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
KIB, MIB = 1 << 10, 1 << 20
L1I, L1D, L2, LLC, ITLB, DTLB, STLB, LINES = range(8)
LINE = 64
# Sizes and ways in the order of the events; the LLC has no power of two of sets.
SHAPES = (
    (32 * KIB, 8),
    (48 * KIB, 12),
    (2 * MIB, 16),
    (30 * MIB, 15),
    (64, 8),
    (96, 6),
    (2048, 16),
)
MODEL = f"{LINE} " + " ".join(f"{size} {ways}" for size, ways in SHAPES)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@dataclass(frozen=True, slots=True)
class Walk:
    """A line of the driver's input; sizes in bytes."""

    count: int
    stride: int = LINE
    first: int = 0
    kind: str = "data"
    size: int = 8
    page_shift: int = 12
    offset: int = 0
    multiplier: int = 1
    passes: int = 6


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cachemodel") / "driver"
    sources = [ROOT / "tests/guest/cachemodel_driver.c", ROOT / "vm-images/plugins/cachemodel.c"]
    subprocess.run(["gcc", *FLAGS, "-o", out, *sources], check=True)
    return out


def run(driver: Path, walks: Sequence[Walk], model: str = MODEL) -> list[list[int]]:
    text = "".join(
        f"{w.passes} {w.kind} {w.first} {w.stride} {w.count} {w.size} {w.page_shift} {w.offset}"
        f" {w.multiplier}\n"
        for w in walks
    )
    done = subprocess.run([driver, model], input=text, check=True, capture_output=True, text=True)
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]


def steady(keys: Sequence[int], shapes: Sequence[tuple[int, int]]) -> list[int]:
    """Misses a pass at each level when ``keys`` are gone through again and again.

    shapes: entries and ways.  Where more of them share a set than it has ways, each is thrown out
    before its turn comes again, in any order that repeats; elsewhere none is.
    """
    answer = []
    for entries, ways in shapes:
        sets = entries // ways
        load = Counter(key % sets for key in keys)
        keys = [key for key in keys if load[key % sets] > ways]
        answer.append(len(keys))
    return answer


def caches(first: int) -> list[tuple[int, int]]:
    return [(SHAPES[level][0] // LINE, SHAPES[level][1]) for level in (first, L2, LLC)]


@pytest.mark.parametrize("kib", [16 << power for power in range(13)])
def test_a_pointer_chase_misses_what_does_not_fit(driver: Path, kib: int) -> None:
    lines = kib * KIB // LINE
    ordered, chased = Walk(lines), Walk(lines, multiplier=0x9E3779B1)
    got, other = (run(driver, [walk])[-1] for walk in (ordered, chased))
    # To caches the order does not matter, as long as it is the same each time.
    assert got[: LLC + 1] == other[: LLC + 1]
    assert got[L1D : LLC + 1] == steady(range(lines), caches(L1D))
    # By size alone: nothing misses a cache that holds all, all miss one that is twice too small.
    for level in (L1D, L2, LLC):
        if kib * KIB <= SHAPES[level][0]:
            assert got[level] == 0
        elif kib * KIB >= 2 * SHAPES[level][0]:
            assert got[level] == lines
    pages = sorted({line * LINE >> 12 for line in range(lines)})
    # Page by page in the ordered walk: each is looked up anew where the next begins.
    tlb = [(SHAPES[DTLB][0], SHAPES[DTLB][1]), (SHAPES[STLB][0], SHAPES[STLB][1])]
    assert run(driver, [ordered])[-1][DTLB : STLB + 1] == steady(pages, tlb)
    assert got[L1I] == got[ITLB] == 0 and got[LINES] == lines


def test_the_sizes_between_are_exact(driver: Path) -> None:
    """One line more than a set has ways costs the whole set, and only that."""
    sets = 48 * KIB // LINE // 12
    for more in (1, 5, sets):
        assert run(driver, [Walk(12 * sets + more)])[-1][L1D] == 13 * more


@pytest.mark.parametrize("stride", [8, 16, 64, 128, 256, 4096, 8192, 131072, MIB])
def test_strides(driver: Path, stride: int) -> None:
    count = 5000 if stride < 4096 else 400
    got = run(driver, [Walk(count, stride)])[-1]
    lines = sorted({index * stride // LINE for index in range(count)})
    assert got[L1D : LLC + 1] == steady(lines, caches(L1D))
    assert got[LINES] == len(lines)
    pages = sorted({index * stride >> 12 for index in range(count)})
    assert got[DTLB : STLB + 1] == steady(pages, [(96, 6), (2048, 16)])


@pytest.mark.parametrize("kind", ["data", "fetch"])
def test_lines_of_one_set_conflict(driver: Path, kind: str) -> None:
    first, sets = (L1D, 64) if kind == "data" else (L1I, 64)
    ways = SHAPES[first][1]
    fits, over = (
        run(driver, [Walk(count, sets * LINE, kind=kind)])[-1] for count in (ways, ways + 1)
    )
    assert fits[first] == 0 and over[first] == ways + 1
    assert fits[L2] == over[L2] == 0, "the next level has other sets"


def test_an_access_over_a_boundary_touches_two_lines(driver: Path) -> None:
    rows = run(driver, [Walk(1, first=60, passes=2), Walk(1, first=4096 * 9 + 56, passes=1)])
    assert [row[L1D] for row in rows] == [2, 0, 1] and [row[LINES] for row in rows] == [2, 2, 1]


def test_caches_go_by_the_physical_address(driver: Path) -> None:
    there, again, moved = run(
        driver,
        [
            Walk(64, passes=1),
            Walk(64, passes=1, first=16 * MIB, offset=-16 * MIB % (1 << 64)),
            Walk(64, passes=1, offset=32 * MIB),
        ],
    )
    assert there[LLC] == 64 and there[STLB] == 1
    # Another address of the same page: its lines are known, its place is not.
    assert again[L1D] == 0 and again[DTLB] == again[STLB] == 1
    # The same address after the page was replaced.
    assert moved[LLC] == 64 and moved[DTLB] == moved[STLB] == 1


def test_large_pages_need_fewer_entries(driver: Path) -> None:
    small, large = (run(driver, [Walk(1024, 4096, page_shift=shift)])[-1] for shift in (12, 21))
    assert small[DTLB] == 1024 and small[STLB] == 0
    assert large[DTLB] == 0


def test_any_accesses_against_another_model(driver: Path) -> None:
    """Random ones, one by one, in small caches; the other model keeps order in dictionaries."""
    model = "64 1024 2 1536 3 4096 4 10240 5 4 2 6 3 20 5"
    draw = random.Random(7)
    shapes = [(1024, 2), (1536, 3), (4096, 4), (10240, 5)]
    sets: list[list[OrderedDict[int, None]]] = [
        [OrderedDict() for _ in range(size // LINE // ways)] for size, ways in shapes
    ]

    def touch(level: int, line: int) -> bool:
        one = sets[level][line % len(sets[level])]
        hit = line in one
        one[line] = None
        one.move_to_end(line)
        if len(one) > shapes[level][1]:
            one.popitem(last=False)
        return hit

    walks, wanted = [], []
    for _ in range(4000):
        kind, line = draw.choice(["data", "fetch"]), draw.randrange(400)
        walks.append(Walk(1, first=line * LINE, kind=kind, passes=1))
        levels = (L1D if kind == "data" else L1I, L2, LLC)
        missed = [0, 0, 0, 0]
        for level in levels:
            if touch(level, line):
                break
            missed[level] = 1
        wanted.append(missed)
    got = [row[: LLC + 1] for row in run(driver, walks, model)]
    assert got == wanted
    assert all(0 < sum(row[level] for row in got) < 4000 for level in (L1I, L1D, L2, LLC))


@pytest.mark.parametrize(
    "model",
    ["", "64", "48" + MODEL[2:], MODEL + " 1", MODEL.replace("49152 12", "49152 11"), "x" + MODEL],
)
def test_what_is_no_model_is_refused(driver: Path, model: str) -> None:
    done = subprocess.run([driver, model], input="", check=False, capture_output=True, text=True)
    assert done.returncode == 2


@pytest.mark.parametrize("number", [0, 1])
def test_the_documentation_has_the_answers_of_the_cpus_that_are_known(
    driver: Path, number: int
) -> None:
    text = (ROOT / "docs/caches-and-locks.md").read_text(encoding="utf-8")
    table = text.partition("<!-- chase -->")[2].partition("<!-- end of chase -->")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if line
    ]
    assert len(rows) == 13
    model = cpumodel.known()[head[1 + number]]
    line = cpumodel.plugin_lines([model]).partition(model.name)[2].strip()
    for memory, *levels in rows:
        lines = parse_size(memory.replace(" ", "")) // LINE
        got = run(driver, [Walk(lines, multiplier=0x9E3779B1)], line)[-1]
        missed = [(name, got[level]) for name, level in (("L1D", L1D), ("L2", L2), ("LLC", LLC))]
        assert {count for _, count in missed} <= {0, lines}
        assert (", ".join(name for name, count in missed if count) or "none") == levels[number]


@pytest.mark.parametrize(
    ("l1", "seed"),
    # 64 sets and 256; fewer sets than lines that are remembered; one set; no power of two.
    [((48 * KIB, 12), 1), ((48 * KIB, 12), 2), ((4 * KIB, 4), 3), ((512, 8), 4), ((6 * KIB, 4), 5)],
)
def test_what_is_in_front_is_not_looked_up_and_misses_the_same(
    driver: Path, l1: tuple[int, int], seed: int
) -> None:
    shapes = list(SHAPES)
    shapes[L1I] = shapes[L1D] = l1
    shapes[DTLB] = (48, 48)
    other = f"{LINE} " + " ".join(f"{size} {ways}" for size, ways in shapes)
    argv = [str(driver), MODEL, other, str(seed), "1000000"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    missed, wrong, lines = map(int, done.stdout.split())
    assert (wrong, lines) == (0, 0)
    assert 10_000 < missed < 500_000, "both ways are taken"
