# SPDX-License-Identifier: GPL-2.0-only
"""``harness bisect`` over a toy series of twelve patches, really built, of which one costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import spec
from harness.series.model import Step
from harness.stats import paired as stats
from harness.stats.search import Found, Side
from harness.studies import verify
from harness.studies.bisect import measure, outcome
from harness.studies.bisect.outcome import Bisection, Look
from harness.studies.result import StudyResult
from harness.util.errors import Exit, KernelFailure, UserError
from tests.fakes import guests, inbox
from tests.fakes.figures import Guests
from tests.fakes.results import contents

ONE = {"base": "v6.12", "patch": "v6.12..main"}
QUIET = [f"int plain_{n};" for n in range(12)]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guests:
    return guests.pretend(monkeypatch, tmp_path)


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
