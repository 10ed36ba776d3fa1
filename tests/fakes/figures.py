# SPDX-License-Identifier: GPL-2.0-only
"""A boot's figures, read off the kernel that was built for it: what `guests` stands on.

Apart from it because a worker of a cluster imports it, and need not import what makes reports.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from harness.experiment import cpumodel
from harness.results import checksums
from harness.results.console import Outcome
from harness.results.profile import USER, Root
from harness.vm import instrument
from harness.vm.boot import BootEnd, BootRequest, VmConfig
from tests.fakes import profiles

SWAPIN = 10_000.0
READ = 0xFFFFFFFF81000000
"""The function that swaps in."""
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
            "instrument": request.instrument or None,
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
            if request.instrument:
                self.count(request, folder)
        checksums.boot(folder)
        return BootEnd(request, outcome, str(facts["detail"]), 0.001, folder)

    def count(self, request: BootRequest, folder: Path) -> None:
        """What a plugin counts of 100 pages: all that a patch costs is in `READ`, under a lock."""
        work, pages = round(self.exact(request)), 100
        if request.instrument == instrument.LOCKS:
            held = f"{READ + 8:x} spin {pages} {pages * (work // 2)} {work}"
            said = f"put 1 0\nexecuted {pages * work}\nsite {held} 1\nobject 1000 {held}\n"
            text = f"{said}lost 0\nunmatched 0\nend\n"
        elif request.instrument == instrument.CACHES:
            rows = f"{READ + 8:x} direct 0 {pages * work // 10} {pages * work // 20} 0 0 0 0\n"
            said = f"put 1 0\nexecuted {pages * work}\noperations {pages}\nlines {50 * pages}\n"
            text = said + "".join(f"model {name}\n{rows}" for name in cpumodel.known()) + "end\n"
        else:
            own = work * pages // 5 * 5
            calls = {(Root.WORK, (USER,)): (500, 0), (Root.WORK, (USER, READ)): (own, pages)}
            text = profiles.text([(calls, {(READ, READ): own // 5})])
        packed = gzip.compress(text.encode(), mtime=0)
        (folder / instrument.packed(request.instrument)).write_bytes(packed)
        metric = {"type": "metric", "name": "swapin", "unit": "insn/page", "value": float(work)}
        line = json.dumps({**metric, "counted": 1, "per": pages})
        (folder / "workload.jsonl").write_text(f'{line}\n{{"type":"done"}}\n', encoding="utf-8")

    def exact(self, request: BootRequest) -> float:
        """Instructions a page, without noise."""
        symbols = (request.kernel.path / "System.map").read_text()
        text = symbols + (request.kernel.path / "config").read_text()
        found = re.findall(r" costs_(\d+)|CONFIG_COSTS_(\d+)=y", text)
        return SWAPIN + sum(int(number) for both in found for number in both if number)

    def cost(self, request: BootRequest) -> float:
        """Instructions a page."""
        cost = self.exact(request)
        pair = random.Random(request.seed).gauss(0, self.sd)
        own = random.Random(f"{request.seed} {request.arm} {request.kernel.key}").gauss(0, self.sd)
        return cost * (1 + pair + own)
