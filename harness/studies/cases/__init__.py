# SPDX-License-Identifier: GPL-2.0-only
"""``make cases``: public reports run again on any kernels.  Must not know how a guest is booted.

Only `measure` and `trial` run anything.
"""
