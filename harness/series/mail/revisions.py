# SPDX-License-Identifier: GPL-2.0-only
"""The other postings of a series: by change-id, links, thread, title and titles of patches.

Only the index of an archive is asked: no mail is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.series.mail import subject
from harness.series.mail.archive import Archive, ArchivedMail, topic
from harness.series.mail.subject import SubjectLine
from harness.series.mail.thread import BATCH

_MOST_POSTINGS = 200
_MOST_TITLES = 40
_MOST_TITLED = 100
"""Mails under one title; one that has more says nothing."""
_CHANGE, TITLE, _PATCHES = "its change-id", "its title", "its patches"
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class PostedSeries:
    """One posting by the headers of its mails; ``by`` tells how it was found, "" for the asked one.

    head: the cover letter, or the first patch
    """

    head: ArchivedMail
    said: SubjectLine
    patches: tuple[ArchivedMail, ...]
    changes: frozenset[str]
    above: frozenset[str]
    links: frozenset[str]
    by: str = ""

    @property
    def label(self) -> str:
        """v3 or RFC-v3."""
        return f"{'RFC-' if self.said.rfc else ''}v{self.said.revision}"

    @property
    def ids(self) -> frozenset[str]:
        """The message-ids of all of its mails."""
        return frozenset([self.head.message_id, *(one.message_id for one in self.patches)])

    @property
    def topics(self) -> frozenset[str]:
        """The titles of its patches."""
        return frozenset(topic(one.title) for one in self.patches)


def family(archive: Archive, message_id: str) -> tuple[PostedSeries, ...]:
    """All postings of the series that a cover letter or first patch heads, oldest first.

    Another address is of the same person where the name is the same; postings of somebody else
    count where half of the patches have the same titles, and something else names them.
    """
    mail = archive.mail(message_id)
    first = _posting(archive, mail) if mail else None
    if first is None:
        return ()
    known = {first.head.message_id: first}
    refused: set[tuple[str, str]] = set()
    todo = deque([first])
    while todo and len(known) < _MOST_POSTINGS:
        one = todo.popleft()
        for candidate in _candidates(archive, one):
            head = _head(archive, candidate)
            if head is None or head.message_id in known:
                continue
            key = (one.head.message_id, head.message_id)
            if key in refused:
                continue
            other = _posting(archive, head)
            by = _relation(archive, one, other) if other else ""
            if other is None or not by:
                refused.add(key)
                continue
            known[head.message_id] = replace(other, by=by)
            todo.append(known[head.message_id])
    return tuple(sorted(known.values(), key=lambda one: (one.head.date, one.head.message_id)))


def said(mail: ArchivedMail) -> SubjectLine:
    """What the subject of an archived mail says."""
    return subject.read(f"[{mail.tags}] {mail.title}") if mail.tags else SubjectLine(mail.title)


def _candidates(archive: Archive, one: PostedSeries) -> Iterator[ArchivedMail]:
    """Mails that may be of another posting of the series; some more than once."""
    head = one.head
    for change in one.changes:
        yield from archive.changed(change)
    yield from archive.linked(head.message_id)
    yield from _few(archive.titled(head.title))
    for patch in one.patches[:_MOST_TITLES]:
        if patch is not head:
            yield from _few(archive.titled(patch.title))
    yield from archive.above(head.message_id)
    for mail in (head, *one.patches[:1]):
        yield from archive.below(mail.message_id)


def _few(mails: Sequence[ArchivedMail]) -> Iterable[ArchivedMail]:
    return mails if len(mails) <= _MOST_TITLED else ()


def _head(archive: Archive, mail: ArchivedMail) -> ArchivedMail | None:
    """The cover letter or first patch of the posting that a mail is of; None for an answer."""
    if mail.reply:
        return None
    own = said(mail)
    if own.later:
        return None
    if not own.number:
        return mail
    rows = [(one, said(one)) for one in reversed(archive.above(mail.message_id)) if not one.reply]
    near: Sequence[ArchivedMail] = ()
    for number in (0, None, 1):
        if number == 1:  # a cover letter that nothing answers
            near = archive.sent(mail.sender, mail.date - BATCH, mail.date + BATCH)
            near = [one for one in near if like(said(one), own)]
            if apart := [one for one in near if said(one).number == 0]:
                return apart[0]
        for one, above in rows:
            counts = above.total in (own.total, None)
            alike = above.revision == own.revision or not own.stated
            if above.number == number and counts and alike and above.rfc == own.rfc:
                if number is None and one is not rows[0][0]:
                    continue  # only the nearest mail can be a cover letter without a number
                return one
    if own.number == 1:
        return mail
    return next((one for one in near if said(one).number == 1), None)


def like(one: SubjectLine, other: SubjectLine) -> bool:
    """Whether two subjects say the same of their posting."""
    return (one.total, one.revision, one.rfc, one.kernel) == (
        other.total, other.revision, other.rfc, other.kernel,
    )  # fmt: skip


def _posting(archive: Archive, head: ArchivedMail) -> PostedSeries | None:
    """The posting that a cover letter or first patch heads; None for a mail that heads none."""
    if head.reply:
        return None
    own = said(head)
    patches = [head] if own.number == 1 else []
    for one in archive.below(head.message_id):
        sub = said(one)
        if one.reply or not sub.number or abs(one.date - head.date) > _DAY:
            continue
        alike = sub.revision == own.revision or not sub.stated or own.number is None
        if alike and own.total in (None, sub.total):
            patches.append(one)
    if own.number is None and not patches:
        patches = [head]
    if own.total and len(patches) < own.total:
        seen = {one.message_id for one in patches}
        patches += [
            one for one in archive.sent(head.sender, head.date - BATCH, head.date + BATCH)
            if like(said(one), own) and said(one).number and one.message_id not in seen
        ]  # fmt: skip
    if own.number is None and patches != [head]:
        own = _with_revision(head, own, said(patches[0]))
    return PostedSeries(
        head,
        own,
        tuple(patches),
        frozenset(archive.changes(head.message_id)),
        frozenset(one.message_id for one in archive.above(head.message_id)),
        frozenset(archive.links(head.message_id)),
    )


def _with_revision(head: ArchivedMail, own: SubjectLine, patch: SubjectLine) -> SubjectLine:
    """What a cover letter without a number says, its patches asked for what it does not say."""
    if own.stated:
        return own
    at_end = subject.at_end(head.title)
    return at_end or patch


def _relation(archive: Archive, one: PostedSeries, other: PostedSeries) -> str:
    """By what a posting is of the same series as another; "" if it is not."""
    if one.said.kernel != other.said.kernel:
        return ""
    old, new = sorted((one, other), key=lambda item: (item.head.date, item.head.message_id))
    common = len(one.topics & other.topics)
    half = 2 * common >= max(len(one.topics), len(other.topics)) > 0
    titled = topic(one.head.title) == topic(other.head.title)
    follows = _follows(old.said, new.said)
    named = _named(old, new)
    same = _same_person(one.head, other.head)
    if named == _CHANGE and (same or common):
        return named
    alone = len(new.patches) == 1 < len(old.patches) and not (follows or titled or named)
    if half and (same or named) and not alone:
        return named or (TITLE if titled else _PATCHES)
    if titled and (common or follows) and (same or (named and common)):
        return named or TITLE
    # Another title and other patches: only where nothing else is the one before it.
    if (same or common) and follows and _is_retitled(archive, new):
        most = 2 * common >= min(len(one.topics), len(other.topics)) > 0
        return named or (_PATCHES if most else "")
    return ""


def _is_retitled(archive: Archive, one: PostedSeries) -> bool:
    """Whether a later revision has none before it under its own title."""
    if not one.said.stated:
        return False
    before = [said(mail) for mail in archive.titled(one.head.title) if mail.date < one.head.date]
    return not any(_follows(old, one.said) for old in before)


def _named(old: PostedSeries, new: PostedSeries) -> str:
    """What in the newer posting names the older one."""
    if old.changes & new.changes:
        return _CHANGE
    if new.links & old.ids or old.links & new.ids:
        return "a link in its cover letter"
    return "its thread" if new.above & old.ids else ""


def _follows(old: SubjectLine, new: SubjectLine) -> bool:
    """Whether the numbers say that one comes after the other."""
    if old.rfc and not new.rfc:
        return True
    return old.rfc == new.rfc and new.stated and new.revision > old.revision


def _same_person(one: ArchivedMail, other: ArchivedMail) -> bool:
    if one.sender == other.sender:
        return True
    names = [item.name.casefold().partition(" via ")[0].split() for item in (one, other)]
    return names[0] == names[1] and len(names[0]) > 1
