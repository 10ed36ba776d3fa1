# SPDX-License-Identifier: GPL-2.0-only
"""What a comparison's result says: estimates, and the text, page, plots and tables made of them.

It runs nothing: a report is made from the results folder alone.
"""
