# SPDX-License-Identifier: GPL-2.0-only
"""The headers of a mail, and that a series carries those of its cover letter to the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.series import series
from harness.series.mail import cover
from harness.series.mail.cover import Cover
from harness.series.mail.lore import MailSource
from tests.fakes import inbox, tree

RAW = (
    b"From: =?utf-8?q?Zo=C3=AB_X=2E?= <Zoe@example.org>\r\n"
    b'To: a@example.org,\r\n "L, F" <b@example.org>\r\nCc: undisclosed-recipients:;\r\n'
    b"Message-Id: <1@example.org>\r\nIn-Reply-To: <0@example.org>\r\n"
    b"References: <00@example.org>\r\n <0@example.org>\r\nDate: Sun, 8 Feb 2026 13:58:13 -0800\r\n"
    b"Subject: [PATCH v3 00/20]\r\n Two =?utf-8?b?bGluZXM=?=\r\n\r\nText\xff\r\n"
)


def test_headers_are_decoded_and_unfolded() -> None:
    assert cover.read(RAW) == Cover(
        message_id="1@example.org",
        subject="[PATCH v3 00/20] Two lines",
        sender='"Zo\u00eb X." <Zoe@example.org>',
        to=("a@example.org", '"L, F" <b@example.org>'),
        references=("00@example.org", "0@example.org"),
        date="Sun, 8 Feb 2026 13:58:13 -0800",
    )
    assert cover.text(RAW) == "Text\ufffd\n"


def test_what_a_manifest_keeps_comes_back() -> None:
    found = cover.read(RAW)
    assert found is not None
    assert cover.from_data(cover.as_data(found)) == found
    assert cover.from_data({}) is None
    assert cover.from_data({"message_id": "x@y", "sender": "s@t", "to": 7}) == Cover(
        "x@y", "", "s@t"
    )


@pytest.mark.parametrize("raw", [b"", b"Subject: x\n\ny", b"From: a@b\nSubject: x\n\ny"])
def test_what_nobody_posted_is_no_letter(raw: bytes) -> None:
    assert cover.read(raw) is None


def test_a_mail_is_found_by_its_id() -> None:
    other = RAW.replace(b"<1@", b"<2@")
    found = cover.find([other, RAW], "1@example.org")
    assert found is not None and found.message_id == "1@example.org"
    assert cover.find([other], "1@example.org") is None
    assert cover.find([other], None) is None


def test_a_series_knows_the_letter_that_it_came_with(tmp_path: Path) -> None:
    mails = inbox.mailed(inbox.author(tmp_path / "linux", tree.FILES))
    inbox.archive(tmp_path / "list.git", mails)
    mail_source = MailSource(cache=tmp_path / "m", mirrors=(tmp_path / "list.git",))
    saved = tmp_path / "saved.mbox"
    saved.write_bytes(b"".join(b"From x Thu Jan  1 00:00:00 1970\n" + one for one in mails))
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, one in enumerate(mails):
        (folder / f"{number:04d}-x.patch").write_bytes(one)
    (tmp_path / "registry").mkdir()
    for name in ("1-2@mail.example", str(saved), str(folder)):
        found = series.load(name, registry=tmp_path / "registry", mails=mail_source).cover
        assert found is not None, name
        assert found.message_id == "1-0@mail.example"
        assert found.subject == "[PATCH v1 0/2] More"
        assert found.sender == "Dev <dev@mail.example>"
