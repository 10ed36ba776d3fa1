# SPDX-License-Identifier: GPL-2.0-only
"""The memory that swap metadata takes: claimed, modelled and measured.

Only `measure` runs anything; the rest reads the result.
"""
