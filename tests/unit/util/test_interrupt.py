# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C while the harness starts is one line and status 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.util import interrupt
from harness.util.paths import REPO

# A module that the start imports waits there, as a slow disk would have it.
SLOW = """
import time
open({ready!r}, "w").close()
time.sleep(60)
"""


def interrupted(
    folder: Path, module: str, words: list[str], slow: str, number: int
) -> tuple[int, str]:
    """Status and output of a start that gets a signal while it imports the module ``slow``."""
    ready = folder / "ready"
    place = folder / "hook" / "sitecustomize.py"
    place.parent.mkdir()
    place.write_text(
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {slow!r}:\n"
        f"            exec({SLOW.format(ready=str(ready))!r})\n"
        "sys.meta_path.insert(0, Slow())\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{place.parent}:{REPO}"}
    with subprocess.Popen(
        # A job in the background of a script has Ctrl-C ignored, and hands that down.
        ["env", "--default-signal=INT", sys.executable, "-m", module, *words],
        cwd=REPO,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        end = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert ready.exists(), f"{slow} was never imported"
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.parametrize(
    ("module", "words", "slow"),
    [
        ("harness", ["compare"], "harness.cli.main"),
        ("harness", ["compare"], "yaml"),
        ("harness", ["compare"], "pydantic"),
        ("harness", ["compare"], "pandas"),
        ("harness", ["report", "x"], "harness.cli.reading"),
        ("harness.cli", ["compare", "PAIRS=3"], "harness.cli.variables"),
        ("harness.cli", ["compare", "PAIRS=3"], "scipy"),
    ],
)
def test_ctrl_c_while_it_starts(tmp_path: Path, module: str, words: list[str], slow: str) -> None:
    status, said = interrupted(tmp_path, module, words, slow, signal.SIGINT)
    assert status == 130
    assert said == interrupt.TEXT


def test_a_termination_while_it_starts(tmp_path: Path) -> None:
    status, said = interrupted(tmp_path, "harness", ["compare"], "pandas", signal.SIGTERM)
    assert (status, said) == (130, interrupt.TEXT)
