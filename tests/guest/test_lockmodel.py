# SPDX-License-Identifier: GPL-2.0-only
"""The books of the locks plugin, held against sequences whose sums are known."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
FLAGS += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SPIN, READ, WRITE, MUTEX, RW_READ, RW_WRITE = "0 0", "1 1", "1 0", "2 0", "3 1", "3 0"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lockmodel") / "driver"
    sources = [ROOT / "tests/guest/lockmodel_driver.c", ROOT / "vm-images/plugins/lockmodel.c"]
    subprocess.run(["gcc", *FLAGS, "-o", out, *sources], check=True)
    return out


def run(driver: Path, events: Iterable[str]) -> list[str]:
    text = "".join(f"{event}\n" for event in events)
    done = subprocess.run([driver], input=text, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_lock_is_held_from_its_taking_to_its_release(driver: Path) -> None:
    events = ["open 0 0"]
    for start, held in ((100, 50), (200, 7), (1000, 500)):
        events += [f"take 4096 17 {SPIN} {start}", f"free 4096 {SPIN} {start + held}"]
    events += [f"take 8192 17 {SPIN} 3000", f"free 8192 {SPIN} 3001", "report 0 1"]
    assert run(driver, events) == [
        "site 11 spin 4 558 500 2",
        "object 1000 11 spin 3 557 500",
        "lost 0",
        "unmatched 0",
    ]


def test_what_a_channel_has_is_what_lies_inside(driver: Path) -> None:
    events = [
        f"take 64 1 {SPIN} 10", "open 0 100", f"free 64 {SPIN} 130",  # 30 inside, taken outside
        f"take 64 2 {SPIN} 150", "close 0 170", f"free 64 {SPIN} 999",  # 20 inside
        f"take 64 2 {SPIN} 1000", f"free 64 {SPIN} 1005",  # outside
        "open 0 2000", f"take 64 2 {SPIN} 2000", "close 0 2001", "open 0 2100",
        f"free 64 {SPIN} 2103", "report 0 0",  # 1 and 3 inside
        "clear 0", "open 0 3000", f"take 64 2 {SPIN} 3100", f"free 64 {SPIN} 3101", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 spin 0 30 30 1", "site 2 spin 2 24 20 1", "lost 0", "unmatched 0",
        "site 2 spin 1 1 1 1", "lost 0", "unmatched 0",
    ]  # fmt: skip


def test_readers_share_and_count_once(driver: Path) -> None:
    """The lock is held for as long as one of them reads; the first one's place has the time."""
    events = [
        "open 0 0", f"take 64 1 {READ} 10", f"take 64 2 {READ} 20", f"free 64 {READ} 30",
        f"free 64 {READ} 110", f"take 64 3 {WRITE} 200", f"free 64 {WRITE} 201", "report 0 9",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 read 1 100 100 1", "site 2 read 1 0 0 1", "site 3 write 1 1 1 1",
        "object 40 1 read 1 100 100", "object 40 2 read 1 0 0", "object 40 3 write 1 1 1",
        "lost 0", "unmatched 0",
    ]  # fmt: skip


def test_who_waits_gets_it_at_the_release(driver: Path) -> None:
    events = [
        "open 0 0", f"take 64 1 {MUTEX} 10", f"take 64 2 {MUTEX} 20", "wait",
        # An interrupt takes a spinlock: that one is not waited for.
        f"take 64 3 {MUTEX} 30", f"take 128 9 {SPIN} 31", f"free 128 {SPIN} 32", "wait",
        f"free 64 {MUTEX} 100", f"free 64 {MUTEX} 140", f"free 64 {MUTEX} 141",
        f"free 64 {MUTEX} 142", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 mutex 1 90 90 1", "site 2 mutex 1 40 40 1", "site 3 mutex 1 1 1 1",
        "site 9 spin 1 1 1 1", "lost 0", "unmatched 1",
    ]  # fmt: skip
    events = [
        "open 0 0", f"take 64 1 {RW_WRITE} 0", f"take 64 2 {RW_READ} 1", "wait",
        f"take 64 3 {RW_WRITE} 2", "wait", f"take 64 4 {RW_READ} 3", "wait",
        f"free 64 {RW_WRITE} 10", f"free 64 {RW_READ} 11", f"free 64 {RW_READ} 15",
        f"free 64 {RW_WRITE} 20", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 rwsem-write 1 10 10 1", "site 2 rwsem-read 1 5 5 1",
        "site 3 rwsem-write 1 5 5 1", "site 4 rwsem-read 1 0 0 1", "lost 0", "unmatched 0",
    ]  # fmt: skip


def test_a_reader_that_joins_may_still_have_to_wait(driver: Path) -> None:
    events = [
        "open 0 0", f"take 64 1 {RW_READ} 0", f"take 64 2 {RW_READ} 1", "wait",
        f"free 64 {RW_READ} 10", f"free 64 {RW_READ} 12", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 rwsem-read 1 10 10 1", "site 2 rwsem-read 1 2 2 1", "lost 0", "unmatched 0",
    ]  # fmt: skip


