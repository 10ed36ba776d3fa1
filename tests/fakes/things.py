# SPDX-License-Identifier: GPL-2.0-only
"""Small made-up parts that several tests need: kernels, cells and requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.build.kbuild import Kernel
from harness.experiment import spec
from harness.experiment.cell import Cell
from harness.vm.boot import BootRequest, VmConfig
from harness.vm.guest import Keys
from harness.vm.watch import Deadlines


def kernel(folder: Path, *, key: str = "0123456789abcdef", release: str = "6.12.0") -> Kernel:
    """A published kernel with nothing in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("bzImage", "vmlinux", "System.map", "config"):
        (folder / name).write_text(name, encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"key": key}), encoding="utf-8")
    hashes = (("bzImage", "0" * 64), ("config", "1" * 64))
    return Kernel(key, folder, release, "gcc 1", 1.0, hashes)


def cells(backends: Any = "zram", workloads: str = "pageio") -> tuple[Cell, ...]:
    """The matrix of some back-ends by some workloads."""
    return spec.load(None, {"backends": backends, "workloads": workloads}).cells()


def host(folder: Path, *, deadlines: Deadlines, keys: Keys | None = None) -> VmConfig:
    """A host under TCG with images that are only names."""
    return VmConfig(
        root=folder / "root.img",
        tools=folder / "tools.img",
        keys=keys or Keys(folder / "client_key", folder / "host_key"),
        accel="tcg",
        clock="insn",
        memory=256 << 20,
        cpus=1,
        swap=1 << 20,
        disk="host",
        deadlines=deadlines,
    )


def boot_request(
    folder: Path, *, arm: str = "base", pair: int = 0, backend: Any = "zram"
) -> BootRequest:
    """One boot of pageio."""
    return BootRequest(cells(backend)[0], arm, pair, 0, 7, kernel(folder / f"kernel-{arm}"))
