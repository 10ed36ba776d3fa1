# SPDX-License-Identifier: GPL-2.0-only
"""Comparisons on real engines of a cluster, all on this machine: Slurm, SSH hosts, TLS.

Real guests, a worker and the daemon of a node killed in the middle, and the figures of a run on
this machine alone.  ``make clusters`` installs what it needs.
"""
