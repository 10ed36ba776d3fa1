# SPDX-License-Identifier: GPL-2.0-only
"""A Dask worker whose guests never run: `preload` of a LocalCluster's workers, each its own host.

HARNESS_TEST_FOLDER is where their caches lie and what they booted is written down; a boot takes
HARNESS_TEST_SECONDS.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from harness.vm import accel, boot, hostfacts
from harness.vm.accel import Accelerator
from harness.vm.boot import BootEnd, BootRequest, VmConfig
from harness.vm.watch import Interrupted
from tests.fakes.figures import Guests

QEMU = "QEMU emulator version 7.2.0"


class Slow(Guests):
    """Guests that take their time, and can be told to end."""

    def __call__(
        self, request: BootRequest, host: VmConfig, boots: Path, *, stop: threading.Event
    ) -> BootEnd:
        for path in (host.root_for(request.cell), host.tools, host.keys.client, host.keys.host):
            assert path.read_bytes(), "all that a guest needs is on its host"
        log = Path(os.environ["HARNESS_TEST_FOLDER"]) / f"{hostfacts.here().name}.log"
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()} {request.folder}\n")
        if stop.wait(float(os.environ["HARNESS_TEST_SECONDS"])):
            with log.open("a", encoding="utf-8") as stream:
                stream.write(f"{os.getpid()} interrupted\n")
            raise Interrupted
        return super().__call__(request, host, boots, stop=stop)


def pretend() -> None:
    """Replace in this process what needs QEMU."""
    accel.qemu_version = lambda: QEMU
    accel.choose = lambda *_, **__: Accelerator("tcg", "because")
    boot.run = Slow(0.0002)
    hostfacts.here.cache_clear()


def dask_setup(worker: Any) -> None:
    """Called by Dask in each new worker process."""
    if os.environ.get("HARNESS_TEST_NAMED"):  # by who started it, in HARNESS_HOST
        name = os.environ["HARNESS_HOST"]
    else:
        name = f"host{worker.name}"
    os.environ["HARNESS_HOST"] = name
    os.environ["XDG_CACHE_HOME"] = str(Path(os.environ["HARNESS_TEST_FOLDER"]) / name)
    pretend()
