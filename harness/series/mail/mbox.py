# SPDX-License-Identifier: GPL-2.0-only
"""Patch mails: an mbox split into mails, a mail read into a patch.  Pure: nothing is run."""

from __future__ import annotations

import email.message
import email.utils
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.series.mail import subject
from harness.series.mail.subject import SubjectLine
from harness.util import header
from harness.util.errors import UserError

# Without a time and a year it is a sentence of somebody's text.
_FROM_LINE = re.compile(rb"^From (?=.*\d:\d\d)(?=.*(?<!\d)(?:19|20)\d\d(?!\d))\S.*$")
_OWN_FROM = b"From harness@localhost Thu Jan  1 00:00:00 1970\n"
_FIELD = re.compile(rb"[!-9;-~]{1,100}:|>?From ")
_NAMED = re.compile(rb"(?:from|subject|date|message-id|received|return-path):", re.IGNORECASE)
_IN_BODY = re.compile(rb"(?:from|date|subject|cc|to|message-id):", re.IGNORECASE)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d{1,12}))? \+\d+(?:,(\d{1,12}))? @@")
_BASE_COMMIT = re.compile(rb"^base-commit: ([0-9a-f]{40})\s*$", re.MULTILINE)
_NEEDS = re.compile(
    rb"^((?:prerequisite-[a-z-]{1,20}|base-tree): +\S[^\n]{0,200}?)[ \t]*$", re.MULTILINE
)
_CHANGE_ID = re.compile(rb"^change-id: (\S+)\s*$", re.MULTILINE)
_FILE_HEADERS = (
    b"diff --git ", b"index ", b"old mode ", b"new mode ", b"new file mode ",
    b"deleted file mode ", b"similarity index ", b"dissimilarity index ", b"rename ", b"copy ",
)  # fmt: skip
_KEPT = ("From", "Date", "Subject", "Message-ID", "MIME-Version", "Content-Type",
         "Content-Transfer-Encoding")  # fmt: skip
_UNKNOWN_AUTHOR = "unknown author <unknown@localhost>"
_EPOCH = "Thu, 01 Jan 1970 00:00:00 +0000"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail or patch file.

    ``subject``, ``number`` and so on to ``kernel`` are as `SubjectLine` has them, ``shown`` is the
    whole subject; ``reply`` is whether the mail is an answer.  ``diff`` is the diff alone, decoded,
    b"" if there is none; ``parts`` are the content types in which one was looked for.
    ``parents`` are the ids of the mails it answers, the
    nearest one last.  ``sender`` is the bare address, ``date`` in seconds since the epoch or 0.
    ``change_id`` is what b4 calls a series by in all of its revisions.
    ``needs`` are its lines ``prerequisite-...:`` and ``base-tree:``.
    ``canonical`` is the mail with only the headers that a commit is made of, as git am takes it.
    """

    subject: str
    number: int | None
    total: int | None
    revision: int
    reply: bool
    message_id: str | None
    diff: bytes
    base_commit: str | None
    canonical: bytes
    sender: str = ""
    parents: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    change_id: str | None = None
    later: str = ""
    stated: bool = False
    rfc: bool = False
    kernel: str = ""
    shown: str = ""
    date: int = 0
    needs: tuple[str, ...] = ()

    @property
    def is_cover(self) -> bool:
        """Whether it is numbered as a cover letter and posted as one."""
        return self.number == 0 and not self.later and not self.reply

    @property
    def label(self) -> str:
        """v3 or RFC-v3."""
        return f"{'RFC-' if self.rfc else ''}v{self.revision}"

    @property
    def sha256(self) -> str:
        """The hash of all that enters the commit."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def change(self) -> bytes:
        """The diff without what depends on who made it: the abbreviated blob ids."""
        return b"".join(
            line for line in self.diff.splitlines(True) if not line.startswith(b"index ")
        )


