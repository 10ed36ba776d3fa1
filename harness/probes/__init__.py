"""One pure parser per kernel interface: text in, records out."""

from __future__ import annotations

from harness.probes.record import ProbeError, Record
from harness.probes.registry import Parsed, find, parse

__all__ = ["Parsed", "ProbeError", "Record", "find", "parse"]
