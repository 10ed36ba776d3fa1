# SPDX-License-Identifier: GPL-2.0-only
"""Guests that never run: a boot's figures are read off the kernel that was built for it.

A toy kernel says in its symbols what it costs: ``costs_1000`` is 1000 instructions more for each
page swapped in, ``panics`` is a kernel that does not survive.  Noise is drawn from the guest seed
and the kernel, so a boot repeats, and pairs share a part of it, as real ones do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.build import image, kbuild, pair, places, symbols
from harness.build.image import Image
from harness.build.pair import Context
from harness.results.places import Places, SourceLine
from harness.results.symbols import KernelSymbols
from harness.series.mail.lore import MailSource
from harness.source.apt import AptSource, Archives
from harness.studies import ability, methods
from harness.util.paths import Cache
from harness.util.sandbox import OFF
from harness.vm import accel, boot
from harness.vm.accel import Accelerator
from harness.vm.guest import Keys
from tests.fakes import tree
from tests.fakes.figures import READ, Guests
from tests.fakes.inbox import git


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
        (kbuild, "SPACE", 1),
        (pair, "fragment_paths", lambda _: [folder / "toy.config"]),
        # A toy kernel has none of the options that a workload wants.
        (ability, "abilities", lambda _: []),
        (ability, "watcher", lambda *_, **__: lambda *_: None),
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


def name_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let toy kernels, which have nothing where a kernel lies, have what `figures` counts."""
    line = SourceLine("swap_calibration_burn", "mm/page.c", 7)
    own = SourceLine("swap_read_folio", "mm/page.c", 9)
    found = Places({READ: ("swap_read_folio", "mm/page.c")}, [READ], [(line, own)])
    known = KernelSymbols({READ: "swap_read_folio"}, None)
    monkeypatch.setattr(places, "find", lambda *_: found)
    monkeypatch.setattr(symbols, "find", lambda *_: known)
    monkeypatch.setattr(methods, "unprofiled", lambda *_: "")


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


def context(folder: Path, repo: Path) -> Context:
    """A context with the repository of a toy series."""
    cache = Cache(folder / "cache")
    return Context(
        cache=cache,
        results=folder / "results",
        sandbox=OFF,
        mails=MailSource(cache=cache.mails),
        kernel_git=str(repo),
        jobs=1,
    )
