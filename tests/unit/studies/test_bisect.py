# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect`` over a toy series of twelve patches, really built, of which one costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import spec
from harness.series.model import Step
from harness.stats import paired as stats
from harness.stats.search import Found, Side
from harness.studies import verify
from harness.studies.bisect import measure, outcome
from harness.studies.bisect.model import Bisection, Counts, Look
from harness.studies.result import StudyResult
from harness.util.errors import Exit, KernelFailure, UserError
from tests.fakes import guests, inbox
from tests.fakes.figures import Guests
from tests.fakes.results import contents

ONE = {"base": "v6.12", "patch": "v6.12..main"}
QUIET = [f"int plain_{n};" for n in range(12)]


def run(tmp_path: Path, patches: list[str], metric: str = "swapin") -> StudyResult:
    repo = tmp_path / "linux"
    if not repo.exists():
        guests.series(repo, patches)
    return measure.bisect(spec.load(None, ONE), metric, guests.context(tmp_path, repo))


def test_one_costly_patch_of_twelve(tmp_path: Path, fake: Guests) -> None:
    patches = [*QUIET]
    patches[7] = "int costs_300;"
    patches[5] = "int broken("  # 6 is the first that is asked for, and does not build
    patches[6] = "-int broken("
    done = run(tmp_path, patches)
    data = json.loads((done.folder / "bisect.json").read_text())
    assert done.status is Exit.OK
    assert data["culprit"]["number"] == 8 and data["culprit"]["subject"] == "mm: step 8"
    assert [look["step"]["number"] for look in data["looks"]] == [6, 5, 8, 7]
    assert [look["side"] for look in data["looks"]] == ["skip", "base", "series", "base"]
    assert data["own"]["estimate_pct"] == pytest.approx(3, abs=0.2)
    assert data["share"] == pytest.approx(1, abs=0.05)
    # The whole series and the three that build: three boots each, and six of the base.
    assert data["builds"] == 5
    assert data["boots"] == len(fake.ran) == 3 * (2 + 4)
    words = " ".join(done.text.split())
    assert 'Patch 8 is the first responsible: "mm: step 8"' in words
    assert "5 patched kernels were built or tried" in words and "18 boots run" in words
    head = done.text.partition("The patches that were tested")[0]
    assert "Patch 8 is the first responsible" in head, "the answer comes first"
    assert done.text.isascii() and max(map(len, done.text.splitlines())) <= 72
    # What it recorded is enough to write the text again, and to see that a record was changed.
    assert outcome.make(done.folder).text == done.text
    assert verify.verify(done.folder).holds
    record = done.folder / "bisect.json"
    whole = record.read_text()
    record.write_text(whole.replace('"subject": "mm: step 8"', '"subject": "mm: step 9"'))
    found = verify.verify(done.folder)
    assert [item.place for item in found.recorded] == ["bisect.json"]
    assert {item.place.split()[0] for item in found.derived} == {"bisect.txt"}
    assert all(part.holds for part in found.parts) and len(found.parts) == 4
    record.write_text(whole)
    # Asked again, nothing is left to do.
    again = run(tmp_path, patches)
    assert again.text == done.text and len(fake.ran) == 18


