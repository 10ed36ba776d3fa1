# SPDX-License-Identifier: GPL-2.0-only
"""Where patches come from, what they were made on, and the branch with them applied.

It must not build, boot or measure anything.
"""
