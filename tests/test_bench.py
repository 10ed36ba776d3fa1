"""The observer's own cost: measured in pairs, kept, printed by later reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import bench, frames, observer, report, spec
from harness.arms import Site
from harness.errors import UserError
from harness.lore import Desk
from harness.paths import Cache
from harness.report import manifest
from harness.sandbox import OFF
from tests import fake_results
from tests.fake_results import Fake
from tests.fakes.things import Heard, ticket


def site(folder: Path) -> Site:
    return Site(
        cache=Cache(folder / "cache"),
        results=folder,
        progress=Heard(),
        sandbox=OFF,
        desk=Desk(cache=folder, progress=Heard()),
    )


def test_the_effect_is_observed_over_unobserved(tmp_path: Path) -> None:
    # The arm without a sampler is faster by one in a thousand.
    results = fake_results.write(tmp_path, Fake(effect=1 / 1.001, cells=("zram-lz4.pageio",)))
    data = frames.load(results, counters=False)
    (effect,) = bench.effects_of(data, manifest.load(results))
    assert effect.cell == "zram-lz4.pageio" and effect.metric == "swapin_ns"
    assert effect.estimate_pct == pytest.approx(0.1, abs=1e-6)
    assert effect.n == 6
    assert "+0.100 %" in bench.render((effect,), data)


def test_only_the_arm_that_would_be_patched_goes_unobserved(tmp_path: Path) -> None:
    for arm, observed in (("base", True), ("patch", False)):
        assert bench._unobserved(ticket(tmp_path, arm=arm)).observed is observed


@pytest.mark.parametrize("setting", [{"patch": "calibration-in10"}, {"head": "debian/7.3"}])
def test_there_is_nothing_to_compare(tmp_path: Path, setting: dict[str, str]) -> None:
    with pytest.raises(UserError, match="leave PATCH and HEAD out"):
        bench.bench(spec.load(None, setting), site(tmp_path))


def test_what_was_found_is_found_again_for_the_same_kernel_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    place = observer.place(cache, "k", "t", "insn")
    place.parent.mkdir(parents=True)
    item = {"cell": "zram.pageio", "metric": "swapin_ns", "estimate_pct": 0.01, "n": 3}
    place.write_text(json.dumps([item]), encoding="utf-8")
    assert observer.known(cache, kernel="k", tools="t", clock="insn") == (item,)
    for other in ({"kernel": "x"}, {"tools": "x"}, {"clock": "wall"}):
        asked = {"kernel": "k", "tools": "t", "clock": "insn", **other}
        assert observer.known(cache, **asked) == ()
    place.write_text("{", encoding="utf-8")
    assert observer.known(cache, kernel="k", tools="t", clock="insn") == ()


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ([], "not measured for this kernel"),
        (
            [{"cell": "zram.pageio", "metric": "swapin_ns", "estimate_pct": 0.012,
              "low_pct": 0.01, "high_pct": 0.02, "n": 3}],
            "zram.pageio swapin_ns +0.012 % [+0.010, +0.020], n = 3",
        ),
    ],
)  # fmt: skip
def test_the_report_says_it(tmp_path: Path, seen: list[object], text: str) -> None:
    results = fake_results.write(tmp_path, Fake(manifest={"observer": seen}))
    words = (report.write(results) / "report.txt").read_text(encoding="utf-8")
    assert text in " ".join(words.split())


def test_the_footprint_is_the_median_over_boots(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=3, cells=("zram-lz4.pageio",)))
    for kib, boot in enumerate(sorted(results.glob("boots/*/*")), 1000):
        (boot / "footprint").write_text(f"sampler {kib}\nsshd 0\nbad line\n", encoding="utf-8")
    assert observer.footprint(frames.load(results)) == {"sampler": 1002.5 * 1024}