def split(data: bytes) -> tuple[bytes, ...]:
    """The mails of an mbox (also gzipped), without From lines; a single mail gives one.

    Quoting of the mboxrd kind (``>From``), as public-inbox serves it, is undone.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                data = stream.read(_MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"the gzipped mbox is damaged: {error}") from error
    if len(data) > _MAX_BYTES:
        raise UserError(f"the mbox is larger than {_MAX_BYTES >> 20} MiB: save the thread alone")
    mails: list[list[bytes]] = []
    blank = True
    lines = data.replace(b"\r\n", b"\n").splitlines(True)
    for number, line in enumerate(lines):
        if line.startswith(b"From ") and _begins(lines, number, blank=blank):
            mails.append([])
        elif mails or line.strip():
            if not mails:
                mails.append([])
            mails[-1].append(re.sub(rb"^>(>*From )", rb"\1", line))
        blank = not line.strip()
    return tuple(b"".join(mail) for mail in mails)


def _begins(lines: Sequence[bytes], number: int, *, blank: bool) -> bool:
    """Whether a From line begins a mail, and is no sentence of one: what follows are headers.

    Not every mailbox has an empty line before it.
    """
    if not _FROM_LINE.match(lines[number]):
        return False
    if blank and (number == 0 or lines[number] == _OWN_FROM):
        return True
    head = list(_head(lines, number + 1))
    return bool(head) if blank else any(_NAMED.match(line) for line in head)


def _head(lines: Sequence[bytes], number: int) -> Iterator[bytes]:
    """The lines of headers from there on, at most a hundred."""
    for line in lines[number : number + 100]:
        if not _FIELD.match(line) and line[:1] not in (b" ", b"\t"):
            return
        yield line


def join(mails: Iterable[bytes]) -> bytes:
    """An mbox of the mboxrd kind; `split` undoes it."""
    parts = []
    for mail in mails:
        quoted = re.sub(rb"^(>*From )", rb">\1", mail, flags=re.MULTILINE)
        end = b"\n" if quoted.endswith(b"\n") else b"\n\n"
        parts.append(_OWN_FROM + quoted + end)
    return b"".join(parts)


def read(raw: bytes, *, name: str) -> Mail:
    """Read one mail, or one patch file with or without mail headers.

    ``name`` names it in errors and serves as subject when it has none.  Raises UserError for a
    date that cannot be read.
    """
    raw = raw.replace(b"\r\n", b"\n")
    if _FROM_LINE.match(raw.split(b"\n", 1)[0]):
        raw = raw.split(b"\n", 1)[1] if b"\n" in raw else b""
    message = header.parse(raw)
    if message["From"] is None:
        raw = _dress(raw, message, name)
        message = header.parse(raw)
    parts = list(texts(message))
    text = b"\n".join(parts)
    shown = " ".join(header.decoded(message["Subject"]).split()) or name
    said = _said(shown, text)
    base = _BASE_COMMIT.search(text)
    change = _CHANGE_ID.search(text)
    ids = header.message_ids(header.decoded(message["Message-ID"]))
    answered = header.decoded(message["In-Reply-To"])
    parents = header.message_ids(f"{message['References']} {answered}")
    sent = header.date(str(message["Date"] or ""))
    return Mail(
        subject=said.title,
        number=said.number,
        total=said.total,
        revision=said.revision,
        reply=said.reply or bool(said.prefix and parents),
        message_id=ids[0] if ids else None,
        diff=extract_diff(text),
        base_commit=base[1].decode() if base else None,
        canonical=_canonical(message, parts if message.is_multipart() else raw, name),
        sender=header.address(header.decoded(message["From"]))[1].lower(),
        parents=tuple(parents),
        parts=tuple(part.get_content_type() for part in message.walk() if not part.is_multipart()),
        change_id=change[1].decode(errors="replace") if change else None,
        later=said.later,
        stated=said.stated,
        rfc=said.rfc,
        kernel=said.kernel,
        shown=shown,
        date=int(sent.timestamp()) if sent else 0,
        needs=_needs(text),
    )


def _needs(text: bytes) -> tuple[str, ...]:
    """What git and b4 write of patches that must be applied before, and of the tree."""
    if b"prerequisite-" not in text and b"base-tree:" not in text:
        return ()
    return tuple(one.decode(errors="replace") for one in _NEEDS.findall(text))


def _said(shown: str, text: bytes) -> SubjectLine:
    """What the subject says, and one at the top of the text: its title is the commit's."""
    said = subject.read(shown)
    fields: list[bytes] = []
    for line in text.lstrip().split(b"\n", 20)[:20]:
        if _IN_BODY.match(line):
            fields.append(line)
        elif fields and line[:1] in (b" ", b"\t") and line.strip():
            fields[-1] += line
        else:
            break
    own = next((one[8:] for one in fields if one[:8].lower() == b"subject:"), b"")
    if said.reply or not own.strip():
        return said
    stated = subject.read(" ".join(header.decoded(own.decode(errors="replace")).split()))
    return replace(stated if said.number is None else said, title=stated.title)


