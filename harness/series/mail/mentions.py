# SPDX-License-Identifier: GPL-2.0-only
"""What a mail's text names besides its patch: a change-id, and other mails.  Pure."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from urllib.parse import unquote

from harness.series.mail import mbox
from harness.util import header

_CHANGE_ID = re.compile(rb"^change-id: (\S+)\s*$", re.MULTILINE)
_URL = re.compile(rb"https?://[^\s<>\"]{1,400}")
_BARE = re.compile(rb"<([^<>\s@]{0,200}\d{6}[^<>\s@]{0,200}@[^<>\s@]{1,200})>")
_MOST = 64
"""Links of one mail."""


def read(raw: bytes, *, links: bool) -> tuple[str | None, tuple[str, ...]]:
    """The change-id, and the ids of the mails that are linked to; without parsing most mails."""
    raw = raw.replace(b"\r\n", b"\n")
    head = raw[:8192].lower()
    if b"base64" in head:
        text = b"\n".join(mbox.texts(header.parse(raw)))
    else:
        text = raw.partition(b"\n\n")[2]
        if links and b"quoted-printable" in head:
            text = quopri.decodestring(text)
    found = _CHANGE_ID.search(text)
    change = found[1].decode(errors="replace") if found else None
    return change, tuple(dict.fromkeys(_links(text)))[:_MOST] if links else ()


def _links(text: bytes) -> Iterator[str]:
    text = text.partition(b"\ndiff --git ")[0]
    if b"://" in text:
        for url in _URL.findall(text):
            for word in url.split(b"/")[3:]:
                if b"@" in word or b"%40" in word:
                    yield unquote(word.decode(errors="replace").split("#")[0].rstrip(".,;:)>"))
                    break
    for one in _BARE.findall(text):
        yield one.decode(errors="replace")
