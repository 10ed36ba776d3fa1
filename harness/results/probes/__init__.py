# SPDX-License-Identifier: GPL-2.0-only
"""One pure parser per kernel interface: text in, records out.

A probe knows one file's format and nothing of boots, arms or cells.
"""

from __future__ import annotations

from harness.results.probes.record import ProbeError, Record
from harness.results.probes.registry import ProbeOutput, find, parse

__all__ = ["ProbeError", "ProbeOutput", "Record", "find", "parse"]
