# SPDX-License-Identifier: GPL-2.0-only
"""Input made to cost: long lines, deep nesting, many parts. Each is read in bounded time."""

from __future__ import annotations

import base64
import gzip
import json
import time
import tracemalloc
from collections.abc import Callable

import pytest
import yaml

from harness.results import telemetry
from harness.series.mail import archive, cover, lore, mbox, posting
from harness.series.mail.cover import Cover
from harness.series.mail.lore import Address
from harness.source.gitnames import public_url
from harness.studies.reply import draft
from harness.util import yamlfile
from harness.util.errors import UserError
from tests.fuzz.targets import TARGETS

MIB = 1 << 20
RUN: dict[str, Callable[[bytes], None]] = {target.name: target.run for target in TARGETS}
HEAD = b"From: a@mail.example\nDate: Mon, 5 Jan 2026 10:00:00 +0100\nMessage-ID: <1@x.example>\n"
SUBJECT = b"Subject: [PATCH 1/1] x\n"


def _nested(levels: int) -> bytes:
    """A mail in parts in parts in parts."""
    inner = b"Content-Type: text/plain\n\nhello\n"
    for level in range(levels):
        bound = b"b%d" % level
        inner = b'Content-Type: multipart/mixed; boundary="%s"\n\n--%s\n%s\n--%s--\n' % (
            bound,
            bound,
            inner,
            bound,
        )
    return HEAD + SUBJECT + b"MIME-Version: 1.0\n" + inner


def _forwarded(levels: int) -> bytes:
    """A mail in a mail in a mail."""
    return HEAD + SUBJECT + b"Content-Type: message/rfc822\n\n" * levels + b"\nx\n"


def _parts(count: int) -> bytes:
    part = b"--b\nContent-Type: text/plain\n\nx\n"
    return HEAD + SUBJECT + b"Content-Type: multipart/mixed; boundary=b\n\n" + part * count


