# SPDX-License-Identifier: GPL-2.0-only
"""Paired estimates, verdicts, the search for a patch, change points and linear fits.

It knows numbers only: no files, no kernels, no words of a report.
"""
