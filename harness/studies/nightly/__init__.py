# SPDX-License-Identifier: GPL-2.0-only
"""New revisions and heads, measured night by night, and their trend.

`trend`, `text`, `plots` and `report` read the history alone; they run nothing and reach no git.
"""
