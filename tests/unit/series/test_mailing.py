# SPDX-License-Identifier: GPL-2.0-only
"""What mail does to patches: handled, or named with the patch it happened to."""

from __future__ import annotations

import base64
import quopri
from email.message import EmailMessage
from pathlib import Path

import pytest

from harness.series import series
from harness.series.mail import mbox, posting
from harness.series.patchset import assemble
from harness.source.gitstore import GitStore
from harness.util.errors import UserError
from harness.util.sandbox import OFF
from tests.fakes import inbox, tree


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return inbox.author(tmp_path / "linux", tree.FILES)


def written(folder: Path, mails: list[bytes]) -> Path:
    path = folder / "thread.mbox"
    path.write_bytes(mbox.join(mails))
    return path


def applied(folder: Path, mails: list[bytes], repo: Path) -> str:
    """The tree that the mails make of the base."""
    store = GitStore(folder / "store.git")
    store.ensure()
    base = store.fetch(str(repo), "v6.12")
    loaded = series.load(str(written(folder, mails)), registry=folder)
    made = series.apply(loaded, store=store, base_commit=base, scratch=folder / "s", sandbox=OFF)
    return made.tree


def parts(raw: bytes) -> tuple[dict[str, str], str, str]:
    """Headers, message and diff of a plain patch mail."""
    head, _, body = raw.decode().partition("\n\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    message, _, diff = body.partition("---\n")
    return fields, message, diff


def attached(raw: bytes, kind: str, name: str) -> bytes:
    """The same patch as an attachment."""
    fields, message, diff = parts(raw)
    mail = EmailMessage()
    for key, value in fields.items():
        mail[key] = value
    mail.set_content(message)
    main, _, sub = kind.partition("/")
    mail.add_attachment(f"---\n{diff}".encode(), maintype=main, subtype=sub, filename=name)
    return mail.as_bytes()


def encoded(raw: bytes, how: str) -> bytes:
    head, _, body = raw.partition(b"\n\n")
    if how == "crlf":
        return raw.replace(b"\n", b"\r\n")
    body = body.replace(b"\n", b"\r\n")
    body = base64.encodebytes(body) if how == "base64" else quopri.encodestring(body)
    extra = "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    return head + f"{extra}Content-Transfer-Encoding: {how}".encode() + b"\n\n" + body


@pytest.mark.parametrize("how", ["crlf", "base64", "quoted-printable"])
def test_encodings_of_one_mail_of_the_series(repo: Path, tmp_path: Path, how: str) -> None:
    mails = inbox.mailed(repo)
    mails[2] = encoded(mails[2], how)
    assert applied(tmp_path, mails, repo) == inbox.git(repo, "rev-parse", "main^{tree}").strip()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("text/x-patch", "0001-x.patch"),
        ("text/plain", "notes.txt"),
        ("application/octet-stream", "0001-x.patch"),
        ("application/x-patch", "fix.diff"),
    ],
)
def test_an_attached_patch_is_taken(repo: Path, tmp_path: Path, kind: str, name: str) -> None:
    mails = inbox.mailed(repo)
    plain = applied(tmp_path, mails, repo)
    mails[1] = attached(mails[1], kind, name)
    (tmp_path / "two").mkdir()
    assert applied(tmp_path / "two", mails, repo) == plain
    read = mbox.read(mails[1], name="")
    assert read.canonical == mbox.read(mails[1], name="").canonical
    assert b"boundary" not in read.canonical


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/pdf"])
def test_an_attachment_that_is_no_patch_is_named(repo: Path, tmp_path: Path, kind: str) -> None:
    mails = inbox.mailed(repo)
    mails[1] = attached(mails[1], kind, "winmail.dat")
    complaint = rf"lacks patch 1 of 2; 'mm/swap\.c: say more' <1-1@.*no diff.*{kind}"
    with pytest.raises(UserError, match=complaint):
        series.load(str(written(tmp_path, mails)), registry=tmp_path)


def test_a_mail_in_html_is_named(repo: Path, tmp_path: Path) -> None:
    mails = inbox.mailed(repo)
    mails[2] = mails[2].replace(b"\n\n", b"\nContent-Type: text/html; charset=utf-8\n\n", 1)
    with pytest.raises(UserError, match=r"lacks patch 2 of 2; 'mm/page\.c.*text/html"):
        series.load(str(written(tmp_path, mails)), registry=tmp_path)


def test_a_wrong_count_is_named(repo: Path, tmp_path: Path) -> None:
    mails = inbox.mailed(repo)
    more = mails[2].replace(b"2/2", b"3/2").replace(b"<1-2@", b"<1-3@")
    loaded = series.load(str(written(tmp_path, [*mails, more])), registry=tmp_path)
    assert loaded.doubts == (
        "left out a later patch 3/2: 'mm/page.c: say more' <1-3@mail.example>",
    )
    apart = [one.replace(b"In-Reply-To", b"X-To").replace(b"References", b"X-Too")
             for one in (*mails, more)]  # fmt: skip
    with pytest.raises(UserError, match="holds a patch 3 of 2"):
        series.load(str(written(tmp_path, apart)), registry=tmp_path)
    mails[1] = mails[1].replace(b"1/2", b"1/3")
    with pytest.raises(UserError, match="of 2 and of 3"):
        series.load(str(written(tmp_path, mails)), registry=tmp_path)


def test_a_duplicate_mail_counts_once(repo: Path, tmp_path: Path) -> None:
    mails = inbox.mailed(repo)
    footer = mails[1] + b"_______\nlist mailing list\n"
    assert (
        applied(tmp_path, [mails[0], footer, *mails, mails[2]], repo)
        == inbox.git(repo, "rev-parse", "main^{tree}").strip()
    )


def test_resent_covers_with_two_bases_are_told(repo: Path) -> None:
    mails = inbox.mailed(repo)
    base = mbox.read(mails[0], name="").base_commit or ""
    other = mails[0].replace(b"<1-0@", b"<1-0b@").replace(base.encode(), b"1" * 40)
    found = assemble([mbox.read(raw, name="") for raw in [*mails, other]], where="x")
    assert found.base_commit == base
    assert found.notes == (
        "the cover letter was posted 2 times, the first one counts; "
        f"they name different bases: {'1' * 40}, {base}",
    )
    named = posting.pick(posting.read([*mails, other]), "1-0b@mail.example")
    assert named.base_commit == "1" * 40, "of copies the one that was asked for counts"


def test_a_series_with_an_answer_of_the_same_author_stays_whole(repo: Path) -> None:
    mails = inbox.mailed(repo)
    reply = inbox.answer("1-1@mail.example", "Re: [PATCH 1/2] x", "> diff", sender=inbox.DEV)
    picked = posting.pick(posting.read([reply, *mails]), "1-2@mail.example")
    assert len(picked.patches) == 2
    lost = inbox.answer("gone@mail.example", "Re: what", "?")
    with pytest.raises(UserError, match="is no patch and answers none"):
        posting.pick(posting.read([lost]), mbox.read(lost, name="").message_id or "")
