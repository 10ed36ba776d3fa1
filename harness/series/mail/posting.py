# SPDX-License-Identifier: GPL-2.0-only
"""A mail thread, in which is more than one thing, made into the one series that is meant.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.series import patchset
from harness.series.mail import later, mbox
from harness.series.mail.mbox import Mail
from harness.series.mail.thread import Sending, Thread, called
from harness.series.patchset import PatchSet
from harness.util.errors import UserError


def read(raws: Sequence[bytes]) -> tuple[Mail, ...]:
    """The mails of a thread, each message-id once."""
    mails = (mbox.read(raw, name=f"mail {number}") for number, raw in enumerate(raws, 1))
    kept: dict[str, Mail] = {}
    for number, mail in enumerate(mails):
        kept.setdefault(mail.message_id or f"none {number}", mail)
    return tuple(kept.values())


def pick(mails: Sequence[Mail], message_id: str, *, fixes: bool = False) -> PatchSet:
    """The series that the mail with ``message_id`` belongs to: patch, cover letter or an answer.

    With ``fixes`` later patches of the same posting are taken too.  Raises UserError when there is
    none, and what `patchset.complete` raises for what is missing or contradictory.
    """
    known = Thread(mails)
    first = posted(known, message_id)
    sending = known.sending(first)
    if fixes:
        sending = later.taken(sending, _beside(known, sending))
    return _picked(known, sending, first)


def _picked(known: Thread, sending: Sending, first: Mail) -> PatchSet:
    """The patches of the sending that ``first`` was asked for; UserError if it is not whole."""
    where = f"the posting <{first.message_id}>"
    covers: list[Mail] = []
    if sending.cover is not None:
        named = first if known.is_cover(first) else sending.cover
        covers = [named, *(one for one in known.copies(sending.cover) if one is not named)]
    found = patchset.complete(sending, covers, where=where)
    doubts = [*found.doubts]
    if sending.total is None and first.diff:
        doubts += _of_a_series(known, first)
    if first in sending.others:
        doubts.append(f"the mail that was asked for is not among the patches: {called(first)}")
    head = sending.head if sending.cover else found.patches[0]
    left = (
        f"left out another patch of the thread: {one.subject}" for one in _beside(known, sending)
    )
    notes = [*found.notes, *left]
    return replace(found, head=head.message_id, doubts=tuple(doubts), notes=tuple(notes))


def posted(known: Thread, message_id: str) -> Mail:
    """The mail itself, or the nearest one above it that was posted and is no answer.

    Raises UserError when there is none.
    """
    mail: Mail | None = known.by_id.get(message_id)
    if mail is None:
        raise UserError(f"there is no mail <{message_id}> in its own thread")
    ids = [parent for parent in reversed(mail.parents) if parent in known.by_id]
    for one in (mail, *(known.by_id[parent] for parent in ids)):
        if not one.reply and (one.diff or one.number is not None or known.is_cover(one)):
            return one
    raise UserError(
        f"<{message_id}> ('{mail.subject}') is no patch and answers none: give the message-id of "
        "the series' cover letter"
    )


def _of_a_series(known: Thread, patch: Mail) -> list[str]:
    """What to say of a patch without a number that was sent into the thread of a series."""
    above = next((one for one in known.upward(patch) if not one.reply), None)
    if above is None or above.number is None or not known.sending(above).patches:
        return []
    head = known.sending(above).head
    return [f"only the one patch that was sent into the thread of {called(head)}"]


def _beside(known: Thread, sending: Sending) -> list[Mail]:
    """Patches without a number that the sender of the series sent into its thread, and not in it.

    One that answers a mail that is not at hand is known by its blob ids.
    """
    if sending.total is None:
        return []
    ids = {mail.message_id for mail in (*sending.patches, sending.head)}
    return [
        mail
        for mail in known.mails
        if mail.diff and not mail.reply and mail.number is None
        and mail.sender == sending.head.sender and mail.message_id not in ids
        and (ids.intersection(mail.parents) or later.on_top(mail, sending.patches))
    ]  # fmt: skip
