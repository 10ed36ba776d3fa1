# SPDX-License-Identifier: GPL-2.0-only
"""A series patch by patch: what each patch changes by itself and what all so far change.

Only `measure` and `trial` run anything; the rest reads the result.
"""
