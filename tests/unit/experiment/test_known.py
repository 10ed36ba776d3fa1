# SPDX-License-Identifier: GPL-2.0-only
"""Known failures: what ships can be matched by a boot, and each holds for its kernels alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import catalogue, workload
from harness.experiment.known import KnownFailure
from harness.results.console import Outcome
from harness.results.manifest import WorkloadFacts
from harness.util import yamlfile
from harness.util.paths import REPO

KNOWN = {"outcome": "guest-oom", "backends": ["zswap"], "kernels": ">=7.3,<7.4", "reason": "why"}


def made(**changes: Any) -> KnownFailure:
    return yamlfile.check({**KNOWN, **changes}, KnownFailure, "test")


@pytest.mark.parametrize(
    ("backend", "version", "outcome", "holds"),
    [
        ("zswap", "7.3.4", "guest-oom", True),
        ("zswap", "7.3-rc1", "guest-oom", True),
        ("zswap", "7.4", "guest-oom", False),
        ("zswap", "6.12.118", "guest-oom", False),
        ("zram", "7.3.4", "guest-oom", False),
        ("zswap", "7.3.4", "panic", False),
        ("zswap", "unknown", "guest-oom", False),
    ],
)
def test_it_holds_for_its_back_ends_kernels_and_outcome(
    backend: str, version: str, outcome: str, holds: bool
) -> None:
    assert made().holds(backend=backend, version=version, outcome=outcome) is holds


def test_without_back_ends_it_holds_over_all() -> None:
    one = made(backends=None)
    assert one.holds(backend="brd", version="7.3", outcome="guest-oom")
    assert one.sentence == "guest-oom on kernels >=7.3,<7.4: why"


def test_each_that_ships_names_an_outcome_that_there_is() -> None:
    for name in workload.names():
        for known in workload.load(name).definition.known_failures:
            assert known.outcome in set(Outcome) - {Outcome.OK}, name


def test_the_listing_tells_each() -> None:
    text = " ".join(catalogue.listing().split())
    for name in workload.names():
        for known in workload.load(name).definition.known_failures:
            assert f"known to fail: {known.sentence}" in text


def test_a_manifest_keeps_it() -> None:
    data = workload.load("refault").data
    written = WorkloadFacts.model_validate(data).model_dump(mode="json")
    read = WorkloadFacts.tolerant(json.loads(json.dumps(written)))
    assert read.known_failures == workload.load("refault").definition.known_failures != ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kernels": "7.3"},
            "known_failures, entry 1: 'kernels': '7.3' is not a version condition",
        ),
        ({"backends": ["zswp"]}, "there is no back-end 'zswp'; did you mean 'zswap'?"),
        ({"reason": " "}, "'reason' is ' '; it must be a text that is not empty"),
        ({"why": "so"}, "unknown key 'why'"),
    ],
)
def test_a_wrong_one_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    shutil.copytree(REPO / "workloads" / "memhog", tmp_path / "memhog")
    path = tmp_path / "memhog/workload.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["known_failures"] = [{**KNOWN, **changes}]
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    (found,) = catalogue.check(folder=tmp_path)
    assert message in found
