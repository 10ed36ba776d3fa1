# SPDX-License-Identifier: GPL-2.0-only
"""The draft of a mail that answers a series with its measurements.

It sends nothing and measures nothing: it reads sealed results.
"""
