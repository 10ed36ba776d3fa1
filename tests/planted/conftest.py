"""As in tests/e2e: real kernels, the user's own cache and the network."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Stands in for the fixture that cuts unit tests off."""
