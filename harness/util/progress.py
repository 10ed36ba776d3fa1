# SPDX-License-Identifier: GPL-2.0-only
"""What the harness says while it works, and how long each stage took.

Plain lines, one a fact; on a terminal a comparison has a live view (see ``live``) below them.
"""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from harness.util.escape import harmless


@dataclass(frozen=True, slots=True)
class StageTime:
    """One finished stage of a command."""

    stage: str
    seconds: float


class Progress:
    """Says what is being done, what is waited for and which command runs.

    Thread-safe: several boots may report at once.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._stages: list[StageTime] = []
        self._current: list[tuple[str, float]] = []

    @property
    def console(self) -> Console:
        """Where the lines go."""
        return self._console

    @property
    def current(self) -> tuple[str, float] | None:
        """The stage under way, the innermost one, and the seconds in it so far."""
        with self._lock:
            if not self._current:
                return None
            name, start = self._current[-1]
        return name, time.monotonic() - start

    @property
    def finished(self) -> int:
        """How many stages were finished so far."""
        with self._lock:
            return len(self._stages)

    def stages(self, since: int = 0) -> tuple[StageTime, ...]:
        """The finished stages behind the first ``since``, in order; one entered twice is summed."""
        total: dict[str, float] = {}
        with self._lock:
            for item in self._stages[since:]:
                total[item.stage] = total.get(item.stage, 0.0) + item.seconds
        return tuple(StageTime(stage, seconds) for stage, seconds in total.items())

    def say(self, text: str) -> None:
        """One line of plain progress, with the time since the start.

        What a mail, a guest or a build put into it cannot steer the terminal.
        """
        elapsed = time.monotonic() - self._start
        minutes, seconds = divmod(int(elapsed), 60)
        shown = escape(harmless(text))
        with self._lock:
            self._console.print(f"[dim]\\[{minutes:3d}:{seconds:02d}][/dim] {shown}")

    def warn(self, text: str) -> None:
        """A line that the user should not miss."""
        self.say(f"warning: {text}")

    def command(self, argv: Sequence[str]) -> None:
        """The very command that runs, ready to paste."""
        self.say(f"  $ {shlex.join(argv)}")

    @contextmanager
    def stage(self, name: str, *, note: str = "") -> Iterator[None]:
        """Time a stage; it is announced when it starts and when it ends."""
        self.say(f"{name}{': ' + note if note else ''} ...")
        start = time.monotonic()
        with self._lock:
            self._current.append((name, start))
        try:
            yield
        finally:
            seconds = time.monotonic() - start
            with self._lock:
                self._current.remove((name, start))
                self._stages.append(StageTime(name, round(seconds, 1)))
            if sys.exc_info()[0] is None:
                self.say(f"{name}: done in {seconds:.1f} s")
