"""Patches of known cost, measured to check the scale.

`weights` runs nothing: it holds known costs against the results.
"""
