# SPDX-License-Identifier: GPL-2.0-only
"""End-to-end tests use the user's own cache and the network: see `test_compare`."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Stands in for the fixture that cuts unit tests off."""
