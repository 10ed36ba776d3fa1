# SPDX-License-Identifier: GPL-2.0-only
"""The engine that runs boots on the workers of a Dask cluster.

It must not know more of a comparison than the blocks of boots it is given.
"""
