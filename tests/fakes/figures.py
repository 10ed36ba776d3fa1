# SPDX-License-Identifier: GPL-2.0-only
"""A boot's figures, read off the kernel that was built for it: what `guests` stands on.

Apart from it because a worker of a cluster imports it, and need not import what makes reports.
"""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from harness.results import checksums
from harness.results.console import Outcome
from harness.vm.boot import BootEnd, BootRequest, VmConfig

SWAPIN = 10_000.0
_DETAILS = {
    Outcome.OK: "",
    Outcome.PANIC: "Kernel panic",
    Outcome.UNPROVEN: "no proof that it ran",
}


@dataclass
class Guests:
    """Stands for boot.run. sd: relative noise of one boot; ran: the boots that were run.

    unproven: the arms of a study that show no proof; asked: every request, as it came
    """

    sd: float = 0.0002
    unproven: tuple[str, ...] = ()
    asked: list[BootRequest] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)

    def __call__(
        self, request: BootRequest, _: VmConfig, boots: Path, *, stop: threading.Event
    ) -> BootEnd:
        assert not stop.is_set()
        symbols = (request.kernel.path / "System.map").read_text()
        outcome = Outcome.PANIC if " panics" in symbols else Outcome.OK
        if request.switch.proof and request.home in self.unproven:
            outcome = Outcome.UNPROVEN
        self.asked.append(request)
        folder = boots / request.folder
        self.ran.append(str(folder))
        folder.mkdir(parents=True)
        facts = {
            "schema": 1, "cell": request.cell.name, "backend": request.cell.backend.name,
            "workload": request.cell.workload.name, "arm": request.arm, "pair": request.pair,
            "position": request.position, "seed": request.seed, "outcome": outcome.value,
            "detail": _DETAILS[outcome], "clock": "insn",
            "accel": "tcg", "kernel": request.kernel.key, "observed": request.observed,
            "profiled": request.profiled, "kernel_release": request.kernel.release,
            "backend_kind": request.cell.backend.kind,
            "backend_settings": dict(request.cell.backend.settings),
            "params": dict(request.cell.workload.parameters),
            "memory_max": request.cell.workload.memory_max,
        }  # fmt: skip
        (folder / "boot.json").write_text(json.dumps(facts), encoding="utf-8")
        (folder / "qemu.txt").write_text("qemu-system-x86_64\n", encoding="utf-8")
        if outcome is Outcome.OK:
            lines = [
                {"type": "metric", "name": name, "unit": "ns/page", "value": self.cost(request)}
                for name in ("swapin", "swapin_cpu")
            ]
            text = "".join(json.dumps(line) + "\n" for line in [*lines, {"type": "done"}])
            (folder / "workload.jsonl").write_text(text, encoding="utf-8")
        checksums.boot(folder)
        return BootEnd(request, outcome, str(facts["detail"]), 0.001, folder)

    def cost(self, request: BootRequest) -> float:
        """Instructions a page."""
        symbols = (request.kernel.path / "System.map").read_text()
        text = symbols + (request.kernel.path / "config").read_text()
        found = re.findall(r" costs_(\d+)|CONFIG_COSTS_(\d+)=y", text)
        cost = SWAPIN + sum(int(number) for both in found for number in both if number)
        pair = random.Random(request.seed).gauss(0, self.sd)
        own = random.Random(f"{request.seed} {request.arm} {request.kernel.key}").gauss(0, self.sd)
        return cost * (1 + pair + own)
