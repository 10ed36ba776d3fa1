# SPDX-License-Identifier: GPL-2.0-only
"""Several kernels compared with one base in one run, by name.

What a comparison of two arms says is unchanged: each arm has a result of its own below the study.
"""

from __future__ import annotations
