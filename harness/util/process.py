# SPDX-License-Identifier: GPL-2.0-only
"""Child processes that die with the harness, and long ones that are watched."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.util import progress
from harness.util.errors import InfraError

_log = logging.getLogger(__name__)

_STATUS = Path("/proc/self/status")
_SETPCAP = 8
"""The bit of the capability that drops others, of linux/capability.h."""


def tethered(argv: Sequence[str], *, sig: str = "KILL", fenced: bool = False) -> list[str]:
    """``argv`` so started that the kernel sends it ``sig`` when the harness's thread dies.

    ``fenced``: it can gain no privileges, and has none of root's but to open any file: without
    that one root could not run from a plain user's closed home.
    setpriv (util-linux) does it without code between fork and exec in a threaded program.
    """
    fence = ["--no-new-privs"] if fenced else []
    if fenced and _capable(_SETPCAP):
        fence += ["--inh-caps=-all", "--bounding-set=-all,+dac_override"]
    return ["setpriv", "--pdeathsig", sig, *fence, "--", *argv]


def _capable(bit: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text("ascii"), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> bit & 1)


def stop(process: subprocess.Popen[bytes], *, patience: float = 5.0) -> None:
    """End a process that leads its own group: TERM, then KILL after ``patience`` seconds."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


@dataclass(frozen=True, slots=True)
class Watched:
    """A finished long command: its status, the seconds it took and its log file."""

    returncode: int
    seconds: float
    log: Path

    @classmethod
    def run(
        cls,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        describe: Callable[[Sequence[str]], str],
    ) -> Watched:
        """Run ``argv`` with its output in ``log``, saying from time to time how far it is.

        ``describe`` turns the log's lines so far into that sentence.  The process group is
        ended when this is interrupted.  Raises InfraError when the program is missing.
        """
        start = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            try:
                process = subprocess.Popen(
                    tethered(argv, sig="TERM"),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise InfraError("setpriv (util-linux) is not installed") from error
            try:
                with progress.ticking(lambda: describe(_lines(log))):
                    _wait(process)
            finally:
                stop(process)
        return cls(process.returncode, time.monotonic() - start, log)

    def lines_matching(self, pattern: str) -> int:
        """How many lines of the log match ``pattern``."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return len(re.findall(pattern, text, re.MULTILINE))


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _wait(process: subprocess.Popen[bytes]) -> None:
    process.wait()
