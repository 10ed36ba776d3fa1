# SPDX-License-Identifier: GPL-2.0-only
"""What a mail's series was measured to be, as b4 asks for it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from harness.board import answer
from harness.board.record import Known
from harness.util.errors import UserError
from harness.util.paths import REPO
from tests.longrun import board as made_up

NONE = Known(frozenset(), {})
BOARD = "https://board.example/swap/"
FILES = ("manifest.json", "experiment.json", "report/estimates.csv", "report/report.txt",
         "report/report.html")  # fmt: skip


def mail(name: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = "Dev <dev@mail.example>", "[PATCH 0/1] made up"
    made["Message-ID"] = f"<{name}@mail.example>"
    made.set_content("Because.\n")
    return made


def measured(root: Path, number: int, *, change: float, letter: str = "cover") -> Path:
    """A comparison of a mailed series of one patch."""
    folder = made_up.write(root, number, change=change)
    path = folder / "manifest.json"
    facts = json.loads(path.read_text())
    series = facts["arms"]["patch"]["series"]
    series["letter"] = {"message_id": f"{letter}@mail.example", "sender": "Dev <dev@mail.example>"}
    series["patches"] = [{"number": 1, "subject": "mm: x", "message_id": "one@mail.example"}]
    path.write_text(json.dumps(facts))
    made_up.seal(folder, FILES)
    return folder


def asked(root: Path, name: str = "cover") -> list[dict[str, str]]:
    return answer.check(mail(name).as_bytes(), root, NONE, BOARD)


@pytest.mark.parametrize("name", ["cover", "one"])
def test_cover_letter_and_patch_find_their_series(tmp_path: Path, name: str) -> None:
    measured(tmp_path, 0, change=5.0)
    made_up.write(tmp_path, 1)
    (found,) = asked(tmp_path, name)
    assert (found["tool"], found["status"]) == ("swap-harness", "fail")
    assert found["summary"] == "worse 6 on v6.0"
    assert found["url"].startswith(f"{BOARD}comparison/v6.0-vs-made-up-00-v1-")
    assert (
        f"zram.pageio swapin: worse +5.00% [+4.90, +5.10] {BOARD}cell/zram.pageio-"
        in (found["details"])
    )


def test_the_worst_of_several_counts_and_the_newest_of_the_same(tmp_path: Path) -> None:
    measured(tmp_path, 0, change=0.0)
    assert asked(tmp_path)[0]["status"] == "pass"
    measured(tmp_path, 1, change=5.0)
    (found,) = asked(tmp_path)
    assert found["status"] == "fail" and found["summary"].count("; ") == 1


def test_what_was_not_measured_is_an_empty_list(tmp_path: Path) -> None:
    measured(tmp_path, 0, change=5.0)
    assert asked(tmp_path, "other") == []


def test_the_parts_of_a_walk_are_no_answer(tmp_path: Path) -> None:
    folder = measured(tmp_path / "walk", 0, change=5.0)
    folder.rename(folder.with_name("patch-01"))
    assert asked(tmp_path) == []


def test_what_is_not_as_recorded_is_no_answer(tmp_path: Path) -> None:
    folder = measured(tmp_path, 0, change=5.0)
    sheet = folder / "report" / "estimates.csv"
    sheet.write_text(sheet.read_text().replace("worse", "better"))
    assert asked(tmp_path) == []


@pytest.mark.parametrize("raw", [b"", b"\0\xff", b"Subject: x\n\nx", b"Message-ID: none\n\nx"])
def test_no_mail_is_one_sentence(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(UserError, match="no mail with a Message-ID"):
        answer.check(raw, tmp_path, NONE)


# In a process of its own: b4 changes how Python's email writes all mails.
SCRIPT = """
import email, email.policy, json, sys
from b4.review import checks
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps(checks.run_series_checks(("x", mail), [sys.argv[1]], sys.argv[2])))
"""


def test_b4_takes_what_is_printed(tmp_path: Path) -> None:
    measured(tmp_path, 0, change=5.0)
    words = [sys.executable, "-m", "harness", "check", "--results", str(tmp_path),
             "--board", BOARD]  # fmt: skip

    def shown() -> list[dict[str, str]]:
        argv = [sys.executable, "-c", SCRIPT, shlex.join(words), str(REPO)]
        done = subprocess.run(argv, input=mail("cover").as_bytes(), capture_output=True, check=True)
        return list(json.loads(done.stdout))

    assert shown() == asked(tmp_path)
    words[-1] = "nowhere"
    (failed,) = shown()
    assert failed["status"] == "fail" and "must be a URL" in failed["details"]