def test_the_one_that_downgrades_reads_before_those_who_wait(driver: Path) -> None:
    events = [
        "open 0 0", f"take 64 1 {RW_WRITE} 0", f"take 64 2 {RW_WRITE} 1", "wait",
        f"take 64 3 {RW_READ} 2", "wait", "downgrade 64 4 10",
        f"free 64 {RW_READ} 15", f"free 64 {RW_READ} 30", f"free 64 {RW_WRITE} 37", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 rwsem-write 1 10 10 1", "site 2 rwsem-write 1 7 7 1", "site 3 rwsem-read 1 0 0 1",
        "site 4 rwsem-read 1 20 20 1", "lost 0", "unmatched 0",
    ]  # fmt: skip
    events = ["open 0 0", "downgrade 64 4 10", f"free 64 {RW_READ} 15", "report 0 0"]
    assert run(driver, events) == ["site 4 rwsem-read 1 5 5 1", "lost 0", "unmatched 1"]


@pytest.mark.parametrize("others", range(505, 516))
def test_who_waits_while_the_table_grows_gets_its_own_lock(driver: Path, others: int) -> None:
    """512 uses are half of the first table."""
    events = ["open 0 0", f"take 64 1 {MUTEX} 10"]
    for other in range(1000, 1000 + others):
        events += [f"take {64 * other} {other} {SPIN} 11", f"free {64 * other} {SPIN} 11"]
    events += [f"take 64 2 {MUTEX} 20", "wait", f"free 64 {MUTEX} 100", f"free 64 {MUTEX} 140"]
    found = run(driver, [*events, "report 0 0"])
    assert [line for line in found if "mutex" in line] == [
        "site 1 mutex 1 90 90 1", "site 2 mutex 1 40 40 1",
    ]  # fmt: skip
    assert found[-2:] == ["lost 0", "unmatched 0"]


def test_who_finds_it_free_does_not_wait(driver: Path) -> None:
    events = ["open 0 0", f"take 64 1 {MUTEX} 10", "wait", f"free 64 {MUTEX} 15", "report 0 0"]
    assert run(driver, events) == ["site 1 mutex 1 5 5 1", "lost 0", "unmatched 0"]


def test_a_failed_trylock_is_none(driver: Path) -> None:
    events = [
        "open 0 0", f"take 64 1 {RW_WRITE} 0", f"try 64 2 {RW_WRITE} 5", f"try 64 2 {RW_READ} 6",
        f"free 64 {RW_WRITE} 10", f"try 64 2 {RW_READ} 11", f"try 64 3 {RW_READ} 12",
        f"free 64 {RW_READ} 13", f"free 64 {RW_READ} 14", "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == [
        "site 1 rwsem-write 1 10 10 1", "site 2 rwsem-read 1 3 3 1", "site 3 rwsem-read 1 0 0 1",
        "lost 0", "unmatched 0",
    ]  # fmt: skip


def test_a_release_that_was_not_seen_is_counted_and_adds_nothing(driver: Path) -> None:
    events = [
        "open 0 0", f"take 64 1 {SPIN} 0", f"take 64 2 {SPIN} 5000", f"free 64 {SPIN} 5003",
        "report 0 0",
    ]  # fmt: skip
    assert run(driver, events) == ["site 1 spin 1 0 0 1", "site 2 spin 1 3 3 1", "lost 1",
                                   "unmatched 0"]  # fmt: skip


def test_many_locks_and_places(driver: Path) -> None:
    """Enough for the tables to grow many times while locks are held."""
    draw = random.Random(3)
    wanted: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    objects: dict[int, set[int]] = defaultdict(set)
    held: dict[int, tuple[int, int]] = {}
    by_object: dict[int, int] = defaultdict(int)
    uses: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    events, now = ["open 2 0"], 0
    for _ in range(40000):
        now += draw.randrange(1, 9)
        thing = draw.randrange(1, 9000) * 64
        if thing in held:
            site, begin = held.pop(thing)
            events.append(f"free {thing} {SPIN} {now}")
            row = wanted[site]
            row[1] += now - begin
            row[2] = max(row[2], now - begin)
            by_object[thing] += now - begin
            use = uses[thing, site]
            use[1:] = use[1] + now - begin, max(use[2], now - begin)
        else:
            site = draw.randrange(1, 500)
            held[thing] = site, now
            events.append(f"take {thing} {site} {SPIN} {now}")
            wanted[site][0] += 1
            uses[thing, site][0] += 1
            objects[site].add(thing)
    lines = run(driver, [*events, "report 2 5"])
    sites = [line.split() for line in lines if line.startswith("site")]
    assert {int(word[1], 16): [*map(int, word[3:])] for word in sites} == {
        site: [*row, len(objects[site])] for site, row in wanted.items()
    }
    top = [int(line.split()[1], 16) for line in lines if line.startswith("object")]
    longest = sorted(by_object, key=lambda thing: (-by_object[thing], thing))[:5]
    assert list(dict.fromkeys(top)) == longest
    rows = [line.split() for line in lines if line.startswith("object")]
    assert [(int(row[1], 16), int(row[2], 16), [*map(int, row[4:])]) for row in rows] == [
        (thing, site, uses[thing, site])
        for thing in longest
        for site in sorted(place for of, place in uses if of == thing)
    ]
    assert lines[-2:] == ["lost 0", "unmatched 0"]
