# SPDX-License-Identifier: GPL-2.0-only
"""These tests use the user's own cache, and real programs of a cluster."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Stands in for the fixture that cuts unit tests off."""
