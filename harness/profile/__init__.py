# SPDX-License-Identifier: GPL-2.0-only
"""Where a change comes from: instructions by function, cache misses, locks.

It reads what QEMU's plugins wrote; it boots nothing and knows no report.
"""
