# SPDX-License-Identifier: GPL-2.0-only
"""Patches of known cost, measured to check the scale.

`weights` runs nothing: it holds known costs against the results.
"""
