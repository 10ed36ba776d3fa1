# SPDX-License-Identifier: GPL-2.0-only
"""Several kernels compared with one base in one run, by name."""

from __future__ import annotations
