# SPDX-License-Identifier: GPL-2.0-only
"""Evaluation harness for Linux kernel patches that change swapping."""

__version__ = "0.2.0"
