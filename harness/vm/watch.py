# SPDX-License-Identifier: GPL-2.0-only
"""A watch over a running guest's signs of life: console, samples, the QEMU process, deadlines.

It reads only what QEMU writes on the host, so that it costs the guest nothing.
"""

from __future__ import annotations

import threading
import time
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from harness.results import console
from harness.results.console import ConsoleFinding, Outcome
from harness.util.errors import InfraError
from harness.util.hostspace import free_bytes
from harness.vm.qemu import RunningGuest

_POLL = 0.2
_POLL_READY = 0.02
"""Of the console of a guest that starts: what is waited for here is added to each boot."""
_HOST_FULL = 16 << 20
"""Bytes left for the guest's disks at which QEMU would soon pause it."""
FLOOD = 128 << 20
"""Bytes of console or samples that no honest boot comes near: an overhead boot writes 2 MiB."""
_PIECE = 1 << 20
"""Bytes of console that are judged at once: between two pieces the guest is looked after."""
_LINE = 1 << 16
_TRACE = 3.0
"""Seconds that a crash gets to print its trace before the guest is ended."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds of wall time after which a guest counts as lost."""

    boot: float = 180.0
    command: float = 180.0
    workload: float = 1800.0
    silence: float = 90.0

    @classmethod
    def for_clock(cls, clock: str, *, workload: float) -> Deadlines:
        """Under the instruction clock a guest second may take half a minute on a busy host."""
        return cls(workload=workload, silence=90.0 if clock == "insn" else 30.0)

    def slower(self, times: float) -> Deadlines:
        """For a guest that runs so many times slower."""
        return Deadlines(
            boot=self.boot * times,
            command=self.command * times,
            workload=self.workload * times,
            silence=self.silence * times,
        )


class BootEnded(Exception):
    """The boot is over before its time; ``outcome`` says how and ``detail`` shows the evidence."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome = outcome
        self.detail = detail


class Interrupted(Exception):
    """The harness was told to stop: the boot has no result and will be run again."""


class _Log:
    """A console under way: each line of it is judged once, however long it gets.

    finding: the first that ends a boot; last: the last line that is not empty
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = ""
        self._last = ""
        self._reader = console.Reader()

    def read(self) -> bool:
        """Judge the next piece; False if there is none."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                piece = log.read(_PIECE)
        except FileNotFoundError:
            return False
        self._offset += len(piece)
        text = self._rest + piece.decode("utf-8", "replace")
        end = len(text) if len(text) - text.rfind("\n") > _LINE else text.rfind("\n") + 1
        whole, self._rest = text[:end], text[end:]
        if not self._reader.fatal:
            self._reader.read(whole)
        self._last = (whole.strip() or self._last).rpartition("\n")[2]
        return bool(piece)

    @property
    def finding(self) -> ConsoleFinding | None:
        ahead = copy(self._reader)  # the line may go on
        ahead.read(self._rest)
        return ahead.fatal

    @property
    def last(self) -> str:
        return console.tail(self._rest.strip() or self._last, lines=1)


class Watch:
    """Ends a guest that panics, hangs, dies or overruns, from a thread of its own.

    ``expect(stage, deadline)`` says what is being waited for; setting ``stop`` ends the guest.
    Use as a context manager inside the guest's; after it, ``verdict`` is None or says what the
    watch saw.
    """

    def __init__(self, guest: RunningGuest, *, silence: float, stop: threading.Event) -> None:
        self._guest = guest
        self._stop = stop
        self._silence = silence
        self._stage = "boot"
        self._end = float("inf")
        self._listen_since: float | None = None
        self._crash_seen: float | None = None
        self._log = _Log(guest.machine.console)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="watch", daemon=True)
        self.verdict: BootEnded | InfraError | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._over.set()
        self._thread.join()
        if self._stop.is_set():
            raise Interrupted from error
        # What the guest did is the cause; a broken connection is only how it was noticed.
        if error is not None and self.verdict is not None:
            raise self.verdict from error

    def expect(self, stage: str, deadline: float, *, samples: bool = False) -> None:
        """From now on ``stage`` runs, for at most ``deadline`` s; with ``samples`` samples come."""
        self._stage, self._end = stage, time.monotonic() + deadline
        self._listen_since = time.monotonic() if samples else None

    def wait_for_line(self, line: str) -> None:
        """Block until the console shows ``line``.  Raises the verdict if the guest ends first."""
        while line not in self._console():
            self._check()
            time.sleep(_POLL_READY)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted
        if self.verdict:
            raise self.verdict

    def settle(self, *, patience: float = 5.0) -> None:
        """After a lost connection: give the watch time to see why, then raise its verdict."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self._check()
            time.sleep(_POLL)

    def _console(self) -> str:
        """Its first piece, more than any boot writes until it is ready."""
        try:
            with self._guest.machine.console.open("rb") as log:
                return log.read(_PIECE).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _flood(self) -> BootEnded | None:
        """What a guest writes without end would fill the host's disk and, read here, its memory."""
        machine = self._guest.machine
        for path in (machine.console, machine.samples):
            size = path.stat().st_size if path.exists() else 0
            if size > FLOOD:
                text = (
                    f"in {self._stage}: {path.name} has {size >> 20} MiB, {FLOOD >> 20} are allowed"
                )
                return BootEnded(Outcome.FLOOD, text)
        return None

    def _loop(self) -> None:
        size, changed = -1, time.monotonic()
        while not self._over.wait(_POLL):
            now = time.monotonic()
            samples = self._guest.machine.samples
            latest = samples.stat().st_size if samples.exists() else 0
            if latest != size:
                size, changed = latest, now
            self.verdict = self._judge(now, changed)
            if self.verdict or self._stop.is_set():
                self._guest.kill()
                return

    def _judge(self, now: float, changed: float) -> BootEnded | InfraError | None:
        # The exit status is read before the console, so that a crash's last lines are in it.
        returncode = self._guest.returncode
        flood = self._flood()
        if flood:
            return flood
        while self._log.read() and returncode is not None:
            pass  # it writes no more: to the end
        finding = self._log.finding
        if finding:
            self._crash_seen = self._crash_seen or now
            if returncode is None and now - self._crash_seen < _TRACE:
                return None
            return BootEnded(finding.outcome, f"in {self._stage}: {finding.text}")
        if self._guest.refused:
            return InfraError(f"QEMU ended with {returncode}: {self._guest.words()}")
        if returncode is not None and returncode < 0:
            return InfraError(
                f"QEMU was killed by signal {-returncode}, perhaps for want of memory on this host"
            )
        if returncode is not None:
            return BootEnded(
                Outcome.LOST,
                f"in {self._stage}: QEMU ended with {returncode} ({self._guest.words()}); "
                f"last on the console: {self._log.last}",
            )
        if free_bytes(self._guest.machine.log.parent) < _HOST_FULL:
            return InfraError("the host's disk is full, so the guest was paused")
        if self._listen_since and now - max(changed, self._listen_since) > self._silence:
            return BootEnded(
                Outcome.HANG,
                f"in {self._stage}: no sample for {self._silence:.0f} s; "
                f"last on the console: {self._log.last}",
            )
        if now > self._end:
            return BootEnded(
                Outcome.TIMEOUT,
                f"{self._stage} did not end in time; last on the console: {self._log.last}",
            )
        return None