def extract_diff(text: bytes) -> bytes:
    """The diff in a mail's text: file headers, and hunks by their own counts, nothing else."""
    kept: list[bytes] = []
    lines = text.splitlines(True)
    started = binary = False
    old = new = 0
    for number, line in enumerate(lines):
        if old > 0 or new > 0:
            kept.append(line)
            old -= line[:1] in (b" ", b"-", b"\n")
            new -= line[:1] in (b" ", b"+", b"\n")
            continue
        hunk = _HUNK.match(line) if started else None
        if hunk:
            old, new = (int(n) if n is not None else 1 for n in hunk.groups())
            kept.append(line)
        elif line.rstrip(b"\n") == b"-- ":
            started = False  # the signature; list footers come after it
        elif _starts_file(lines, number) or (started and line.startswith(_FILE_HEADERS)):
            started, binary = True, False
            kept.append(line)
        elif kept and kept[-1].startswith(b"--- ") and line.startswith(b"+++ "):
            kept.append(line)
        elif started and (binary or line.startswith((b"GIT binary patch", b"\\ "))):
            binary = binary or line.startswith(b"GIT")
            kept.append(line)
    return b"".join(kept)


def _starts_file(lines: list[bytes], number: int) -> bool:
    line = lines[number]
    if line.startswith(b"diff --git "):
        return True
    following = lines[number + 1] if number + 1 < len(lines) else b""
    return line.startswith(b"--- ") and following.startswith(b"+++ ")


def _dress(raw: bytes, message: email.message.Message, name: str) -> bytes:
    """A patch file without mail headers, as from quilt, becomes a mail with fixed headers."""
    stated = header.plain(message["Subject"] or message["Description"] or name)
    stated = " ".join(stated.split()) or name
    head = f"From: {_UNKNOWN_AUTHOR}\nDate: {_EPOCH}\nSubject: {stated}\n\n"
    return head.encode("utf-8", "surrogateescape") + raw


def _canonical(message: email.message.Message, raw: bytes | list[bytes], name: str) -> bytes:
    """The mail for git am; ``raw`` is the whole mail, or the decoded parts of one in parts."""
    fields = {key.lower(): value for key, value in reversed(list(message.raw_items()))}
    fields.setdefault("date", _EPOCH)
    if email.utils.parsedate_tz(str(fields["date"])) is None:
        raise UserError(f"{name} has the Date {fields['date']!r}, which is not a date")
    if not fields.get("subject"):
        fields["subject"] = name
    if isinstance(raw, bytes):
        body = raw.partition(b"\n\n")[2]
    else:
        # A patch in an attachment: git am takes text only, and only of some types.
        body = b"\n".join(raw)
        fields |= {"content-type": "text/plain; charset=UTF-8", "content-transfer-encoding": "8bit"}
    head = "".join(f"{key}: {fields[key.lower()]}\n" for key in _KEPT if key.lower() in fields)
    # Archives differ in the empty lines at the end; three can be stripped context lines of a hunk.
    return head.encode("utf-8", "surrogateescape") + b"\n" + body.rstrip(b"\n") + b"\n" * 4


def texts(message: email.message.Message) -> Iterator[bytes]:
    """The decoded text parts and attached patches, with the line ends of Unix."""
    for part in message.walk():
        text = part.get_content_maintype() == "text" and part.get_content_subtype() != "html"
        if text or (part.get_filename() or "").endswith((".patch", ".diff")):
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                yield payload.replace(b"\r\n", b"\n")
