# SPDX-License-Identifier: GPL-2.0-only
"""Shows what the harness logs while it works, and records how long each stage took.

Plain lines, one a fact; on a terminal a comparison has a live view (see ``live``) below them.
Thread-safe: several boots may report at once.
"""

from __future__ import annotations

import logging
import math
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from harness.util.escape import harmless

_log = logging.getLogger(__name__)
console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where the lines go."""
_lock = threading.Lock()
_finished: list[StageTime] = []
_spans: list[tuple[float, float]] = []
"""Begin and end of each of them; stages may run side by side."""
_current: list[tuple[str, float]] = []
_ticking: list[object] = []
"""Who waits to speak, the innermost last."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """One finished stage of a command."""

    stage: str
    seconds: float


class Lines(logging.Handler):
    """Prints each record on ``console`` with the time since the start.

    Nothing in a mail, a guest or a build can steer the terminal from here. This is not rich's own
    handler: that one sets a table, which breaks a command line that is there to be pasted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = self.spoke = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; an error of the stream is the caller's, as with print."""
        self.spoke = time.monotonic()
        minutes, seconds = divmod(int(self.spoke - self.begun), 60)
        warning = "warning: " if record.levelno >= logging.WARNING else ""
        text = f" {warning}{harmless(record.getMessage())}"
        console.print(Text.assemble((f"[{minutes:3d}:{seconds:02d}]", "dim"), text))


_lines = Lines()


def start() -> None:
    """Show from now on what the harness logs, and nothing of what its libraries log."""
    _lines.begun = time.monotonic()
    logger = logging.getLogger("harness")
    logger.setLevel(logging.INFO)
    logger.addHandler(_lines)


def command(argv: Sequence[str]) -> None:
    """Log the very command that runs, ready to paste."""
    _log.info(f"  $ {shlex.join(argv)}")


PAUSES = (5.0, 5.0, 10.0, 10.0, 30.0)
"""Seconds until each further word on a step under way: soon at first, then rarely."""


def pauses() -> Iterator[float]:
    """`PAUSES`, then the last of them again and again."""
    yield from PAUSES
    while True:
        yield PAUSES[-1]


@contextmanager
def ticking(describe: Callable[[], str]) -> Iterator[None]:
    """Log ``describe()`` where nothing else is logged for some time while the block runs.

    Of blocks in one another the innermost speaks.
    """
    over, mine, begun = threading.Event(), object(), time.monotonic()

    def tick() -> None:
        last = begun
        for seconds in pauses():
            while (left := max(_lines.spoke, last) + seconds - time.monotonic()) > 0:
                if over.wait(left):
                    return
            last = time.monotonic()
            if _ticking[-1:] == [mine]:
                _log.info(describe())

    thread = threading.Thread(target=tick, name="ticking", daemon=True)
    _ticking.append(mine)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _ticking.remove(mine)


@contextmanager
def stage(name: str, *, note: str = "") -> Iterator[None]:
    """Time a stage; it is announced when it starts and when it ends, and while it is silent."""
    _log.info(f"{name}{': ' + note if note else ''} ...")
    start = time.monotonic()
    with _lock:
        _current.append((name, start))
    try:
        with ticking(lambda: f"{name}: {time.monotonic() - start:.0f} s so far"):
            yield
    finally:
        seconds = time.monotonic() - start
        with _lock:
            _current.remove((name, start))
            _finished.append(StageTime(name, round(seconds, 1)))
            _spans.append((start, start + seconds))
        if sys.exc_info()[0] is None:
            _log.info(f"{name}: done in {seconds:.1f} s")


def current() -> tuple[str, float] | None:
    """The stage under way, the innermost one, and the seconds in it so far."""
    with _lock:
        if not _current:
            return None
        name, start = _current[-1]
    return name, time.monotonic() - start


def finished() -> int:
    """How many stages were finished so far."""
    with _lock:
        return len(_finished)


def elapsed(since: int = 0) -> float:
    """Seconds in which any of the finished stages behind the first ``since`` was under way."""
    with _lock:
        spans = sorted(_spans[since:])
    total, until = 0.0, -math.inf
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def stages(since: int = 0) -> tuple[StageTime, ...]:
    """The finished stages behind the first ``since``, in order; one entered twice is summed."""
    total: dict[str, float] = {}
    with _lock:
        for item in _finished[since:]:
            total[item.stage] = total.get(item.stage, 0.0) + item.seconds
    return tuple(StageTime(stage, seconds) for stage, seconds in total.items())
