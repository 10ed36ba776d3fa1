# SPDX-License-Identifier: GPL-2.0-only
"""Faults on purpose, on real guests: what the harness makes of them, row by row.

``faults.yaml`` says what goes wrong and what must hold afterwards, ``table`` reads it.  ``shim``
stands before QEMU and breaks guests; ``room`` is where one row runs, with nothing of its own
outside; ``guests``, ``hosts``, ``ends`` and ``stores`` are the ways to break things; ``matrix``
runs the rows and judges.  The harness under test is the command line itself, unchanged.
"""
