# SPDX-License-Identifier: GPL-2.0-only
"""What most tests of studies begin with: guests that never run, and a series of two patches."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.pair import Context
from tests.fakes import guests, inbox
from tests.fakes.figures import Guests


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guests:
    return guests.pretend(monkeypatch, tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Tag "one" (also "v6.13") costs 1000, "main" 500 more."""
    repo = guests.series(tmp_path / "linux", ["int costs_1000;", "int costs_500;"])
    for tag in ("one", "v6.13"):
        inbox.git(repo, "tag", tag, "main~1")
    return guests.context(tmp_path, repo)
