# SPDX-License-Identifier: GPL-2.0-only
"""Publication is all or nothing; disks are asked for room; children do not outlive the harness."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.util import atomic, hostspace, process, progress
from harness.util.command import clean_environment
from harness.util.errors import InfraError
from harness.util.process import Watched

# Folders


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with atomic.folder(target) as scratch:
        (scratch / "file").write_text("x", encoding="utf-8")
        assert not target.exists()
        assert scratch.parent == target.parent, "the rename stays inside one file system"
        assert scratch.name.startswith(".")
    assert (target / "file").read_text(encoding="utf-8") == "x"
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), atomic.folder(tmp_path / "target") as scratch:
        (scratch / "file").write_text("x", encoding="utf-8")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_was_published_first_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for content in ("first", "second"):
        with atomic.folder(target) as scratch:
            (scratch / "file").write_text(content, encoding="utf-8")
    assert (target / "file").read_text(encoding="utf-8") == "first"
    assert len(list(tmp_path.iterdir())) == 1


# Files


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old", encoding="utf-8")
    with target.open(encoding="utf-8") as reader:
        atomic.text(target, "new")
        assert reader.read() == "old", "a reader keeps the file that it opened"
    assert target.read_text(encoding="utf-8") == "new"
    assert len(list(tmp_path.iterdir())) == 1
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        atomic.text(target, "\ud800")
    assert target.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_json_is_the_same_for_the_same_data() -> None:
    text = atomic.json_text({"b": 1, "a": "é"})
    assert text == atomic.json_text({"a": "é", "b": 1})
    assert text.endswith("}\n") and text.isascii()
    assert json.loads(text) == {"a": "é", "b": 1}


def test_a_tree_hash_sees_names_modes_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x", encoding="utf-8")
    seen = {atomic.sha256_tree(tmp_path)}
    os.utime(tmp_path / "a", (1, 1))
    assert atomic.sha256_tree(tmp_path) in seen, "times do not count"
    (tmp_path / "a").chmod(0o755)
    seen.add(atomic.sha256_tree(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.add(atomic.sha256_tree(tmp_path))
    (tmp_path / "b").write_text("y", encoding="utf-8")
    seen.add(atomic.sha256_tree(tmp_path))
    assert len(seen) == 4


def test_a_lock_keeps_the_second_one_waiting(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with atomic.locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with atomic.locked(tmp_path / "lock"):
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


# Room on disk


def test_room_is_found_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert hostspace.free_bytes(tmp_path / "not" / "yet") == hostspace.free_bytes(tmp_path)
    hostspace.require_space(tmp_path / "not" / "yet", 1, "anything")


def test_too_little_room_is_said_with_place_and_way_out(tmp_path: Path) -> None:
    with pytest.raises(InfraError) as told:
        hostspace.require_space(tmp_path, 1 << 60, "building base")
    message = str(told.value)
    assert "building base needs 1073741824.0 GiB" in message
    assert str(tmp_path) in message and "XDG_CACHE_HOME" in message
    assert "\n" not in message


# Processes


def watched(folder: Path, argv: list[str]) -> Watched:
    return Watched.run(
        argv,
        log=folder / "logs" / "log",
        env=clean_environment(),
        describe=lambda lines: f"{len(lines)} lines",
    )


def test_a_watched_command_leaves_status_and_both_streams(tmp_path: Path) -> None:
    done = watched(tmp_path, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert done.returncode == 3
    assert done.log.read_text(encoding="utf-8").splitlines() == ["out", "err"]
    assert done.lines_matching(r"^(out|err)$") == 2


def test_a_long_command_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "PAUSES", (0.1,))
    Watched.run(
        ["sh", "-c", "echo one; sleep 0.5"],
        log=tmp_path / "log",
        env=clean_environment(),
        describe=lambda lines: f"at {lines[-1] if lines else '-'}",
    )
    assert "at one" in heard.text


def test_an_interrupted_command_and_its_children_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"

    def interrupt(*_: object) -> None:
        while not pids.exists() or len(pids.read_text("utf-8").split()) < 2:
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_wait", interrupt)
    script = f"sleep 60 & echo $! >>{pids}; echo $$ >>{pids}; wait"
    with pytest.raises(KeyboardInterrupt):
        watched(tmp_path, ["sh", "-c", script])
    _gone([int(word) for word in pids.read_text("utf-8").split()])


def test_a_child_dies_with_the_harness(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = (
        "import subprocess, sys, time\n"
        "from harness.util.process import tethered\n"
        f"child = subprocess.Popen(tethered(['sleep', '60']), start_new_session=True)\n"
        "time.sleep(0.3)\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        end = time.monotonic() + 20
        while not (pid_file.exists() and pid_file.read_text("utf-8")):
            assert time.monotonic() < end
            time.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
    finally:
        parent.kill()
        parent.wait()
    _gone([int(pid_file.read_text("utf-8"))])


def test_one_that_ignores_the_gentle_signal_is_killed() -> None:
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with stubborn:
        assert stubborn.stdout and stubborn.stdout.readline() == b"ready\n"
        process.stop(stubborn, patience=0.3)
        assert stubborn.returncode == -signal.SIGKILL
        process.stop(stubborn)  # again, harmlessly


def _gone(pids: list[int]) -> None:
    def lives(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state != "Z"

    end = time.monotonic() + 5
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < end, "a process was left running"
        time.sleep(0.02)


def test_a_published_folder_is_known_again_until_a_byte_of_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    folder.mkdir()
    (folder / "root.img").write_bytes(b"1234")
    assert atomic.intact(folder) is None
    atomic.record(folder)
    assert atomic.intact(folder) is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.sha256"]
    (folder / "root.img").write_bytes(b"1235")
    assert atomic.intact(folder) is False
