# SPDX-License-Identifier: GPL-2.0-only
"""What every package shares: errors, child processes, files written whole, text made safe to show.

It knows nothing of kernels, swap or measurements, and imports no other package.
"""
