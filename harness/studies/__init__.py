# SPDX-License-Identifier: GPL-2.0-only
"""What a user can ask for: compare, overhead, walk, bisect, revisions, nightly, calibrate, reply.

In each, `measure` runs boots; the other modules read what it left and run nothing.
"""
