# SPDX-License-Identifier: GPL-2.0-only
"""What is begun ahead: it runs beside its caller, and what it raises is its caller's."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from harness.util import ahead


def test_it_runs_beside_its_caller() -> None:
    may_end = threading.Event()
    begun = ahead.begin(lambda: may_end.wait(30), name="test")
    assert not begun.done()
    may_end.set()
    assert begun.result(30) is True


def test_what_it_raises_is_raised_where_the_result_is_wanted() -> None:
    def fail() -> None:
        raise LookupError("no such image")

    begun = ahead.begin(fail, name="test")
    with pytest.raises(LookupError, match="no such image"):
        begun.result(30)


def test_an_error_of_the_caller_does_not_wait_for_it() -> None:
    code = (
        "import time\nfrom harness.util import ahead\n"
        "ahead.begin(lambda: time.sleep(60), name='test')\nraise SystemExit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
    assert done.returncode == 7
