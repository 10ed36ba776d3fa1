# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C while the harness still starts: one line and status 130, not a traceback.

Imports take seconds, and a KeyboardInterrupt inside one is a traceback, or is swallowed.  Nothing
has been begun then, so that nothing has to be ended in order.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

from harness.util.errors import Exit

TEXT = "harness: interrupted; run the same command again to go on\n"


def leave_at_once() -> None:
    """From now on SIGINT and SIGTERM end the program; what is ignored stays so (nohup)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def leave_in_order() -> None:
    """From now on both raise KeyboardInterrupt, for the program to end what it has begun."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _leave(_: int, __: FrameType | None) -> None:
    os.write(2, TEXT.encode())
    os._exit(Exit.INTERRUPTED)
