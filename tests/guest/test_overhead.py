# SPDX-License-Identifier: GPL-2.0-only
"""The program that takes the snapshots for `make overhead`, on this machine: without swap."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.guest.ends import is_complete

ROOT = Path(__file__).resolve().parents[2]
PREPARE = ROOT / "vm-images/guest/prepare"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("overhead")
    argv = ["make", "-s", "-C", str(ROOT / "workloads"), f"OUT={out}", f"{out}/bin/overhead"]
    subprocess.run(argv, check=True, capture_output=True)
    return out / "bin/overhead"


class Sampler:
    """Answers marks as the sampler does, and keeps them."""

    def __init__(self, path: Path) -> None:
        self.marks: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        peer, _ = self._socket.accept()
        with peer:
            while packet := peer.recv(64):
                self.marks.append(packet.decode())
                peer.send(b"k")

    def close(self) -> None:
        self._thread.join(timeout=10)
        self._socket.close()


def run(program: Path, *argv: str, sampler: str = "/nonexistent/socket") -> Any:
    return subprocess.run(
        [program, *argv],
        env={"HARNESS_SAMPLER": sampler},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("fragment", ["yes", "no"])
def test_each_state_has_one_mark_in_the_order_of_its_life(
    program: Path, tmp_path: Path, fragment: str
) -> None:
    sampler = Sampler(tmp_path / "sampler.sock")
    argv = ["--bytes=1M", "--steps=3", f"--fragment={fragment}", "--allow-resident"]
    result = run(program, *argv, sampler=str(tmp_path / "sampler.sock"))
    sampler.close()
    assert result.returncode == 0, result.stderr
    # Nothing goes out without an area: so every count is what was really out, 0.
    holes = ["fragmented:0", "sparse:0"] if fragment == "yes" else []
    assert sampler.marks == [
        *["warm-up", "before", "swapon", "filled:0", "filled:0", "filled:0", "filled:0"],
        *[*holes, "exited", "swapoff"],
    ]
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    steps = [line["round"] for line in lines if line.get("name") == "swapped_pages"]
    assert steps == [1, 2, 3]
    assert is_complete(lines)


@pytest.mark.parametrize(
    ("fragment", "wanted", "checked"),
    [("no", 9999, 1024), ("no", 100, 100), ("yes", 1000, 2), ("yes", 1, 1), ("no", 0, None)],
)
def test_it_compares_as_many_pages_as_it_was_asked_or_has(
    program: Path, fragment: str, wanted: int, checked: int | None
) -> None:
    argv = ["--bytes=4M", f"--fragment={fragment}", f"--verify-pages={wanted}"]
    result = run(program, *argv, "--allow-resident")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    verify = [line for line in lines if line["type"] == "verify"]
    expected = [] if checked is None else [{"type": "verify", "pages": checked, "bad": 0}]
    assert verify == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--area=PATH or --zram=NAME must say what to swap to."),
        (["--area=/a", "--zram=zram0"], "--area and --zram name two swap areas"),
        (["--area=/nonexistent/swapfile"], "There is no /nonexistent/swapfile to swap to."),
        (["--bytes=8K", "--steps=3"], "There are fewer pages (2) than --steps."),
        (['--area=a"b'], "--area wants at most 127 letters"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_touched(
    program: Path, argv: list[str], message: str
) -> None:
    result = run(program, *argv)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_hold_sets_everything_up_but_turns_no_swap_on(tmp_path: Path) -> None:
    """The guest's script with its tools replaced by a record of their calls."""
    for name in ("mount", "fallocate", "mkswap", "swapon", "chmod"):
        tool = tmp_path / name
        tool.write_text(f'#!/bin/sh\necho {name} >>"{tmp_path}/calls"\n', encoding="utf-8")
        tool.chmod(0o755)
    text = PREPARE.read_text(encoding="utf-8").replace("PATH=", f"PATH={tmp_path}:", 1)
    # The settings below /proc and /sys are left alone: their lines come first.
    script = tmp_path / "prepare"
    script.write_text(text.replace("/sys/module/zswap", f"{tmp_path}/none"), encoding="utf-8")

    def calls(*words: str) -> list[str]:
        (tmp_path / "calls").write_text("", encoding="utf-8")
        argv = ["sh", str(script), *words, "size=1048576"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "calls").read_text(encoding="utf-8").split()

    on = ["mount", "fallocate", "chmod", "mkswap", "swapon"]
    assert calls("swapfile") == on
    assert calls("swapfile", "hold=no") == on
    assert calls("swapfile", "hold=yes") == on[:-1]
    assert calls("swapfile", "hold=Y") == on[:-1]
    assert calls("swappart", "hold=yes") == ["mkswap"]
    assert calls("zram", "hold=yes") == []
    wrong = subprocess.run(
        ["sh", str(script), "zram", "hold=maybe"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "hold is yes or no, not 'maybe'" in wrong.stderr


def test_what_is_read_back_is_one_line_a_file(tmp_path: Path) -> None:
    """In a kernel's table columns are parted by tabs, and so are file and value."""
    text = PREPARE.read_text(encoding="utf-8")
    shown = text[text.index("show() {") : text.index("zswap=/sys/module")]
    table, one, empty = tmp_path / "swaps", tmp_path / "size", tmp_path / "empty"
    table.write_text("Filename\tType\t\tSize\n/dev/zram0 file\t\t1048572\n", encoding="utf-8")
    one.write_text("60", encoding="utf-8")
    empty.write_text("", encoding="utf-8")
    paths = [str(path) for path in (table, tmp_path / "none", one, empty)]
    argv = ["sh", "-uc", shown + 'show "$@"', "sh", *paths]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{table}\tFilename Type  Size;/dev/zram0 file  1048572;",
        f"{one}\t60;",
        f"{empty}\t",
    ]
