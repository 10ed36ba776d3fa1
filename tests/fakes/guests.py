"""Guests that never run: a boot's figures are read off the kernel that was built for it.

A toy kernel says in its symbols what it costs: ``costs_1000`` is 1000 instructions more for each
page swapped in, ``panics`` is a kernel that does not survive.  Noise is drawn from the guest seed
and the kernel, so a boot repeats, and pairs share a part of it, as real ones do.
"""

from __future__ import annotations

import json
import random
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import accel, arms, boot, build, compare, image, seal
from harness.accel import Accelerator
from harness.apt import AptSource, Archives
from harness.arms import Site
from harness.boot import Ended, Host, Ticket
from harness.console import Outcome
from harness.guest import Keys
from harness.image import Image
from harness.lore import Desk
from harness.paths import Cache
from harness.sandbox import OFF
from tests.fakes import tree
from tests.fakes.inbox import git
from tests.fakes.things import Heard

SWAPIN = 10_000.0


@dataclass
class Guests:
    """Stands for boot.run. sd: relative noise of one boot; ran: the boots that were run."""

    sd: float = 0.0002
    ran: list[str] = field(default_factory=list)

    def __call__(self, ticket: Ticket, _: Host, boots: Path, *, stop: threading.Event) -> Ended:
        assert not stop.is_set()
        symbols = (ticket.kernel.path / "System.map").read_text()
        outcome = Outcome.PANIC if " panics" in symbols else Outcome.OK
        folder = boots / ticket.folder
        self.ran.append(str(folder))
        folder.mkdir(parents=True)
        facts = {
            "schema": 1, "cell": ticket.cell.name, "backend": ticket.cell.backend.name,
            "workload": ticket.cell.workload.name, "arm": ticket.arm, "pair": ticket.pair,
            "position": ticket.position, "seed": ticket.seed, "outcome": outcome.value,
            "detail": "" if outcome is Outcome.OK else "Kernel panic", "clock": "insn",
            "accel": "tcg", "kernel": ticket.kernel.key, "observed": ticket.observed,
            "profiled": ticket.profiled, "kernel_release": ticket.kernel.release,
        }  # fmt: skip
        (folder / "boot.json").write_text(json.dumps(facts), encoding="utf-8")
        (folder / "qemu.txt").write_text("qemu-system-x86_64\n", encoding="utf-8")
        if outcome is Outcome.OK:
            lines = [
                {"type": "metric", "name": name, "unit": "ns/page", "value": self.cost(ticket)}
                for name in ("swapin_ns", "swapin_cpu_ns")
            ]
            text = "".join(json.dumps(line) + "\n" for line in [*lines, {"type": "done"}])
            (folder / "workload.jsonl").write_text(text, encoding="utf-8")
        seal.boot(folder)
        return Ended(ticket, outcome, str(facts["detail"]), 0.001, folder)

    def cost(self, ticket: Ticket) -> float:
        """Instructions a page."""
        symbols = (ticket.kernel.path / "System.map").read_text()
        cost = SWAPIN + sum(int(number) for number in re.findall(r" costs_(\d+)", symbols))
        pair = random.Random(ticket.seed).gauss(0, self.sd)
        own = random.Random(f"{ticket.seed} {ticket.arm} {ticket.kernel.key}").gauss(0, self.sd)
        return cost * (1 + pair + own)


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, *, sd: float = 0.0002) -> Guests:
    """Replace all that needs QEMU, an image or Debian's archive; kernels are really built."""
    guests = Guests(sd)
    (folder / "image").mkdir(parents=True, exist_ok=True)
    (folder / "image" / "packages.txt").write_text("a 1\n", encoding="utf-8")
    (folder / "toy.config").write_text("CONFIG_BLOCK=y # toy\n")
    made = Image("imagekey", folder / "image")
    archives = Archives("http://mirror.example", None)
    for where, name, value in (
        (boot, "run", guests),
        (build, "SPACE", 1),
        (arms, "fragment_paths", lambda _: [folder / "toy.config"]),
        # A toy kernel has none of the options that a workload wants.
        (compare, "abilities", lambda _: []),
        (accel, "choose", lambda *_, **__: Accelerator("tcg", "because")),
        (accel, "qemu_version", lambda: "7.2"),
        (AptSource, "archives", lambda _: archives),
        (image, "build", lambda *_, **__: made),
        (image, "build_tools", lambda **_: folder / "toolskey"),
        (image, "make_tools_disk", lambda *_, **__: None),
        (Keys, "make", lambda at: Keys(at / "client", at / "host")),
    ):
        monkeypatch.setattr(where, name, value)
    return guests


def series(folder: Path, patches: list[str]) -> Path:
    """A repository: tag v6.12 and a commit for each text, which is appended to mm/page.c."""
    tree.write(folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "tag", "v6.12")
    file = folder / "mm/page.c"
    for number, text in enumerate(patches, 1):
        # A text that a later patch takes back is written as "-text".
        now = file.read_text()
        new = now.replace(f"{text[1:]}\n", "") if text.startswith("-") else f"{now}{text}\n"
        file.write_text(f"{new}/* {number} */\n")
        git(folder, "commit", "-q", "-a", "-m", f"mm: step {number}\n\nBecause.")
    return folder


def site(folder: Path, repo: Path) -> Site:
    """A site with the repository of a toy series."""
    progress, cache = Heard(), Cache(folder / "cache")
    return Site(
        cache=cache,
        results=folder / "results",
        progress=progress,
        sandbox=OFF,
        desk=Desk(cache=cache.mails, progress=progress),
        kernel_git=str(repo),
        jobs=1,
    )
