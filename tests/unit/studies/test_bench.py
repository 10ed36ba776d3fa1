# SPDX-License-Identifier: GPL-2.0-only
"""The observer's own cost: measured in pairs, kept, printed by later reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.build.pair import Context
from harness.experiment import spec
from harness.report import files
from harness.results import frames, observer
from harness.results.pairing import Measurement
from harness.series.mail.lore import MailSource
from harness.studies import bench
from harness.util.errors import UserError
from harness.util.paths import Cache
from harness.util.sandbox import OFF
from harness.vm.boot import Observed
from tests.fakes import results as fake_results
from tests.fakes.results import Fake
from tests.fakes.things import boot_request


def context(folder: Path) -> Context:
    return Context(
        cache=Cache(folder / "cache"), results=folder, sandbox=OFF, mails=MailSource(cache=folder)
    )


def test_each_part_of_the_observing_has_its_effect(tmp_path: Path) -> None:
    # Without a sampler it is faster by one in a thousand; marks alone are as dear as all of it.
    results = fake_results.write(
        tmp_path, Fake(effect=1 / 1.001, aa=True, cells=("zram-lz4.pageio",))
    )
    read = Measurement.load(results)
    reading, marks = bench.effects_of(read)
    for effect in (reading, marks):
        assert effect.cell == "zram-lz4.pageio" and effect.metric == "swapin"
        assert effect.n == 6
    assert (reading.part, marks.part) == tuple(observer.PARTS)
    assert reading.estimate_pct == pytest.approx(0.0, abs=1e-6)
    assert marks.estimate_pct == pytest.approx(0.1, abs=1e-6)
    text = bench.render((reading, marks), read.data)
    assert text.index("Reading") < text.index("+0.000 %") < text.index("Marks")
    assert "+0.100 %" in text and max(map(len, text.splitlines())) <= 72


def test_an_arm_stands_for_how_much_is_watched(tmp_path: Path) -> None:
    arms = {"base": Observed.FULL, "control": Observed.MARKS, "patch": Observed.NONE}
    for arm, observed in arms.items():
        assert bench._watched(boot_request(tmp_path, arm=arm)).observed is observed


@pytest.mark.parametrize("setting", [{"patch": "calibration-in10"}, {"head": "debian/7.3"}])
def test_there_is_nothing_to_compare(tmp_path: Path, setting: dict[str, str]) -> None:
    with pytest.raises(UserError, match="leave PATCH and HEAD out"):
        bench.bench(spec.load(None, setting), context(tmp_path))


def test_what_was_found_is_found_again_for_the_same_kernel_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    place = observer.place(cache, "k", "t", "insn")
    place.parent.mkdir(parents=True)
    item = {"cell": "zram.pageio", "metric": "swapin", "estimate_pct": 0.01, "n": 3}
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
            [{"part": "marks", "cell": "zram.pageio", "metric": "swapin", "estimate_pct": 0.012,
              "low_pct": 0.01, "high_pct": 0.02, "n": 3}],
            "zram.pageio swapin +0.012 % [+0.010, +0.020], n = 3",
        ),
    ],
)  # fmt: skip
def test_the_report_says_it(tmp_path: Path, seen: list[object], text: str) -> None:
    results = fake_results.write(tmp_path, Fake(manifest={"observer": seen}))
    words = (files.make(results).folder / "report.txt").read_text(encoding="utf-8")
    assert text in " ".join(words.split())


def test_the_footprint_is_the_median_over_boots(tmp_path: Path) -> None:
    results = fake_results.write(tmp_path, Fake(pairs=3, cells=("zram-lz4.pageio",)))
    for kib, boot in enumerate(sorted(results.glob("boots/*/*")), 1000):
        (boot / "footprint").write_text(f"sampler {kib}\nsshd 0\nbad line\n", encoding="utf-8")
    assert observer.footprint(frames.load(results)) == {"sampler": 1002.5 * 1024}