def test_a_refused_search_changes_nothing(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", ["int a;", "int costs_300;", "int c;"])
    context = guests.context(tmp_path, repo)
    one = spec.load(None, {**ONE, "name": "mine"})
    done = measure.bisect(one, "swapin", context)
    before, ran = contents(context.results), len(fake.ran)
    with pytest.raises(UserError, match="holds a search for swapin"):
        measure.bisect(one, "swapout", context)
    with pytest.raises(UserError, match=r"cell zram\.pageio \(only there\) and 1 more cells"):
        measure.bisect(one.changed(backends=("zswap",)), "swapin", context)
    file = repo / "mm/page.c"
    file.write_text(f"{file.read_text()}int d;\n")
    inbox.git(repo, "commit", "-q", "-a", "--amend", "-m", "mm: another third patch\n\nBecause.")
    with pytest.raises(UserError, match="differs from this run in the patched kernel"):
        measure.bisect(one, "swapin", context)
    assert contents(context.results) == before and len(fake.ran) == ran
    assert verify.verify(done.folder).holds


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    guests.name_functions(monkeypatch)


@pytest.mark.parametrize(
    ("metric", "what", "whole"),
    [
        ("function:swap_read_folio", "the instructions of swap_read_folio()", "10000.0 to 10340.0"),
        # It is inlined, so it has no symbol.
        ("function:swap_calibration_burn", "of swap_calibration_burn()", "10000.0 to 10340.0"),
        ("lock:swap_read_folio", "locks that swap_read_folio() takes", "5000.0 to 5170.0"),
    ],
)
def test_a_function_or_a_lock_is_searched_with_one_boot_a_kernel(
    tmp_path: Path, fake: Guests, named: None, metric: str, what: str, whole: str
) -> None:
    patches = [*QUIET[:4]]
    patches[1] = "int costs_40;"
    patches[2] = "int costs_300;"
    done = run(tmp_path, patches, metric)
    data = json.loads((done.folder / "bisect.json").read_text())
    assert done.status is Exit.OK, done.text
    assert data["culprit"]["number"] == 3 and data["metric"] == metric
    assert [(look["step"]["number"], look["side"]) for look in data["looks"]] == [
        (2, "base"), (3, "series"),
    ]  # fmt: skip
    assert data["share"] == pytest.approx(300 / 340)
    words = " ".join(done.text.split())
    assert what in words and f"from {whole}" in words and "88 % of the whole effect" in words
    assert done.text.isascii() and max(map(len, done.text.splitlines())) <= 72
    # A timing boot and one under the plugin, of three kernels and the base.
    plugin = "locks" if metric.startswith("lock") else "profile"
    assert len(fake.ran) == 2 * 4 == data["boots"]
    assert sum(one.endswith(f".{plugin}") for one in fake.ran) == 4
    assert outcome.make(done.folder).text == done.text
    assert verify.verify(done.folder).holds
    asked = yaml.safe_load((done.folder / "spec.yaml").read_text())
    assert asked["metric"] == metric and not {"profile", "most_pairs"} & asked.keys()
    assert run(tmp_path, patches, metric).text == done.text and len(fake.ran) == 8


def test_a_count_that_hardly_changes_is_nothing_to_search_for(
    tmp_path: Path, fake: Guests, named: None
) -> None:
    """0.5 % of 10,000 is what a count may change by itself, at either end."""
    done = run(tmp_path, ["int a;", "int costs_100;"], "function:swap_read_folio")
    assert done.status is Exit.UNDECIDED
    words = " ".join(done.text.split())
    assert "Nothing to search for" in words and "10000.0 to 10100.0, +100.0" in words


def test_a_count_near_halfway_is_undecided() -> None:
    counts = Counts("x", "swapin", "page", 100.0, 1.0, {1: 150.9, 2: 151.1, 3: 148.9, 4: 200.0})
    assert [counts.side(number, 4) for number in (1, 2, 3)] == [Side.SKIP, Side.SERIES, Side.BASE]
    down = Counts("x", "swapin", "page", 200.0, 1.0, {1: 120.0, 2: 180.0, 4: 100.0})
    assert [down.side(number, 4) for number in (1, 2)] == [Side.SERIES, Side.BASE]


def test_a_function_that_does_not_run_is_refused_with_those_near_it(
    tmp_path: Path, fake: Guests, named: None
) -> None:
    with pytest.raises(
        UserError, match=r"no function 'swap_red_folio' runs in zram\.pageio"
    ) as one:
        run(tmp_path, ["int costs_300;"], "function:swap_red_folio")
    assert "near it: swap_read_folio" in str(one.value) and "functions.csv" in str(one.value)
    with pytest.raises(
        UserError, match=r"takes a lock in .*near it: swap_read_folio; .*locks\.csv"
    ):
        run(tmp_path, ["int costs_300;"], "lock:swap_read_foli")


@pytest.mark.parametrize("metric", ["func:x", "function:", ":x"])
def test_another_kind_of_metric_is_refused_before_anything_runs(
    tmp_path: Path, fake: Guests, metric: str
) -> None:
    with pytest.raises(UserError, match="give a metric of a workload, function:NAME, or lock:NAME"):
        run(tmp_path, ["int a;"], metric)
    assert not fake.ran and not (tmp_path / "results").exists()


def _former(found: Bisection) -> dict[str, Any]:
    """bisect.json as schema 1 had it."""

    def change(one: stats.Paired | None) -> dict[str, Any] | None:
        if one is None:
            return None
        bounds = {"low_pct": one.low_pct, "high_pct": one.high_pct}
        return {"n": one.n, "pct": one.estimate_pct, **bounds, "method": one.method}

    return {
        "schema": 1, "name": found.name, "command": found.command, **found.facts,
        "version": "6.12", "title": "X", "count": len(found.steps),
        "cell": found.cell, "metric": found.metric, "level": found.level,
        "whole": change(found.whole), "own": change(found.own), "share": found.share,
        "suspects": list(found.found.suspects) if found.found else [],
        "culprit": asdict(found.culprit) if found.culprit else None,
        "looks": [
            {**asdict(one.step), "side": one.side.value, "change": change(one.change),
             "halfway": change(one.halfway), "why": one.why}
            for one in found.looks
        ],
        "builds": found.builds, "boots": found.boots,
    }  # fmt: skip


@pytest.mark.parametrize("where", [Found(1, 2, ()), Found(1, 4, ((2, Side.SKIP),)), None])
def test_a_record_of_schema_1_gives_the_same_text(tmp_path: Path, where: Found | None) -> None:
    found = bisection(where, 1.1)
    (tmp_path / "bisect.json").write_text(json.dumps(_former(found)))
    assert outcome.make(tmp_path).text == outcome.render(found)


def test_no_effect_is_no_culprit(tmp_path: Path, fake: Guests) -> None:
    done = run(tmp_path, QUIET[:2])
    assert done.status is Exit.UNDECIDED
    assert "Nothing to search for" in done.text and "12 pairs" in done.text
    assert len(fake.ran) == 3 * 12


def test_a_series_that_does_not_survive_is_the_kernels_failure(
    tmp_path: Path, fake: Guests
) -> None:
    with pytest.raises(KernelFailure, match="no boot of the base, or none of the whole series"):
        run(tmp_path, ["int panics;"])
    assert fake.ran


def test_which_cell_is_looked_at() -> None:
    one = measure.aimed(spec.load(None, ONE), "swapin")
    assert [cell.name for cell in one.cells()] == ["zram.pageio"]
    chosen = spec.load(None, {**ONE, "backends": "zswap", "name": "mine"})
    assert measure.aimed(chosen, "swapin").cells()[0].name == "zswap.pageio"
    assert measure.aimed(chosen, "swapin").title == "mine"
    with pytest.raises(UserError, match=r"'swapn_ns'.*did you mean 'swapin'"):
        measure.aimed(chosen, "swapn_ns")
    two = chosen.changed(backends=("zram", "zswap"))
    with pytest.raises(UserError, match=r"zram\.pageio, zswap\.pageio.*BACKENDS="):
        measure.aimed(two, "swapin")


def bisection(found: Found | None, own: float) -> Bisection:
    steps = tuple(Step(n, f"mm: step {n}", f"{n}" * 40) for n in range(1, 5))
    ten = stats.paired([100.0, 100.1], [110.0, 110.1])
    part = stats.paired([100.0, 100.1], [100 * own, 100.1 * own])
    look = Look.skipped(steps[1], "it does not build")
    facts = {"base": "v6.12", "series": "x"}
    return Bisection(
        "n", "make bisect", facts, "zram.pageio", "swapin", 0.99, ten, steps, found, part,
        (look,), 3, 9,
    )  # fmt: skip


def test_a_spread_effect_is_not_blamed_on_one_patch() -> None:
    found = bisection(Found(1, 2, ()), 1.02)
    assert found.culprit and found.culprit.number == 2
    assert "the effect is spread over several patches" in " ".join(outcome.render(found).split())
    alone = bisection(Found(1, 2, ()), 1.1)
    assert "spread over" not in outcome.render(alone)


def test_what_is_left_is_said() -> None:
    found = bisection(Found(1, 4, ((2, Side.SKIP),)), 1.1)
    assert found.culprit is None
    words = " ".join(outcome.render(found).split())
    assert "one of the patches 2 to 4" in words and "it does not build" in words
    assert outcome.as_data(found)["suspects"] == [2, 3, 4]
