# SPDX-License-Identifier: GPL-2.0-only
"""Three nights with two series over real kernels: one killed, one over budget, one that moves.

The patch that moves a line is found by the night itself, and is on the board, in its feed and in
what is said of it on the list until somebody explains it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.studies.nightly import store, triage
from harness.studies.nightly.moves import Move
from harness.util.errors import Exit
from harness.util.paths import REPO
from tests.e2e.test_compare import _SANDBOX
from tests.fakes import inbox

SERIES = REPO / "kernels" / "series"
BYTES = "calibration/6.12/0002-mm-calibration-2-extra-bytes-per-swap-slot-at-swapon.patch"
COSTLY = "calibration/6.12/0001-mm-calibration-1000-instructions-per-page-swapped-in.patch"
NULL = "calibration-null/6.12/0001-mm-calibration-no-change.patch"
CHEAP = "calibration-in10/6.12/0001-mm-calibration-10-instructions-per-page-swapped-in.patch"
NIGHTLY = """\
series:
  - {message_id: 1-0@heavy.example, name: heavy}
  - {message_id: 1-0@quiet.example, name: quiet}
bases: [debian/6.12]
mirror: [MIRROR]
backends: [zram]
workloads: [pageio]
accel: tcg
pairs: 3
most_pairs: 3
budget: BUDGET
bisect: auto
"""


def _mailed(name: str, version: int, patches: Sequence[str]) -> list[bytes]:
    """A revision as it is mailed: a cover letter, and the patches as answers to it."""

    def head(number: int, title: str) -> bytes:
        mark = f"[PATCH v{version} {number}/{len(patches)}]"
        answer = f"In-Reply-To: <{version}-0@{name}.example>\n" if number else ""
        return (
            f"From: {inbox.DEV}\nSubject: {mark} {title}\n"
            f"Date: Thu, 0{version} Jan 2026 00:00:0{number} +0000\n"
            f"Message-ID: <{version}-{number}@{name}.example>\n{answer}\n"
        ).encode()

    mails = [head(0, f"mm: {name}") + b"Because.\n"]
    for number, path in enumerate(patches, 1):
        before, _, body = (SERIES / path).read_bytes().partition(b"\n\n")
        title = re.search(r"^Subject: \[PATCH[^]]*\] (.*)$", before.decode(), re.M)
        assert title
        mails.append(head(number, title[1]) + body)
    return mails


def _write(folder: Path, budget: str) -> None:
    text = NIGHTLY.replace("MIRROR", str(folder / "list.git")).replace("BUDGET", budget)
    (folder / "nightly.yaml").write_text(text, "ascii")


def _argv(folder: Path, command: str, *words: str) -> list[str]:
    at = ["--nightly", str(folder / "nightly.yaml")] if command in ("nightly", "triage") else []
    at += ["--results", str(folder / "results")]
    sandbox = _SANDBOX if command == "nightly" else ()
    return [sys.executable, "-m", "harness", command, *at, *sandbox, *words]


def _run(folder: Path, command: str, *words: str, text: str = "") -> tuple[int, str]:
    done = subprocess.run(_argv(folder, command, *words), cwd=REPO, stdout=subprocess.PIPE,
                          input=text, text=True, check=False, timeout=5000)  # fmt: skip
    print(done.stdout)
    return done.returncode, done.stdout


def _boots(folder: Path) -> dict[str, int]:
    found = (folder / "results").rglob("boot.json")
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}


def _killed(folder: Path) -> dict[str, int]:
    """Begin a night and kill the harness once two boots are done; the boots."""
    with subprocess.Popen(_argv(folder, "nightly"), cwd=REPO, start_new_session=True) as harness:
        until = time.monotonic() + 4000
        while len(_boots(folder)) < 2:
            assert harness.poll() is None, "the night ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.2)
        os.kill(harness.pid, signal.SIGKILL)
    return _boots(folder)


def test_three_nights(tmp_path: Path) -> None:
    mirror = tmp_path / "list.git"
    inbox.archive(mirror, [*_mailed("heavy", 1, [BYTES]), *_mailed("quiet", 1, [NULL])])
    nightly = tmp_path / "results" / "nightly"

    # The first night is killed, and goes on.
    _write(tmp_path, "2h")
    before = _killed(tmp_path)
    status, said = _run(tmp_path, "nightly")
    assert status == Exit.OK and "2 of 2 comparisons done" in " ".join(said.split())
    assert before.items() <= _boots(tmp_path).items(), "a boot of before the kill was lost"

    # The second has no time for what is new.
    inbox.archive(mirror, _mailed("quiet", 2, [CHEAP]))
    _write(tmp_path, "0.05m")
    status, said = _run(tmp_path, "nightly")
    words = " ".join(said.split())
    assert status == Exit.UNDECIDED and "NOT DONE: the budget was spent with 1" in words
    assert "quiet-v2-on-debian-6.12: 1 comparison" in words, "the forecast"

    # The third has, and another revision that costs 1000 instructions, by its second patch.
    inbox.archive(mirror, _mailed("heavy", 2, [BYTES, COSTLY]))
    _write(tmp_path, "2h")
    status, said = _run(tmp_path, "nightly")
    words = " ".join(said.split())
    assert status == Exit.WORSE and "2 of 2 comparisons done" in words
    assert "Moved, and not explained" in words
    (move,) = triage.read(nightly).moves
    assert (move.line.subject, move.at.label, move.verdict) == ("heavy", "v2", "worse")
    assert 9 < move.change_pct < 12
    assert move.search is not None and move.search.status == Exit.OK
    assert move.search.number == 2 and "1000 instructions" in move.search.culprit
    assert "Patch 2 is the first responsible" in words
    with store.reading(nightly / store.NAME) as history:
        assert [one.state for one in history.nights()] == ["whole", "budget spent", "whole"]

    # The front page, the feed and b4's answer have it; then somebody explains it.
    board = tmp_path / "results" / "board"
    assert _run(tmp_path, "board")[0] == Exit.OK
    assert "heavy on debian/6.12: zram.pageio swapin" in (board / "index.html").read_text()
    feed = (board / "feed.xml").read_text()
    assert "moved at v2: worse" in feed and "not explained" in feed
    asked = "From: a@b.example\nMessage-ID: <2-0@heavy.example>\nSubject: x\n\nx\n"
    (answer,) = json.loads(_run(tmp_path, "check", text=asked)[1])
    assert answer["status"] == "fail" and "worse 1" in answer["summary"]
    comment = _run(tmp_path, "report", "--format", "comment", str(nightly / move_folder(move)))
    assert "worse: 1" in comment[1] and "swapin" in comment[1]
    given = ["--move", move.id, "--word", "culprit", "--by", "A Reader", "--note", "patch 2"]
    assert _run(tmp_path, "triage", *given)[0] == Exit.OK
    assert _run(tmp_path, "board")[0] == Exit.OK
    assert "culprit found" in (board / "triage" / "index.html").read_text()
    assert _run(tmp_path, "verify", str(nightly))[0] == Exit.OK


def move_folder(move: Move) -> str:
    """The folder of the comparison that moved."""
    return move.at.comparison.folder
