# SPDX-License-Identifier: GPL-2.0-only
"""Which patch of a series makes an effect, found in about log2 builds.

`outcome` runs nothing: it words what `measure` found.
"""
