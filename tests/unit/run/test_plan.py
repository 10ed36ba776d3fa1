# SPDX-License-Identifier: GPL-2.0-only
"""The plan: balanced, repeatable, resumable."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.build.kbuild import Kernel
from harness.results.console import Outcome
from harness.run import plan
from harness.run.engine import Local
from harness.run.plan import Block
from harness.util.errors import InfraError
from harness.vm import boot
from harness.vm.boot import BootEnd, BootRequest, VmConfig
from harness.vm.watch import Deadlines, Interrupted
from tests.fakes.things import cells, host, kernel

CELLS = cells("swapfile,zswap,zram", "pageio,pressure")
KERNELS = {arm: Kernel(arm, Path(arm), "6.12", "gcc", 1.0, ()) for arm in plan.ARMS}


TWO, ALL = ("base", "patch"), plan.ARMS


def planned(pairs: int = 3, seed: int = 1, arms: tuple[str, ...] = ALL) -> tuple[Block, ...]:
    kernels = {arm: KERNELS[arm] for arm in arms}
    return plan.blocks(CELLS, kernels, pairs=pairs, seed=seed)


@given(st.integers(0, 1 << 40), st.integers(1, 6))
@settings(max_examples=25)
def test_the_same_seed_gives_the_same_plan(seed: int, pairs: int) -> None:
    assert planned(pairs, seed) == planned(pairs, seed)


@given(st.integers(0, 1 << 40), st.sampled_from([TWO, ALL]))
@settings(max_examples=25)
def test_each_pair_has_each_arm_once_and_one_guest_seed(seed: int, arms: tuple[str, ...]) -> None:
    for block in planned(4, seed, arms):
        assert sorted(request.arm for request in block) == sorted(arms)
        assert [request.position for request in block] == list(range(len(arms)))
        assert len({(t.cell.name, t.pair, t.seed) for t in block}) == 1
        assert all(request.kernel is KERNELS[request.arm] for request in block)


def test_every_boot_is_planned_once_in_a_folder_of_its_own() -> None:
    folders = [request.folder for block in planned(5) for request in block]
    expected = {
        f"{cell.name}/{pair:02d}-{arm}" for cell in CELLS for pair in range(5) for arm in plan.ARMS
    }
    assert sorted(folders) == sorted(expected)


def test_cells_are_interleaved() -> None:
    names = [block[0].cell.name for block in planned(4)]
    once = [cell.name for cell in CELLS]
    assert names == once * 4


def test_guest_seeds_differ_between_pairs() -> None:
    seeds = [block[0].seed for block in planned(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 1 << 32 for seed in seeds)


def test_more_pairs_leave_the_first_ones_as_they_were() -> None:
    assert planned(8)[: len(CELLS) * 3] == planned(3)


@pytest.mark.parametrize("arms", [TWO, ALL])
def test_which_arm_goes_first_is_a_fair_draw(arms: tuple[str, ...]) -> None:
    blocks = planned(400, 3, arms)
    firsts = Counter(block[0].arm for block in blocks)
    # 2,400 draws: six standard deviations are at most 147.
    for arm in arms:
        assert abs(firsts[arm] - len(blocks) / len(arms)) < 150
    places = [{t.arm: t.position for t in block} for block in blocks]
    base_first = sum(place["base"] < place["patch"] for place in places)
    assert abs(base_first - len(blocks) / 2) < 150
    orders = {tuple(b[0].arm for b in planned(4, seed, arms)) for seed in range(20)}
    assert len(orders) == 20, "the order varies with the seed"


# Running it


class Boots:
    """Stands for boot.run: writes a result, or fails as told."""

    def __init__(self, *, fail_after: int | None = None, error: Exception | None = None) -> None:
        self.ran: list[str] = []
        self._lock = threading.Lock()
        self._fail_after, self._error = fail_after, error

    def __call__(
        self, request: BootRequest, _: VmConfig, boots: Path, *, stop: threading.Event
    ) -> BootEnd:
        if stop.is_set():
            raise Interrupted
        with self._lock:
            if self._error and len(self.ran) == self._fail_after:
                raise self._error
            self.ran.append(request.folder)
        folder = boots / request.folder
        folder.mkdir(parents=True)
        bad = request.arm == "patch" and request.pair == 1
        outcome = Outcome.PANIC if bad else Outcome.OK
        facts = {"outcome": outcome.value, "detail": "", "is": [request.seed, request.position]}
        (folder / "boot.json").write_text(json.dumps(facts), encoding="utf-8")
        (folder / "qemu.txt").write_text("qemu-system-x86_64\n", encoding="utf-8")
        return BootEnd(request, outcome, "Kernel panic" if bad else "", 0.001, folder)


def go(
    monkeypatch: pytest.MonkeyPatch, folder: Path, boots: Boots, *, workers: int = 2, pairs: int = 2
) -> plan.Run:
    monkeypatch.setattr(boot, "run", boots)
    kernels = {arm: kernel(folder / arm) for arm in TWO}
    todo = plan.blocks(CELLS, kernels, pairs=pairs, seed=1)
    where = host(folder, deadlines=Deadlines())
    return plan.run(todo, where, folder / "boots", engine=Local(workers))


def results(folder: Path) -> dict[str, str]:
    return {
        str(path.parent.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in (folder / "boots").glob("*/*/boot.json")
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_all_boots_run_once_and_failures_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    boots = Boots()
    done = go(monkeypatch, tmp_path, boots, workers=workers)
    assert len(boots.ran) == len(set(boots.ran)) == 24
    assert (done.done, done.kept) == (24, 0)
    assert sorted(text.split(":")[0] for text in done.failed) == sorted(
        f"{cell.name}/01-patch" for cell in CELLS
    )


def test_one_worker_runs_in_the_planned_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = Boots()
    go(monkeypatch, tmp_path, boots, workers=1)
    kernels = {arm: kernel(tmp_path / arm) for arm in TWO}
    order = plan.blocks(CELLS, kernels, pairs=2, seed=1)
    assert boots.ran == [request.folder for block in order for request in block]


@pytest.mark.parametrize("error", [InfraError("no disk"), Interrupted()])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, workers: int
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    go(monkeypatch, whole, Boots())
    broken = Boots(fail_after=5, error=error)
    with pytest.raises(type(error)):
        go(monkeypatch, part, broken, workers=workers)
    assert len(broken.ran) < 24, "the boots that were left did not start"
    before = results(part)
    rest = Boots()
    done = go(monkeypatch, part, rest)
    assert done.kept == len(before) == len(broken.ran)
    assert done.done == 24 - done.kept
    assert not set(rest.ran) & set(broken.ran), "a boot with a result is kept"
    assert results(part) == results(whole)


def test_an_interrupt_by_hand_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ByHand(Boots):
        def __call__(
            self, request: BootRequest, where: VmConfig, boots: Path, *, stop: threading.Event
        ) -> BootEnd:
            if self.ran:
                raise KeyboardInterrupt
            return super().__call__(request, where, boots, stop=stop)

    with pytest.raises(KeyboardInterrupt):
        go(monkeypatch, tmp_path, ByHand(), workers=1)
    assert len(results(tmp_path)) == 1


def test_what_a_killed_run_left_is_swept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "boots" / CELLS[0].name / ".00-base.abc123"
    left.mkdir(parents=True)
    (left / "console.log").write_text("half", encoding="utf-8")
    go(monkeypatch, tmp_path, Boots())
    assert not left.exists()
    assert not list((tmp_path / "boots").rglob(".*"))


def test_a_finished_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(monkeypatch, tmp_path, Boots())
    again = Boots()
    done = go(monkeypatch, tmp_path, again)
    assert again.ran == []
    assert (done.done, done.kept, done.qemu_seconds) == (0, 24, 0.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20)), max_size=12))
def test_busy_seconds_are_the_union_of_the_spans(spans: list[tuple[float, float]]) -> None:
    meter = plan._Meter(total=1, finished=0)
    meter._spans = [(start, start + length) for start, length in spans]
    random.Random(0).shuffle(meter._spans)
    edges = sorted({edge for span in meter._spans for edge in span})
    expected = sum(
        high - low
        for low, high in pairwise(edges)
        if any(start <= low and high <= end for start, end in meter._spans)
    )
    assert meter.busy_seconds() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("clock", "warm"), [("insn", 0), ("wall", 2)])
def test_under_the_wall_clock_each_kernel_is_warmed_up_and_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str, warm: int
) -> None:
    boots = Boots()
    monkeypatch.setattr(boot, "run", boots)
    kernels = {arm: kernel(tmp_path / arm, key=arm) for arm in TWO}
    todo = plan.blocks(CELLS[:1], kernels, pairs=1, seed=1)
    where = replace(host(tmp_path, deadlines=Deadlines()), clock=clock)
    done = plan.run(todo, where, tmp_path / "boots", engine=Local(1))
    assert done.done == 2
    assert len(boots.ran) == 2 + warm
    assert len(results(tmp_path)) == 2
    again = plan.run(todo, where, tmp_path / "boots", engine=Local(1))
    assert (again.done, len(boots.ran)) == (0, 2 + warm), "nothing to boot, nothing to warm up"


@pytest.mark.parametrize(("clock", "most"), [("insn", 2), ("wall", 1)])
def test_the_boots_of_a_pair_run_side_by_side_where_no_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str, most: int
) -> None:
    met = threading.Event()

    class Counting(Boots):
        running = reached = 0

        def __call__(
            self, request: BootRequest, where: VmConfig, boots: Path, *, stop: threading.Event
        ) -> BootEnd:
            with self._lock:
                self.running += 1
                self.reached = max(self.reached, self.running)
                if self.reached == 2:
                    met.set()
            met.wait(10 if most == 2 else 0.2)
            try:
                return super().__call__(request, where, boots, stop=stop)
            finally:
                with self._lock:
                    self.running -= 1

    boots = Counting()
    monkeypatch.setattr(boot, "run", boots)
    kernels = {arm: kernel(tmp_path / arm, key=arm) for arm in TWO}
    todo = plan.blocks(CELLS[:1], kernels, pairs=1, seed=1)
    where = replace(host(tmp_path, deadlines=Deadlines()), clock=clock)
    plan.run(todo, where, tmp_path / "boots", engine=Local(2))
    assert boots.reached == most
    assert len(results(tmp_path)) == 2


def test_profile_boots_repeat_the_first_pair_without_its_control(tmp_path: Path) -> None:
    kernels = {arm: kernel(tmp_path / arm) for arm in plan.ARMS}
    made = plan.blocks(cells("zram,zswap"), kernels, pairs=2, seed=1)
    extra = plan.instrumented(made, ["profile"])
    folders = [one.folder for block in extra for one in block]
    assert sorted(folders) == [
        f"{name}.pageio/00-{arm}.profile" for name in ("zram", "zswap") for arm in ("base", "patch")
    ]
    twins = {one.folder: one for block in made for one in block}
    for one in (one for block in extra for one in block):
        twin = twins[one.folder.removesuffix(".profile")]
        assert one == replace(twin, instrument="profile"), "the same seed and place in the pair"
    assert plan.instrumented(made, []) == []


def test_plugins_that_read_memory_know_that_of_one_node(tmp_path: Path) -> None:
    kernels = {arm: kernel(tmp_path / arm) for arm in plan.ARMS}
    made = plan.blocks(cells("zram:numa=1+2+memoryless"), kernels, pairs=1, seed=1)
    found = {
        one.folder for block in plan.instrumented(made, ["profile", "caches"]) for one in block
    }
    booted = {folder.partition(".pageio/00-base.")[::2] for folder in found if "-base." in folder}
    assert booted == {
        ("zram-1", "profile"), ("zram-1", "caches"),
        ("zram-2", "profile"),
        ("zram-memoryless", "profile"), ("zram-memoryless", "caches"),
    }  # fmt: skip


# Several arms


def names_of(block: Block) -> dict[str, BootRequest]:
    return {one.home if one.arm == "patch" else one.arm: one for one in block}


def of_one(*names: str) -> dict[str, str]:
    """Arms that have one base."""
    return dict.fromkeys(names, "base")


@given(st.integers(0, 1 << 40))
@settings(max_examples=25)
def test_a_block_of_arms_has_each_once_with_the_guest_seed_of_a_comparison(seed: int) -> None:
    own = planned(4, seed)
    arms = plan.interleaved({"a": own, "b": own, "c": own}, of_one("a", "b", "c"), seed=seed)
    assert arms == plan.interleaved(
        {"a": own, "b": own, "c": own}, of_one("a", "b", "c"), seed=seed
    )
    for block, alone in zip(arms, own, strict=True):
        assert set(names_of(block)) == {"base", "control", "a", "b", "c"} and len(block) == 5
        assert [one.position for one in block] == list(range(5))
        assert {(one.cell.name, one.pair, one.seed) for one in block} == {
            (alone[0].cell.name, alone[0].pair, alone[0].seed)
        }
        assert {one.home for one in block if one.arm != "patch"} == {"a"}
    for name in "abc":
        mine = plan.of_arm(arms, name, own, of_one("a", "b", "c"))
        assert [sorted(one.folder for one in block) for block in mine] == [
            sorted(one.folder for one in block) for block in own
        ]


def test_the_order_of_arms_is_not_always_the_same() -> None:
    own = planned(8)
    arms = plan.interleaved({"a": own, "b": own}, of_one("a", "b"), seed=1)
    places = Counter(names_of(block)["b"].position for block in arms)
    assert set(places) == {0, 1, 2, 3} and max(places.values()) < len(arms) / 2


def test_an_arm_that_has_no_kernel_leaves_the_places_of_the_others() -> None:
    own = planned(3)
    whole = plan.interleaved({"a": own, "b": own}, of_one("a", "b"), seed=1)
    lacking = plan.interleaved({"b": own}, of_one("a", "b"), seed=1)
    for one, other in zip(whole, lacking, strict=True):
        left = {name: request.position for name, request in names_of(one).items() if name != "a"}
        assert {name: one.position for name, one in names_of(other).items()} == left
        assert {one.home for one in other} == {"b"}


def test_a_cell_that_one_arm_cannot_run_has_the_others() -> None:
    own = planned(2)
    few = tuple(block for block in own if block[0].cell.name == "zram.pageio")
    arms = plan.interleaved({"a": few, "b": own}, of_one("a", "b"), seed=1)
    assert len(arms) == len(own)
    for block in arms:
        found = set(names_of(block))
        assert found == {"base", "control", "b"} | (
            {"a"} if block[0].cell.name == "zram.pageio" else set()
        )
        home = "a" if "a" in found else "b"
        assert names_of(block)["base"].home == home
    assert all(plan.of_arm(arms, "b", own, of_one("a", "b"))) and not any(
        block
        for block in plan.of_arm(arms, "a", few, of_one("a", "b"))
        if block and block[0].cell.name != "zram.pageio"
    )


def test_arms_of_two_bases_have_each_its_own_and_a_control() -> None:
    own = planned(4)
    bases = {"gcc": "base", "layout": "base", "clang": "base-clang"}
    arms = plan.interleaved(dict.fromkeys(bases, own), bases, seed=1)
    for block in arms:
        assert sorted(one.position for one in block) == list(range(7))
        assert Counter(one.arm for one in block) == {"patch": 3, "base": 2, "control": 2}
        assert {one.home for one in block if one.arm == "base"} == {"gcc", "clang"}
    for name in bases:
        mine = plan.of_arm(arms, name, own, bases)
        assert all(
            sorted(one.arm for one in block) == ["base", "control", "patch"] for block in mine
        )
    places = [
        {one.folder: one.position for block in plan.of_arm(arms, name, own, bases) for one in block}
        for name in bases
    ]
    of_base = [folder for folder in places[0] if "patch" not in folder]
    assert [places[0][one] for one in of_base] == [places[1][one] for one in of_base]
    assert [places[0][one] for one in of_base] != [places[2][one] for one in of_base]