MAILS = {
    "a header of 1 MB": HEAD + SUBJECT + b"X: " + b"x" * MIB + b"\n\n",
    "a subject of 1 MB": HEAD + b"Subject: " + b"[PATCH] " * (MIB // 8) + b"\n\n",
    "a subject of open brackets": HEAD + b"Subject: " + b"[" * MIB + b"\n\n",
    "a subject of blanks": HEAD + b"Subject: x" + b" " * MIB + b"y\n\n",
    "a subject of encoded words": HEAD + b"Subject: " + b"=?utf-8?q?x?= " * 70_000 + b"\n\n",
    "a subject that never ends its words": HEAD + b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\n\n",
    "a subject on 100,000 lines": HEAD + b"Subject: x" + b"\n x" * 100_000 + b"\n\n",
    "a sender of 1 MB": b"From: " + b"<" * MIB + b"\n" + SUBJECT + b"\n",
    "a sender in comments": b"From: " + b"(" * 100_000 + b"a@b\n" + SUBJECT + b"\n",
    "100,000 recipients": HEAD + SUBJECT + b"To: " + b"a@b.example, " * 100_000 + b"\n\n",
    "100,000 references": HEAD + SUBJECT + b"References: " + b"<1@x> " * 100_000 + b"\n\n",
    "references that do not close": HEAD + SUBJECT + b"References: " + b"<1" * 500_000 + b"\n\n",
    "100,000 headers": HEAD + SUBJECT + b"X: y\n" * 100_000 + b"\n",
    "40 levels of parts": _nested(40),
    "5,000 levels of parts": _nested(5000),
    "100,000 mails in mails": _forwarded(100_000),
    "100,000 parts": _parts(100_000),
    "a boundary of 1 MB": HEAD + SUBJECT + b"Content-Type: multipart/mixed; boundary="
    + b"b" * MIB + b"\n\n--b\n",
    "100,000 parameters": HEAD + SUBJECT + b"Content-Type: text/plain"
    + b"; a=b" * 100_000 + b"\n\n",
    "numbered parameters": HEAD + SUBJECT + b"Content-Type: text/plain"
    + b"".join(b"; name*%d*=x" % n for n in range(20_000)) + b"\n\n",
    "quoted-printable without end": HEAD + SUBJECT + b"Content-Transfer-Encoding: "
    b"quoted-printable\n\n" + b"=3D=\n" * 400_000,
    "base64 without end": HEAD + SUBJECT + b"Content-Transfer-Encoding: base64\n\n"
    + base64.encodebytes(b"x" * 2 * MIB),
    "uuencode of nothing": HEAD + SUBJECT + b"Content-Transfer-Encoding: x-uuencode\n\n"
    b"begin 644 x\n" + b"`\n" * 500_000,
    "a hunk of 10^18 lines": HEAD + SUBJECT + b"\n--- a/x\n+++ b/x\n@@ -1,999999999999999999 "
    b"+1,999999999999999999 @@\n" + b" x\n" * 300_000,
    "a hunk header of digits": HEAD + SUBJECT + b"\n--- a/x\n+++ b/x\n@@ -1,"
    + b"9" * 6000 + b" +1 @@\n x\n",
    "[PATCH 9.../9...]": HEAD + b"Subject: [PATCH " + b"9" * 6000 + b"/" + b"9" * 6000 + b"]\n\n",
    "[PATCH v9...]": HEAD + b"Subject: [PATCH v" + b"9" * 6000 + b"]\n\n",
    "a date of digits": HEAD.replace(b"2026", b"9" * 6000) + SUBJECT + b"\n",
    "500,000 dashes": HEAD + SUBJECT + b"\n" + b"--- \n" * 500_000,
}  # fmt: skip


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_that_is_made_to_cost_is_read_in_seconds(name: str) -> None:
    begun = time.process_time()
    for parser in ("thread", "letter", "archive"):
        RUN[parser](MAILS[name])
    assert time.process_time() - begun < 30


def test_what_is_cut_or_too_deep_is_still_a_mail() -> None:
    for name in ("a header of 1 MB", "5,000 levels of parts", "100,000 mails in mails"):
        mail = mbox.read(MAILS[name], name="mail")
        assert (mail.subject, mail.message_id, mail.sender) == (
            "x",
            "1@x.example",
            "a@mail.example",
        )
        assert cover.read(MAILS[name]) is not None
    deep = mbox.read(_nested(40), name="mail")
    assert deep.parts == ("text/plain",), "what somebody might write is read as it is"


def test_counts_that_nobody_writes_are_no_numbers() -> None:
    for name in ("[PATCH 9.../9...]", "[PATCH v9...]"):
        mail = mbox.read(MAILS[name], name="mail")
        assert (mail.number, mail.total, mail.revision) == (None, None, 1)


def test_a_thread_of_mails_that_answer_each_other_in_a_circle_ends() -> None:
    diff = b"\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    first = HEAD + b"Subject: [PATCH 1/2] x\nIn-Reply-To: <2@x.example>\n" + diff
    second = first.replace(b"1/2", b"2/2").replace(b"<2@", b"<3@").replace(b"<1@", b"<2@")
    third = first.replace(b"1/2", b"0/2").replace(b"<1@", b"<3@").replace(b"<2@", b"<1@")
    held = archive.Archive.of([first, second, third])
    with held.reading():
        found, _ = lore.pick(Address("1@x.example", None, "latest"), held)
    assert len(found.patches) == 2


def test_a_thread_of_thousands_of_patches_is_sorted_in_seconds() -> None:
    diff = b"\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    raws = [HEAD + b"Subject: [PATCH 0/2] x\n\n"]
    for number in range(2, 1500):
        head = HEAD.replace(b"<1@", b"<%d@" % number) + b"In-Reply-To: <1@x.example>\n"
        raws.append(head + b"Subject: [PATCH v%d %d/2] x\n" % (number % 7, number % 3) + diff)
    begun = time.process_time()
    assert len(posting.pick(posting.read(raws), "1@x.example").patches) == 2
    assert time.process_time() - begun < 30


@pytest.mark.parametrize("url", ["https://[::1/1-0@x.example/", "http://[/a@b"])
def test_an_address_with_half_a_bracket_is_none(url: str) -> None:
    assert lore.parse(url) is None
    assert public_url("https://me:word@[x/y") == "https://[x/y"


def test_a_gzipped_mailbox_that_is_damaged_inside_is_told() -> None:
    """Found by the fuzzer: zlib's error is no OSError."""
    packed = bytearray(gzip.compress(b"From x " * 100, mtime=0))
    packed[11] ^= 0x55
    with pytest.raises(UserError, match="the gzipped mbox is damaged"):
        mbox.split(bytes(packed))


def test_ids_that_are_no_ascii_stay_out_of_a_reply() -> None:
    answered = Cover("1\xe9@x", "s", "a@x.example", references=("0@x", "2\r@x"))
    made = draft.headers(answered, "s")
    assert made.isascii() and "\r" not in made
    assert "In-Reply-To" not in made and "References: <0@x>\n" in made


TEXTS = {
    "ktap": b"TAP version 13\n" + b"# TAP version 13\n" * 50_000 + b"1..9\nok 1 x\n",
    "console": b"[    1.0] " + b"BUG: " * 200_000 + b"\n" + b"Kernel panic\n" * 20_000 + b"".join(
        word * (MIB // len(word)) + b"\n"
        for word in (b"WARNING: at ", b"INFO: rcu", b"INFO: task ", b":1", b"BUG (a)", b"EXT4-fs ",
                     b" in a", b": f", b"general protection fault ", b"BUG: MAX_", b"kthread ")
    ),
    "telemetry": b"@sample 0 1 interval\n" * 50_000,
    "histogram": b'{"sub_bits": 16, "counts": [' + b"[1, 9], " * 100_000 + b"[1, 1]]}",
    "jsonl": b"[" * MIB + b"\n" + b'{"a":' * 100_000 + b"\n" + b"9" * 6000 + b"\n",
    "spec": b"[" * MIB,
    "registry": b"{a: " * 100_000,
    "nightly": b"- " * 200_000,
    "rules": b"a: " + b"9" * 6000,
    "probe-proc.zoneinfo": b"Node 0, zone DMA\n        protection: (" + b"0, " * 300_000 + b"0)",
    "probe-proc.allocinfo": b"1 1 " + b"x:" * 20_000 + b"\n",
    "probe-proc.vmallocinfo": b"0x1-0x2 1 " + b"x " * 300_000,
    "probe-sys.what": b"a:" * 300_000,
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_made_to_cost_is_read_in_seconds(name: str) -> None:
    begun = time.process_time()
    RUN[name](TEXTS[name])
    assert time.process_time() - begun < 20


def test_a_stream_that_unpacks_without_end_is_cut() -> None:
    packed = gzip.compress(b"\0" * (8 * MIB), mtime=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry, "_MOST", MIB)
        tracemalloc.start()
        assert len(telemetry.unpack(packed)) < 8 * MIB
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
        tracemalloc.stop()


BOMBS = {
    "2026-13-45": "month",
    "!!int": "cannot be read",
    "a: &a [*a]": "holds itself",
    "[" * 2000: "nested",
    "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    ): "more than 100000 values",
}  # fmt: skip


@pytest.mark.parametrize("text", BOMBS)
def test_a_document_that_is_none_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=BOMBS[text]):
        yamlfile.parse(text)


def test_an_honest_document_is_what_it_was() -> None:
    text = "a: &a {b: [1, 2026-01-02]}\nc: *a\n"
    assert yamlfile.parse(text) == yaml.safe_load(text)
    assert json.dumps(yamlfile.parse("{}")) == "{}"
