# SPDX-License-Identifier: GPL-2.0-only
"""The boots of a comparison: their plan, the engine that runs them, the manifest, the cache limit.

It must not analyse what the boots measured.
"""
