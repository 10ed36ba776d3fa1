# SPDX-License-Identifier: GPL-2.0-only
"""Where one row of the matrix runs: its folders, its QEMU, its commands, and what is left of them.

The command line runs as a user would run it, in a process of its own.  Everything that it writes
lies in the room (but for the cache), and everything that it starts can be known by the room's
TMPDIR in its environment, so that what is left afterwards can be found.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from harness.results import checksums
from harness.util.errors import InfraError
from harness.util.paths import REPO, Cache
from harness.util.process import tethered
from harness.vm.accel import QEMU

CELL = "cell"
"""The name of each comparison, and its folder below the room's results."""
_SHIM = Path(__file__).with_name("shim.py")
_POLL = 0.1
_SMALL: dict[str, Any] = {
    "backends": ["zram"],
    "workloads": [{"pageio": {"size": "8M", "rounds": 1, "histogram-rounds": 1}}],
    "pairs": 1,
    "aa": "no",
    "swap": "256M",
    "parallel": 1,
    "clock": "insn",
    "name": CELL,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What all rooms share: the kernel, the sandbox's word, the user's cache."""

    base: str
    sandbox: str
    cache: Cache


class Running:
    """One command of the harness under way; its words go to files."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], words: Path) -> None:
        self._words = words
        self.start = time.monotonic()
        with words.open("wb") as stream:
            # A shell's background job is deaf to Ctrl-C, and so are its children.
            self._process = subprocess.Popen(
                ["env", "--default-signal=INT", *argv],
                cwd=REPO,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """All its words so far."""
        return self._words.read_text(encoding="utf-8", errors="replace")

    def wait(self, limit: float) -> int:
        """The exit status.  Raises InfraError after ``limit`` seconds, with the command killed."""
        try:
            return self._process.wait(limit)
        except subprocess.TimeoutExpired as error:
            self.end()
            raise InfraError(f"the command did not end in {limit:.0f} s") from error

    def until(self, there: Callable[[], bool], limit: float, what: str) -> None:
        """Wait for ``there``.  Raises InfraError when the command ends first, or time is up."""
        end = time.monotonic() + limit
        while not there():
            if self.status is not None:
                raise InfraError(f"the command ended with {self.status} before {what}")
            if time.monotonic() > end:
                self.end()
                raise InfraError(f"no sign in {limit:.0f} s of {what}")
            time.sleep(_POLL)

    def send(self, number: int) -> None:
        """Send a signal to the command itself."""
        if self.status is None:
            os.kill(self.pid, number)

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.send(signal.SIGKILL)
        self._process.wait()


class Room:
    """The place of one row.  Use as a context manager: what is left of it is ended and removed."""

    program: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "harness")
    """The command line under test."""

    def __init__(self, folder: Path, ground: Ground) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ground = folder, ground
        self.results, self._bin = folder / "results", folder / "bin"
        # Below the system's own: a socket's path has room for 107 bytes.  By its name the next run
        # of the harness knows it for a dead one's, should this process be killed.
        self.temporary = Path(tempfile.mkdtemp(prefix=f"harness-{os.getpid()}.faults."))
        self.environment = {
            **os.environ,
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(ground.cache.root.parent),
            "PYTHONPATH": str(REPO),  # in a mount name space the working directory is another
        }
        self.before: tuple[str, ...] = ()
        """Words by which each command is started, e.g. to enter a mount name space."""
        self.seen_below = Path("/")
        """Where this process sees what the commands see as the root folder."""
        self.stack = contextlib.ExitStack()
        """What is to be undone when the room is left, after its commands were ended."""
        self._commands: list[Running] = []
        self._install()
        self.plan({})

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        for command in self._commands:
            command.end()
        for pid in self.left_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stack.close()
        shutil.rmtree(self.temporary, ignore_errors=True)
        shutil.rmtree(self._bin, ignore_errors=True)
        for path in self.folder.glob("tools-*.img"):
            path.unlink()

    @property
    def cell(self) -> Path:
        """The results folder of the comparison, as this process sees it."""
        return self.seen(self.results / CELL)

    def seen(self, path: Path) -> Path:
        """Where this process sees what the commands know by ``path``."""
        return self.seen_below / path.relative_to("/")

    def plan(self, plan: Mapping[str, Any]) -> None:
        """What ``shim`` does to the guests from now on."""
        (self.folder / "pids").unlink(missing_ok=True)
        whole = {"real": self._real, "pids": str(self.folder / "pids"), **plan}
        (self.folder / "plan.json").write_text(json.dumps(whole), encoding="utf-8")

    def compare(
        self,
        *,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Start the small comparison, with other ``settings`` on top."""
        spec = self.folder / "spec.yaml"
        both = {"base": self.ground.base, "head": self.ground.base}
        text = yaml.safe_dump({**_SMALL, **both, **(settings or {})})
        spec.write_text(text, encoding="utf-8")
        words = ["compare", "--spec", str(spec), "--accel", "tcg", "--results", str(self.results)]
        words += ["--sandbox", self.ground.sandbox]
        return self.harness(words, env=env)

    def harness(self, words: Sequence[str], *, env: Mapping[str, str] | None = None) -> Running:
        """Start a command of the harness; it dies with this process."""
        argv = [*self.before, *tethered([*self.program, *words])]
        path = self.folder / f"words-{len(self._commands)}.txt"
        command = Running(argv, {**self.environment, **(env or {})}, path)
        self._commands.append(command)
        return command

    def guests(self) -> list[int]:
        """Process ids of the guests that were started since the last plan, oldest first."""
        path = self.folder / "pids"
        return [int(word) for word in path.read_text("utf-8").split()] if path.exists() else []

    def left_running(self) -> list[int]:
        """Processes that this room's commands started and that still run."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (path / "environ").read_bytes().split(b"\0")
                zombie = (path / "stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
                if mark in words and not zombie:
                    found.append(int(path.name))
        return found

    def left_over(self) -> list[str]:
        """What is there and should not be, a sentence each: processes, scratch folders, halves."""
        cell, temporary = self.cell, self.seen(self.temporary)
        found = [f"process {pid} still runs" for pid in self.left_running()]
        found += [f"scratch folder {path.name}" for path in temporary.glob("harness*")]
        for path in sorted(cell.glob("boots/*/*")):
            name = path.relative_to(cell)
            if path.name.startswith(".") or not (path / "boot.json").is_file():
                found.append(f"half a result: {name}")
        if cell.is_dir():
            found += [f"{one.place} {one.what}" for one in checksums.raw_differences(cell)]
        return found

    def _install(self) -> None:
        real = shutil.which(QEMU)
        if real is None:
            raise InfraError(f"{QEMU} is not installed; run 'make doctor'")
        self._real = real
        self._bin.mkdir(exist_ok=True)
        program = self._bin / QEMU
        python = Path(sys.executable)
        program.write_text(
            f"#!/bin/sh\nexec '{python}' -I -S '{_SHIM}' '{self.folder / 'plan.json'}' \"$@\"\n",
            encoding="utf-8",
        )
        program.chmod(0o755)


def under_way(cell: Path) -> bool:
    """Whether a guest of the comparison in ``cell`` is in its workload: samples come in."""
    with contextlib.suppress(OSError):
        return any(path.stat().st_size for path in cell.glob("boots/*/.*/samples.raw"))
    return False
