# SPDX-License-Identifier: GPL-2.0-only
"""What is to be measured: a spec, its matrix of cells, suites, and the catalogue of workloads.

It must not know how a kernel is built or booted, nor what a result looks like.
"""
