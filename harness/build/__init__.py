# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, their own tests and the guest's disk images, made from a tree and a configuration.

It must not boot what it builds.
"""
