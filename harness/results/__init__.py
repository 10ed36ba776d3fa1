# SPDX-License-Identifier: GPL-2.0-only
"""The raw files of a result, read into typed records and data frames, and their hashes.

It must not run a command, and must not judge a number: `stats` and `report` do.
"""
