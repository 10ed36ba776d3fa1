# SPDX-License-Identifier: GPL-2.0-only
"""As in tests/e2e: real kernels, the user's own cache and the network."""

from tests.e2e.conftest import _alone

__all__ = ["_alone"]
