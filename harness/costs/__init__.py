# SPDX-License-Identifier: GPL-2.0-only
"""What instructions cost: cache misses, estimated cycles, locks.

It reads what QEMU's plugins wrote; it boots nothing and knows no report.
"""
