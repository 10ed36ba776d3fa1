# SPDX-License-Identifier: GPL-2.0-only
"""From counts to reasons: in which functions, lines and parts of the kernel a change is.

It runs nothing and reads no kernel: what it needs of both lies in the results folder.
"""
