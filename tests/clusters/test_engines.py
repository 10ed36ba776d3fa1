# SPDX-License-Identifier: GPL-2.0-only
"""One comparison on this machine, and the same on each engine, disturbed in the middle.

The kernels are those of the user's cache: the calibration series and its base.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from harness.util.errors import Exit
from harness.util.paths import REPO
from tests.clusters import daemons
from tests.clusters.daemons import Engine
from tests.faults import same

WHAT = ("--backends", "zram", "--workloads", "pageio", "--pairs", "1", "--accel", "tcg")
LIMIT = 3600.0
EQUAL = 0.001
"""Relative; one boot repeats to a few parts in ten thousand."""


def argv(folder: Path, *more: str) -> list[str]:
    where = (f"--results={folder.parent}", f"--name={folder.name}")
    return [sys.executable, "-m", "harness", "compare", *WHAT, *where, *more]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run on this machine."""
    folder = tmp_path_factory.mktemp("results") / "local"
    done = subprocess.run(argv(folder), cwd=REPO, check=False, timeout=LIMIT)
    assert done.returncode == Exit.UNDECIDED, "one pair gives no verdict"
    return folder


@contextmanager
def running(folder: Path, engine: Engine) -> Iterator[subprocess.Popen[bytes]]:
    words = argv(folder, f"--scheduler={engine.scheduler}")
    process = subprocess.Popen(words, cwd=REPO, env={**os.environ, **engine.env})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def boots(folder: Path) -> list[Path]:
    """Those that came back."""
    return list(folder.glob("boots/*/[!.]*/boot.json"))


def until(process: subprocess.Popen[bytes], what: Callable[[], bool], said: str) -> None:
    begun = time.monotonic()
    while not what():
        assert process.poll() is None, f"it ended before {said}"
        assert time.monotonic() - begun < LIMIT, f"no {said}"
        time.sleep(0.2)


def guest_on(engine: Engine, name: str) -> int | None:
    """The QEMU that runs a boot on a node, if one does."""
    for pid in engine.on(name):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"qemu-system-x86_64") and b"-chardev" in words:
                return pid
    return None


def parent(pid: int) -> int:
    """The process that started another one."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("PPid:")).split()[1])


def busy(engine: Engine) -> str | None:
    """The node that runs a guest."""
    found = (name for name in engine.nodes if guest_on(engine, name) is not None)
    return next(found, None)


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


ENGINES = {"slurm": daemons.slurm, "ssh": daemons.ssh, "tls": daemons.tls}


@pytest.mark.parametrize("name", ENGINES)
def test_a_disturbed_run_on_a_cluster_has_the_figures_of_one_machine(
    tmp_path: Path, local: Path, name: str
) -> None:
    start: Callable[[Path], AbstractContextManager[Engine]] = ENGINES[name]
    folder = tmp_path / "results" / name
    with start(tmp_path / name) as engine, running(folder, engine) as process:
        until(process, lambda: busy(engine) is not None, "guest")
        guest = guest_on(engine, str(busy(engine)))
        assert guest is not None
        kill([parent(guest)])  # the worker; its nanny starts another one
        until(process, lambda: bool(boots(folder)), "boot")
        until(process, lambda: busy(engine) is not None, "guest after a boot")
        node = str(busy(engine))
        kill([engine.nodes[node].pid, *engine.on(node)])
        assert process.wait(LIMIT) == Exit.UNDECIDED
    found = same.compare(folder, local, margin=EQUAL)
    print(f"{name}: {found.boots} boots, {found.figures} figures, largest {found.largest:.6f}")
    assert found.boots == 3 and not found.faults
    ran = {json.loads(path.read_text())["host"]["name"] for path in boots(folder)}
    print(f"{name}: hosts {', '.join(sorted(ran))}")
    assert ran
