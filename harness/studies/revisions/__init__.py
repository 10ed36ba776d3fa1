# SPDX-License-Identifier: GPL-2.0-only
"""All revisions of a series side by side, each on its own base.

`table` runs nothing: it lays out what `measure` collected.
"""
