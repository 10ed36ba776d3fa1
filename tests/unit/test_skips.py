# SPDX-License-Identifier: GPL-2.0-only
"""A test that is skipped in CI fails unless tests/skips.yaml lists it with its reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from harness.util.paths import REPO
from tests.conftest import SKIPS

TESTS = """
import pytest

def test_runs():
    assert True

@pytest.mark.skip(reason="no reason")
def test_does_not():
    assert False

@pytest.mark.skip(reason="listed")
def test_may_not():
    assert False
"""
MODULE = "import pytest\npytest.importorskip('a_module_that_nobody_has')\n"


def run(folder: Path, *, ci: bool) -> str:
    """What pytest prints for a folder with skips, under our conftest."""
    (folder / "test_some.py").write_text(TESTS)
    (folder / "test_module.py").write_text(MODULE)
    (folder / "skips.yaml").write_text(
        yaml.safe_dump({"test_some.py::test_may_not": {"skip": "listed", "why": "it may"}})
    )
    (folder / "conftest.py").write_text((REPO / "tests" / "conftest.py").read_text())
    env = {key: value for key, value in os.environ.items() if key != "CI"}
    env |= {"PYTHONPATH": str(REPO)} | ({"CI": "true"} if ci else {})
    argv = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
    argv += ["--continue-on-collection-errors", "."]
    return subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, check=False
    ).stdout


def test_a_skip_is_a_failure_in_ci_unless_it_is_listed(tmp_path: Path) -> None:
    said = run(tmp_path, ci=True)
    assert "not listed in skips.yaml: no reason" in said
    assert "not listed in skips.yaml: could not import 'a_module_that_nobody_has'" in said
    assert "listed in skips.yaml: listed" not in said


def test_elsewhere_it_is_a_skip(tmp_path: Path) -> None:
    said = run(tmp_path, ci=False)
    assert "1 passed, 3 skipped" in said


def test_each_entry_says_why_and_names_a_test_that_is_there() -> None:
    data = yaml.safe_load(SKIPS.read_text(encoding="utf-8"))
    for test, item in data.items():
        file, _, name = test.partition("::")
        text = (REPO / file).read_text(encoding="utf-8")
        assert set(item) == {"skip", "why"} and item["skip"] in text
        assert not name or f"def {name}(" in text
