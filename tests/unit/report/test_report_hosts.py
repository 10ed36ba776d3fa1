# SPDX-License-Identifier: GPL-2.0-only
"""Boots of several hosts in one report: each host's noise, and what is said when one differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.report import analysis, hosts
from harness.report.model import Report
from harness.results import frames, manifest
from tests.fakes.results import Fake, write


def name_hosts(results: Path, host_of: Callable[[int, str], str]) -> None:
    """Write into each boot which host ran it."""
    for path in results.glob("boots/*/*/boot.json"):
        pair, _, arm = path.parent.name.partition("-")
        facts = json.loads(path.read_text())
        name = host_of(int(pair), arm)
        facts["host"] = {"name": name, "cpu": f"cpu of {name}", "kernel": "6.1", "qemu": "QEMU 7"}
        path.write_text(json.dumps(facts))


def scale(results: Path, factor: Callable[[int, str], float]) -> None:
    """Multiply the metrics of boots by a factor of (pair, arm)."""
    for path in results.glob("boots/*/*/workload.jsonl"):
        pair, _, arm = path.parent.name.partition("-")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if line["type"] == "metric":
                line["value"] *= factor(int(pair), arm)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def report(results: Path) -> Report:
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def lines(results: Path) -> dict[str, str]:
    return {
        label: text
        for label, text in report(results).facts.machine
        if label.startswith(("Host ", "Hosts", "Pairs on"))
    }


def two(pair: int, _: str) -> str:
    return f"h{pair % 2}"


def test_one_host_is_not_worth_a_word(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(aa=True))
    before = report(results)
    assert not lines(results)
    name_hosts(results, lambda pair, arm: "h0")
    assert not lines(results)
    assert report(results).primary == before.primary


def test_each_host_has_its_facts_and_its_noise(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=8, aa=True, scatter=0.001))
    name_hosts(results, two)
    found = lines(results)
    assert set(found) == {"Host h0", "Host h1", "Hosts compared"}
    assert found["Host h0"].startswith("cpu of h0, Linux 6.1, QEMU 7; 24 boots, 8 whole pairs; A/A")
    assert "zram-lz4.pageio" in found["Host h1"] and "(n 4)" in found["Host h1"]
    assert "no difference in noise or effect beyond chance (4 tests" in found["Hosts compared"]


def test_the_last_digit_of_a_change_tells_no_hosts_apart() -> None:
    low, high = 0.3, 0.1 + 0.2
    for how in ("kruskal", "levene"):
        assert hosts._p({"h0": [low] * 30, "h1": [high] * 30}, how) is None
        noisy = {"h0": [low, high] * 20, "h1": [low] * 40}
        assert hosts._p(noisy, how) is None
    # Ties stay ties beside values that differ.
    apart = {"h0": [0.3, 0.3, 0.3, 0.9], "h1": [high, high, high, 0.1]}
    tied = {"h0": [0.3, 0.3, 0.3, 0.9], "h1": [0.3, 0.3, 0.3, 0.1]}
    assert hosts._p(apart, "kruskal") == hosts._p(tied, "kruskal")


def test_a_host_with_another_effect_is_named(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=24, aa=True, scatter=0.001))
    name_hosts(results, two)
    scale(results, lambda pair, arm: 1.05 if pair % 2 and arm == "patch" else 1.0)
    said = lines(results)["Hosts compared"]
    assert said.count("DIFFER in the effect of") == 2 and "the noise" not in said
    assert "h0 +10" in said and "h1 +15" in said


def test_a_host_with_another_noise_is_named(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=40, aa=True, scatter=0.0005))
    name_hosts(results, two)
    scale(results, lambda pair, arm: 1 + 0.05 * (pair % 4 - 2) * (pair % 2) * (arm == "control"))
    assert "DIFFER in the noise of" in lines(results)["Hosts compared"]


def test_a_host_that_is_slower_in_all_boots_differs_in_nothing(tmp_path: Path) -> None:
    """Which is what pairs are for."""
    results = write(tmp_path, Fake(pairs=24, aa=True, scatter=0.001))
    plain = [row.change.estimate_pct or 0.0 for row in report(results).primary]
    name_hosts(results, two)
    scale(results, lambda pair, _: 3.0 if pair % 2 else 1.0)
    assert "no difference" in lines(results)["Hosts compared"]
    changed = [row.change.estimate_pct or 0.0 for row in report(results).primary]
    assert all(abs(one - other) < 1e-9 for one, other in zip(plain, changed, strict=True))


def test_a_torn_pair_is_named_and_in_no_hosts_noise(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=8, aa=True))
    name_hosts(results, lambda pair, arm: "h0" if pair == 3 and arm == "base" else two(pair, arm))
    found = lines(results)
    assert found["Pairs on two hosts"].startswith("2 (zram-lz4.pageio 03, zswap-lz4.pageio 03)")
    assert "(n 3)" in found["Host h1"]


def test_few_pairs_say_that_nothing_can_be_said(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=4, aa=True))
    name_hosts(results, two)
    assert "nothing can be said" in lines(results)["Hosts compared"]


def test_a_host_that_is_none_is_no_error(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=2))
    for path in results.glob("boots/*/*/boot.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"host": ["\x1b", 1]}))
    assert hosts.gather(frames.load(results), []) == ()
