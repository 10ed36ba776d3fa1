# SPDX-License-Identifier: GPL-2.0-only
"""Mails parsed, and their headers decoded, whatever is in them.  Pure; nothing here raises.

Python's parser nests as deeply as a mail does, and takes the square of a header's length for some:
so headers are cut, and a mail whose parts nest without end is taken for plain text.
"""

from __future__ import annotations

import binascii
import datetime
import email.errors
import email.header
import email.message
import email.parser
import email.policy
import email.utils
import re
from collections.abc import Iterable

_LONGEST = 16 << 10
"""Bytes of one header: several hundred recipients or references."""
_MOST = 256 << 10
"""Bytes of all headers together."""
_DEEPEST = 50
_MESSAGE_ID = re.compile(r"<([^<>\s]+)>")
_ENCODED = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?]*\?=(?:\s+=\?[^?\s]+\?[bqBQ]\?[^?]*\?=)*")
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")


def parse(raw: bytes, *, headers_only: bool = False) -> email.message.Message:
    """A mail with the line ends of Unix; its parts can be walked."""
    parser = email.parser.BytesParser(policy=email.policy.compat32)
    raw = _cut(raw)
    if not headers_only:
        try:
            message = parser.parsebytes(raw)
            if not _is_deep(message):
                return message
        except RecursionError:
            pass
    message = parser.parsebytes(raw, headersonly=True)
    if not headers_only:
        del message["Content-Type"]
    return message


def plain(value: object) -> str:
    """A header as text, encoded words as they are; bytes above 127 are UTF-8, else Latin-1."""
    if not isinstance(value, email.header.Header):
        return str(value or "")[:_LONGEST]
    try:
        parts = [
            part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
            for part, _ in email.header.decode_header(value)
        ]
    except (ValueError, LookupError, email.errors.MessageError):
        return str(value)
    raw = b"".join(parts)[:_LONGEST]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def decoded(value: object) -> str:
    """The text of a header; undecodable parts as they are."""
    text = plain(value)
    # The library takes the text between encoded words for ASCII.
    return _decoded(text) if text.isascii() else _ENCODED.sub(lambda one: _decoded(one[0]), text)


def _decoded(text: str) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (ValueError, LookupError, email.errors.MessageError, binascii.Error):
        return text


def message_ids(text: str) -> list[str]:
    """The message-ids in a header, in order, without < and >."""
    return _MESSAGE_ID.findall(text)


def date(value: str) -> datetime.datetime | None:
    """The time that a Date header states, in UTC; None if it cannot be read."""
    try:
        return email.utils.parsedate_to_datetime(value.strip()).astimezone(datetime.UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def addresses(values: Iterable[object]) -> list[tuple[str, str]]:
    """(shown name, address) of each address in headers; none in one that cannot be read."""
    found = []
    for value in values:
        try:
            found += email.utils.getaddresses([" ".join(plain(value).split())])
        except (RecursionError, ValueError, IndexError):  # comments in comments
            continue
    return found


def address(value: str) -> tuple[str, str]:
    """(shown name, address) of the one in a header; empty texts where there is none."""
    try:
        return email.utils.parseaddr(value[:_LONGEST])
    except (RecursionError, ValueError, IndexError):
        return "", ""


def _cut(raw: bytes) -> bytes:
    """The mail with headers of a length that is read in no time; most mails as they are."""
    end = raw.find(b"\n\n")
    head, body = (raw, b"") if end < 0 else (raw[: end + 1], raw[end + 1 :])
    if len(head) <= _LONGEST:
        return raw
    kept, size = [], 0
    for match in _FIELD.finditer(head):
        field = match[0] if len(match[0]) <= _LONGEST else match[0][:_LONGEST].rstrip() + b"\n"
        size += len(field)
        if size > _MOST:
            break
        kept.append(field)
    return b"".join(kept) + body


def _is_deep(message: email.message.Message) -> bool:
    """Whether parts lie in parts beyond what anybody writes.

    Only lists of parts are asked for: of a text the library would decode it, by whatever the
    mail calls its charset.
    """
    level = [message]
    for _ in range(_DEEPEST):
        level = [
            part
            for one in level
            if one.is_multipart()
            for part in one.get_payload()
            if isinstance(part, email.message.Message)
        ]
        if not level:
            return False
    return True
