# SPDX-License-Identifier: GPL-2.0-only
"""A static site of all results: series, kernels, cells, comparisons.  Reads results, runs nothing.

docs/board.md says what is on it and how its addresses are made.
"""
