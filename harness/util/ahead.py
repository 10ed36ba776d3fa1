# SPDX-License-Identifier: GPL-2.0-only
"""A call that is made in another thread before its result is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(call: Callable[[], T], *, name: str) -> Future[T]:
    """Start ``call``; ``result()`` of what is returned waits for it and raises what it raised.

    Nobody waits for it where its result is not asked for: the thread ends with the program, so
    that an error of the caller is told at once.
    """
    found: Future[T] = Future()

    def run() -> None:
        try:
            found.set_result(call())
        except BaseException as error:  # the caller's, whatever it is
            found.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return found
