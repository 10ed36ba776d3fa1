# SPDX-License-Identifier: GPL-2.0-only
"""The headers of a posted mail that an answer to it needs, and its text.  Pure."""

from __future__ import annotations

import email.message
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.util import header


@dataclass(frozen=True, slots=True)
class Cover:
    """A mail by its headers, decoded.

    message_id, references: ids without < and >, the thread's first mail first
    subject: whole, with [PATCH ...]; sender, to, cc: "Name <address>" each; date: as it was sent
    """

    message_id: str
    subject: str
    sender: str
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: str = ""


def read(raw: bytes) -> Cover | None:
    """The headers of one mail; None if it has no Message-ID or no sender: nobody posted it."""
    message = _parse(raw)
    ids = header.message_ids(_decoded(message, "Message-ID"))
    senders = _addresses(message, "From")
    if not ids or not senders:
        return None
    parents = header.message_ids(f"{message['References']} {message['In-Reply-To']}")
    return Cover(
        message_id=ids[0],
        subject=_decoded(message, "Subject"),
        sender=senders[0],
        to=_addresses(message, "To"),
        cc=_addresses(message, "Cc"),
        references=tuple(dict.fromkeys(one for one in parents if one != ids[0])),
        date=_decoded(message, "Date"),
    )


def find(raws: Iterable[bytes], message_id: str | None) -> Cover | None:
    """The headers of the mail with that id; None if it is not there."""
    raw = find_raw(raws, message_id)
    return read(raw) if raw is not None else None


def find_raw(raws: Iterable[bytes], message_id: str | None) -> bytes | None:
    """The mail with that id; None if it is not there."""
    for raw in raws if message_id else ():
        if message_id in ids(raw):
            return raw
    return None


def ids(raw: bytes) -> list[str]:
    """The message-id of a mail, in a list that is empty where it has none."""
    return header.message_ids(_decoded(_parse(raw, headers=True), "Message-ID"))


def text(raw: bytes) -> str:
    """The first plain text of a mail, decoded; "" if it has none."""
    for part in _parse(raw).walk():
        payload = part.get_payload(decode=True)
        if part.get_content_type() == "text/plain" and isinstance(payload, bytes):
            charset = part.get_content_charset() or "utf-8"
            try:
                return payload.decode(charset, "replace").replace("\r\n", "\n")
            except (LookupError, ValueError):  # no codec has a NUL in its name
                return payload.decode("utf-8", "replace").replace("\r\n", "\n")
    return ""


def as_data(cover: Cover) -> dict[str, Any]:
    """Plain values for JSON; `from_data` undoes it."""
    return asdict(cover)


def from_data(data: Mapping[str, Any]) -> Cover | None:
    """A cover from a manifest; None if what is there is none."""
    if not isinstance(data.get("message_id"), str) or not isinstance(data.get("sender"), str):
        return None

    def texts(key: str) -> tuple[str, ...]:
        value = data.get(key)
        return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()

    return Cover(
        message_id=data["message_id"],
        subject=str(data.get("subject") or ""),
        sender=data["sender"],
        to=texts("to"),
        cc=texts("cc"),
        references=texts("references"),
        date=str(data.get("date") or ""),
    )


def _parse(raw: bytes, *, headers: bool = False) -> email.message.Message:
    return header.parse(raw.replace(b"\r\n", b"\n"), headers_only=headers)


def _decoded(message: email.message.Message, name: str) -> str:
    """A header on one line; undecodable parts as they are."""
    return " ".join(header.decoded(message[name]).split())


def _addresses(message: email.message.Message, name: str) -> tuple[str, ...]:
    """The addresses of a header; names are decoded after the commas have been read."""
    found = []
    for shown, address in header.addresses(message.get_all(name, [])):
        if "@" in address:
            holder = email.message.Message()
            holder["X"] = shown
            decoded = _decoded(holder, "X")
            found.append(f"{_quoted(decoded)} <{address}>" if decoded else address)
    return tuple(dict.fromkeys(found))


def _quoted(name: str) -> str:
    """A display name, in quotes where it has a character that means something in an address."""
    if re.search(r'[()<>@,;:\\".\[\]]', name):
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return name
