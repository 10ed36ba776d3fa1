# SPDX-License-Identifier: GPL-2.0-only
"""The draft given to the tools that send it: git send-email and b4, both without sending."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.studies.reply import draft
from tests.unit.studies.test_reply import COVER, result

_B4 = """
import sys, email, email.policy, logging, b4
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
b4.logger.setLevel(logging.INFO)
with open(sys.argv[1], "rb") as handle:
    mail = email.message_from_binary_file(
        handle, policy=b4.emlpolicy, _class=email.message.EmailMessage)
b4.send_mail(None, [mail], fromaddr="me@example.org", output_dir=sys.argv[2])
"""


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = result(tmp_path)
    return draft.write(folder, draft.make(folder))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """No setting of the user, no network: a mail server that nobody could be."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1", "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home),
        "XDG_DATA_HOME": str(home), "EMAIL": "me@example.org",
    }  # fmt: skip


def test_git_send_email_takes_it(mail: Path, env: dict[str, str], tmp_path: Path) -> None:
    place = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    if not (Path(place.stdout.strip()) / "git-send-email").exists():
        pytest.skip("git send-email is not installed (package git-email)")
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True, env=env)
    done = subprocess.run(
        ["git", "send-email", "--dry-run", "--confirm=never", "--from=Me <me@example.org>",
         "--smtp-server=/bin/false", "--suppress-cc=self", str(mail)],
        cwd=tmp_path / "repo", env=env, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Result: OK" in done.stdout
    for address in ("zoe", "akpm", "linux-mm", "first"):
        assert f"{address}@example.org" in done.stdout
    assert f"In-Reply-To: <{COVER.message_id}>" in done.stdout
    assert f"References: <earlier@example.org> <{COVER.message_id}>" in " ".join(
        done.stdout.split()
    )
    assert "Subject: Re: [PATCH v3 00/20] Virtual Swap Space" in done.stdout
    assert not done.stderr.strip(), "not even a warning of a line that is too long"


def test_b4_takes_it_and_changes_no_line(mail: Path, env: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("b4", reason="b4 is not installed")
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _B4, str(mail), str(out)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (written,) = out.iterdir()
    sent = email.message_from_bytes(written.read_bytes(), policy=email.policy.default)
    ours = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert sent["In-Reply-To"] == ours["In-Reply-To"] and sent["To"] == ours["To"]
    assert " ".join(sent["Subject"].split()) == " ".join(ours["Subject"].split())
    assert sent.get_content().rstrip() == ours.get_content().rstrip()


def test_b4_sees_an_answer_and_no_patch(mail: Path, env: dict[str, str], tmp_path: Path) -> None:
    """In a thread the draft must neither be taken for a patch nor give trailers."""
    pytest.importorskip("b4", reason="b4 is not installed")
    code = (
        "import sys, json, email, b4\n"
        "mail = email.message_from_bytes(open(sys.argv[1], 'rb').read(), policy=b4.emlpolicy,"
        " _class=email.message.EmailMessage)\n"
        "mail['From'] = 'me@example.org'; mail['Message-ID'] = '<draft@example.org>'\n"
        "one = b4.LoreMessage(mail)\n"
        "print(json.dumps([one.reply, one.has_diff, one.has_diffstat, len(one.trailers)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(mail)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True, False, False, 0]
