# SPDX-License-Identifier: GPL-2.0-only
"""A mail thread, in which is more than one thing, made into the one series that is meant.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.series import patchset
from harness.series.mail import mbox
from harness.series.mail.mbox import Mail
from harness.series.patchset import PatchSet
from harness.util.errors import UserError


def read(raws: Sequence[bytes]) -> tuple[Mail, ...]:
    """The mails of a thread, each message-id once."""
    mails = (mbox.read(raw, name=f"mail {number}") for number, raw in enumerate(raws, 1))
    kept: dict[str, Mail] = {}
    for number, mail in enumerate(mails):
        kept.setdefault(mail.message_id or f"none {number}", mail)
    return tuple(kept.values())


def pick(mails: Sequence[Mail], message_id: str, *, revision: str | None = None) -> PatchSet:
    """The series that the mail with ``message_id`` belongs to: patch, cover letter or an answer.

    ``revision`` is None for that very posting, "latest", or like "v3": then another posting of the
    same sender under the same title.  Raises UserError when there is none, and what
    `patchset.assemble` raises for what is missing or contradictory.
    """
    first = _posted(mails, message_id)
    if revision is not None:
        first = _of_revision(mails, first, revision)
    where = f"the posting <{first.message_id}>"
    if first.total is None:
        return patchset.assemble([first], where=where)
    # Answers can hold patches of their own, and a revision can be sent into the thread of another.
    same = (first.sender, first.revision, first.total)
    family = [
        mail
        for mail in mails
        if not mail.reply and (mail.sender, mail.revision, mail.total) == same
    ]
    family.sort(key=lambda mail: mail is not first)  # of copies the one that was named counts
    ids = {mail.message_id for mail in family}
    others = [
        f"left out another patch of the thread: {mail.subject}"
        for mail in mails
        if mail.diff
        and not mail.reply
        and mail not in family
        and (mail.total, mail.sender) == (None, first.sender)
        and ids.intersection(mail.parents)
    ]
    picked = patchset.assemble(family, where=where)
    return replace(picked, notes=(*picked.notes, *others))


def family(mails: Sequence[Mail], message_id: str) -> tuple[Mail, ...]:
    """The first mails of all postings of a series: cover letters, or patches that stand alone.

    They are by the sender of the one that the mail belongs to, under its title or with its
    change-id; a posting of somebody else with that change-id is not this series.
    """
    head = _head(mails, _posted(mails, message_id))
    return tuple(
        mail
        for mail in mails
        if _is_head(mail)
        and mail.sender == head.sender
        and (mail.subject == head.subject or (head.change_id or 0) == mail.change_id)
    )


def cover_id(mails: Sequence[Mail], message_id: str) -> str:
    """The id of the first mail of the series that a mail belongs to: its cover letter or patch."""
    return str(_head(mails, _posted(mails, message_id)).message_id)


def _head(mails: Sequence[Mail], first: Mail) -> Mail:
    for parent in first.parents:
        for mail in mails:
            if mail.message_id == parent and _is_head(mail) and mail.revision == first.revision:
                return mail
    return first


def _posted(mails: Sequence[Mail], message_id: str) -> Mail:
    """The mail itself, or the nearest one above it that was posted and is no answer."""
    by_id = {mail.message_id: mail for mail in mails if mail.message_id}
    mail = by_id.get(message_id)
    if mail is None:
        raise UserError(f"there is no mail <{message_id}> in its own thread")
    for one in (mail, *(by_id[id_] for id_ in reversed(mail.parents) if id_ in by_id)):
        if not one.reply and (one.diff or one.number is not None):
            return one
    raise UserError(
        f"<{message_id}> ('{mail.subject}') is no patch and answers none: give the message-id of "
        "the series' cover letter"
    )


def _of_revision(mails: Sequence[Mail], first: Mail, revision: str) -> Mail:
    head = _head(mails, first)
    heads = [
        mail
        for mail in mails
        if _is_head(mail) and (mail.sender, mail.subject) == (head.sender, head.subject)
    ]
    if not heads:
        raise UserError(
            f"'{head.subject}' <{head.message_id}> has no cover letter in its thread, by which its "
            "other revisions could be found: give the message-id of the one you mean"
        )
    numbers = sorted({mail.revision for mail in heads})
    wanted = numbers[-1] if revision == "latest" else int(revision.removeprefix("v"))
    for mail in heads:
        if mail.revision == wanted:
            return mail
    known = ", ".join(f"v{number}" for number in numbers)
    raise UserError(
        f"no revision {revision} of '{head.subject}' was found (there is {known}): give the "
        "message-id of its cover letter"
    )


def _is_head(mail: Mail) -> bool:
    """Whether a mail is a cover letter, or a patch that stands alone."""
    return not mail.reply and (mail.number == 0 or (mail.number is None and mail.diff != b""))
