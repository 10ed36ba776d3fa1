# SPDX-License-Identifier: GPL-2.0-only
"""The command line: sub-commands, their options and the exit status.

It computes nothing itself: each handler calls one study and prints what it returns.
"""
