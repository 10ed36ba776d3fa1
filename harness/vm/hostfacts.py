# SPDX-License-Identifier: GPL-2.0-only
"""What a result says of the machine that ran its guests."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.util.errors import InfraError, UserError
from harness.vm import accel


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One machine: its name in results, CPU model, running kernel, QEMU's version line.

    The name is a hash of what the machine calls itself, because results are mailed around;
    HARNESS_HOST gives it another one.
    """

    name: str
    cpu: str
    kernel: str
    qemu: str


@cache
def here() -> HostFacts:
    """This machine, asked once.  Raises UserError for a HARNESS_HOST that is no name."""
    try:
        qemu = accel.qemu_version()
    except InfraError:  # then no guest runs here, which is said where one is started
        qemu = "none"
    return HostFacts(_name(), cpu_model(), platform.release(), qemu)


def cpu_model() -> str:
    """The CPU as /proc/cpuinfo names it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _name() -> str:
    given = os.environ.get("HARNESS_HOST", "")
    if given:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", given):
            raise UserError(
                f"HARNESS_HOST is '{given}'; letters, digits, '.', '_' and '-' only, 63 at most"
            )
        return given
    machine = Path("/etc/machine-id")
    known = machine.read_text(encoding="utf-8").strip() if machine.is_file() else ""
    return f"host-{hashlib.sha256(f'{known} {platform.node()}'.encode()).hexdigest()[:8]}"
