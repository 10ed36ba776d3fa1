# SPDX-License-Identifier: GPL-2.0-only
"""What --help says of the studies, without importing them."""

from __future__ import annotations

LORE = "https://lore.kernel.org/all"
"""The server that message-ids are looked up on."""
CALIBRATION_PAIRS = 6
"""A weight of 10 instructions needs more than a verdict about one per cent."""
PROFILE_PAIRS = 1
"""Under the instruction clock a timing boot repeats the figure; it is there to check the totals."""
CALIBRATION_BACKENDS = ("swapfile", "swappart", "zswap", "zram")
OVERHEAD_SIZES = ("640M", "4G", "32G")
"""Of the swap area: one that the fill fills to 40 %, a sparse one, and the claim's own.

From half on (vm_swap_full()) a kernel takes a page's slot back while it is still in memory, so
that a swap file cannot be filled further one chunk after the other.
"""
OVERHEAD_PAIRS = 2
"""Boots of each size: errors come from leaving one out at a time."""
OVERHEAD_FILL = "256M"
OVERHEAD_STEPS = 4
BISECT_MOST_PAIRS = 12
"""Pairs after which a question stays undecided."""
FORMATS = ("text", "markdown", "comment", "csv", "json", "junit")
"""Of a report."""
TRIAGE = ("expected", "culprit", "noise")
"""What can be said of a move."""
DRAFT = "reply.eml"
"""The draft beside manifest.json. It is in no SHA256SUMS, because it names the hash of that."""
BUNDLE_SUFFIX = ".tar.zst"
PROGRAMS = "programs"
"""The folder of a result that has copies of the user's own programs that it ran."""
PLACES = frozenset(("KERNEL_GIT", "MIRROR"))
"""Variables of make that may also be in the environment: where this machine keeps things."""
