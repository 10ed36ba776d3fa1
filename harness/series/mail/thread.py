# SPDX-License-Identifier: GPL-2.0-only
"""A mail thread sorted into sendings: a cover letter and the patches that answer it.  Pure.

What answers the cover letter is the series.  Numbers, revision, sender, the stem of the
message-ids and the time only decide between two mails that claim the same place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from harness.series.mail.mbox import Mail

_STEMS = tuple(
    re.compile(one)
    for one in (
        r"(\d{14}\.\d+)-\d+-(.+)",  # git send-email
        r"(\d{10}-\d+)-\d+-(.+)",  # the same, of old
        r"(.+-v\d+)-\d+-[0-9a-f]{12}@(.+)",  # b4
        r"(?:cover|[0-9a-f]{40})()\.(\d+\.git\..+)",  # git format-patch --thread
        r"(?:cover\.)?[0-9a-f]{40}()\.(\d+\.git-series\..+)",
        r"(.{8,})-\d{1,4}-?(@.+)",
    )
)
_WORD = re.compile(r"[^\[\]]{1,24}[:\uff1a]")
BATCH = 3600
"""Seconds within which the mails of one sending are sent."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One posting: its cover letter if it has one, and its patches by their numbers.

    ``total`` is how many there should be.  ``doubles`` are different mails that claim the same
    place, and nothing decides between them.  ``others`` are mails of this sending that were left
    out, each later than the patch whose number it has; ``notes`` say what is not as it should be.
    """

    cover: Mail | None
    patches: tuple[Mail, ...]
    total: int | None
    doubles: tuple[tuple[Mail, ...], ...] = ()
    others: tuple[Mail, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def lacking(self) -> tuple[int, ...]:
        """The numbers that no mail has."""
        found = {mail.number for mail in self.patches}
        return tuple(n for n in range(1, (self.total or 0) + 1) if n not in found)

    @property
    def whole(self) -> bool:
        """Whether each number is there, once."""
        return not self.lacking and not self.doubles

    @property
    def head(self) -> Mail:
        """The cover letter, else the first patch."""
        return self.cover or self.patches[0]


class Thread:
    """Mails, and which answers which."""

    def __init__(self, mails: Sequence[Mail]) -> None:
        self.mails = tuple(_posted_or_reply(mails))
        self.by_id = {mail.message_id: mail for mail in self.mails if mail.message_id}
        self._below: defaultdict[str, list[Mail]] = defaultdict(list)
        for mail in self.mails:
            above = self.above(mail)
            if above is not None and above.message_id:
                self._below[above.message_id].append(mail)

    def above(self, mail: Mail) -> Mail | None:
        """The mail that it answers, or the nearest one above that is here."""
        for parent in reversed(mail.parents):
            if parent in self.by_id and parent != mail.message_id:
                return self.by_id[parent]
        return None

    def upward(self, mail: Mail) -> Iterator[Mail]:
        """The mails above one, the nearest first."""
        seen = {mail.message_id}
        one = self.above(mail)
        while one is not None and one.message_id not in seen:
            yield one
            seen.add(one.message_id)
            one = self.above(one)

    def below(self, mail: Mail) -> tuple[Mail, ...]:
        """The mails that answer one at once."""
        return tuple(self._below.get(mail.message_id or "", ()))

    def is_cover(self, mail: Mail) -> bool:
        """[PATCH 0/n], or a mail without a number that the patches of its sender answer."""
        if mail.is_cover:
            return True
        return (
            mail.number is None
            and not mail.reply
            and not mail.diff
            and any(
                one.number == 1 and one.diff and not one.reply and one.sender == mail.sender
                for one in self.below(mail)
            )
        )

    def cover(self, patch: Mail) -> Mail | None:
        """The cover letter that a numbered patch belongs to."""
        direct = True
        for one in self.upward(patch):
            if self.is_cover(one):
                fits = self._is_of(one, patch) if direct else _alike(one, patch)
                return one if fits else None
            if one.reply or not _alike(one, patch):
                return None
            direct = False
        return None

    def _is_of(self, cover: Mail, patch: Mail) -> bool:
        """Whether a patch that answers a cover letter at once is of it.

        One that says another revision is, where its place is free, if it was sent together with
        the cover letter; so is one that says none.
        """
        own = stem(cover)
        if _alike(cover, patch) or (own is not None and own == stem(patch)):
            return True
        if any(one is not cover and one.is_cover and _same(one, patch) for one in self.mails):
            return False
        if any(
            _is_numbered(one) and one.number == patch.number and _alike(cover, one)
            for one in self.below(cover)
        ):
            return False
        return not patch.stated or _together(cover, patch)

    def sending(self, mail: Mail) -> Sending:
        """The sending that a cover letter or a patch is of."""
        if mail.number is None and not self.is_cover(mail):
            return Sending(None, (mail,), None)
        cover = mail if self.is_cover(mail) else self.cover(mail) or self._lone_cover(mail)
        if cover is not None and not self._members(cover):
            # A copy of a cover letter that the patches do not answer.
            cover = next((one for one in self.copies(cover) if self._members(one)), cover)
        members = self._members(cover) if cover else self._coverless(mail)
        found = _chosen(self, cover, members, mail)
        if cover is None or mail not in found.others:
            return found
        # Sent again into the same thread, without a cover letter of its own.
        batch = [one for one in members if _together(one, mail)]
        again = _chosen(self, None, batch, mail)
        note = f"sent again in answer to the cover letter {called(cover)}"
        return replace(again, notes=(*again.notes, note)) if again.whole else found

    def _lone_cover(self, patch: Mail) -> Mail | None:
        """The cover letter of a patch that answers none: one that nothing answers."""
        for one in self.mails:
            near = abs(one.date - patch.date) < BATCH and one.sender == patch.sender
            if one.is_cover and near and _same(one, patch) and not self._members(one):
                return one
        return None

    def copies(self, cover: Mail) -> list[Mail]:
        """A cover letter and what was sent of it again."""
        return [
            one for one in self.mails
            if one.is_cover and (one.sender, one.label, one.total, one.subject)
            == (cover.sender, cover.label, cover.total, cover.subject)
        ]  # fmt: skip

    def _members(self, cover: Mail) -> list[Mail]:
        """The numbered mails that answer a cover letter, also one by way of another."""
        found: dict[str | None, Mail] = {}
        todo = [cover]
        while todo:
            top = todo.pop()
            for one in self.below(top):
                fits = self._is_of(cover, one) if top is cover else _alike(one, top)
                if _is_numbered(one) and fits and one.message_id not in found:
                    found[one.message_id] = one
                    todo.append(one)
        return [mail for mail in self.mails if mail.message_id in found]

    def _coverless(self, mail: Mail) -> list[Mail]:
        """The patches that were sent like this one, and those that answer its first one."""
        like = [one for one in self.mails if _is_numbered(one) and _same(one, mail)]
        above = self.above(mail)
        firsts = [one for one in like if one.number == 1] or [above or mail]
        ids = {one.message_id for one in firsts}
        more = [
            one for one in self.mails
            if _is_numbered(one) and one not in like and one.total == mail.total
            and one.sender == mail.sender
            and (ids.intersection(one.parents[-1:]) or (one in firsts and one.number == 1))
        ]  # fmt: skip
        return [one for one in [*like, *more] if one is mail or self.cover(one) is None]

    def strays(self, cover: Mail) -> list[Mail]:
        """Patches of a cover letter's sender and count that answer no other one."""
        found = []
        for one in self.mails:
            if not _is_numbered(one) or one.sender != cover.sender or one.total != cover.total:
                continue
            alike = one.label == cover.label or not one.stated
            if alike and one.kernel == cover.kernel and self.cover(one) in (None, cover):
                found.append(one)
        return found


def _posted_or_reply(mails: Sequence[Mail]) -> Iterator[Mail]:
    """The same mails; one that only adds a word to the subject that it answers is a reply."""
    shown = {mail.message_id: mail.shown for mail in mails if mail.message_id}
    for mail in mails:
        above = next((shown[one] for one in reversed(mail.parents) if one in shown), "")
        added = mail.shown.removesuffix(above) if above else ""
        word = added.strip()
        if not mail.reply and _WORD.fullmatch(word):
            yield replace(mail, reply=True)
        else:
            yield mail


def _is_numbered(mail: Mail) -> bool:
    return bool(mail.number or (mail.number == 0 and mail.later)) and not mail.reply


def _alike(one: Mail, other: Mail) -> bool:
    """Whether two mails say the same of their posting; without a count, whatever the count is."""
    counts = one.total == other.total or None in (one.total, other.total)
    return counts and one.label == other.label and one.kernel == other.kernel


def _same(one: Mail, other: Mail) -> bool:
    return (one.sender, one.total, one.label, one.kernel) == (
        other.sender, other.total, other.label, other.kernel,
    )  # fmt: skip


def _together(one: Mail, other: Mail) -> bool:
    own = stem(one)
    near = bool(one.date and other.date) and abs(one.date - other.date) < BATCH
    return near or (own is not None and own == stem(other))


def stem(mail: Mail) -> str | None:
    """What the message-ids of one sending have in common, as git send-email and b4 make them."""
    for form in _STEMS:
        if match := form.fullmatch(mail.message_id or ""):
            return match[1] + match[2]
    return None


def called(mail: Mail) -> str:
    """A mail as errors and notes name it."""
    return f"'{mail.subject}' <{mail.message_id}>" if mail.message_id else f"'{mail.subject}'"


def _chosen(thread: Thread, cover: Mail | None, members: list[Mail], asked: Mail) -> Sending:
    total = _total(cover, members, asked)
    notes: list[str] = []
    anchor = cover or asked
    others = [one for one in members if one.total != total]
    places: defaultdict[int, list[Mail]] = defaultdict(list)
    for one in members:
        if one.total == total and (one.number or 0) <= total:
            places[one.number or 0].append(one)
        elif one not in others:
            others.append(one)
    others += places.pop(0, [])
    if cover is not None and any(n not in places for n in range(1, total + 1)):
        for one in thread.strays(cover):
            if one not in members and 0 < (one.number or 0) <= total:
                places[one.number or 0].append(one)
    picked: dict[int, Mail] = {}
    doubles = []
    for number in sorted(places):
        left, passed = _settled(thread, places[number], cover, anchor)
        others += passed
        if len(left) > 1:
            doubles.append(tuple(left))
        picked[number] = left[0]
    patches = tuple(picked[number] for number in sorted(picked))
    if cover is not None:
        notes += _odd(thread, cover, patches)
    else:
        notes += _uneven(patches)
    return Sending(cover, patches, total, tuple(doubles), tuple(others), tuple(notes))


def _total(cover: Mail | None, members: Sequence[Mail], asked: Mail) -> int:
    if cover is not None and cover.total is not None:
        return cover.total
    if cover is None and asked.total is not None:
        return asked.total
    firsts = [one.total for one in members if one.number == 1 and not one.later]
    return firsts[0] or 0 if firsts else 0


def _settled(
    thread: Thread, mails: list[Mail], cover: Mail | None, anchor: Mail
) -> tuple[list[Mail], list[Mail]]:
    """The mails that may be meant by one number, and those that are later or of another sending.

    One is left where anything decides; copies of one mail count as one.
    """

    def near(mail: Mail) -> bool:
        return not (mail.date and anchor.date) or abs(mail.date - anchor.date) < BATCH

    own = stem(anchor)
    rules: list[Callable[[Mail], bool]] = [
        lambda one: not one.later,
        lambda one: bool(one.diff),
        lambda one: one.sender == anchor.sender,
        lambda one: (one.label, one.kernel) == (anchor.label, anchor.kernel),
        lambda one: cover is None or thread.above(one) is cover,
        lambda one: cover is not None or _root(thread, one) == _root(thread, anchor),
        lambda one: own is None or stem(one) == own,
        near,
    ]
    left = mails
    for rule in rules:
        left = [one for one in left if rule(one)] or left
    distinct: dict[tuple[str, bytes], Mail] = {}
    for one in sorted(left, key=lambda one: (one is not anchor, one.date)):
        distinct.setdefault((one.subject, one.change), one)
    kept = {(one.subject, one.change) for one in distinct.values()}
    passed = [one for one in mails if (one.subject, one.change) not in kept]
    return list(distinct.values()), passed


def _root(thread: Thread, mail: Mail) -> str | None:
    """The mail that the patches of a sending without a cover letter hang below."""
    one = mail
    for above in thread.upward(mail):
        if one.number == 1:
            break
        if not (_is_numbered(above) and _same(above, mail)):
            return above.message_id
        one = above
    return one.message_id


def _odd(thread: Thread, cover: Mail, patches: Sequence[Mail]) -> Iterator[str]:
    """What of a cover letter's patches is not as its mail says."""
    for sender in sorted({one.sender for one in patches if one.sender != cover.sender}):
        theirs = [one for one in patches if one.sender == sender]
        yield f"{_places(theirs)} from another address, {sender}"
    apart = [one for one in patches if cover not in (thread.above(one), thread.cover(one))]
    if apart:
        yield f"{_places(apart)} sent beside the cover letter, not in answer to it"
    labels = {one.label for one in patches}
    if len(labels) > 1 or (labels and cover.stated and labels != {cover.label}):
        said = ", ".join(sorted(labels))
        yield f"the cover letter says {cover.label}, the patches {said}"


def _places(patches: Sequence[Mail]) -> str:
    """The patches by their numbers, with a verb."""
    if len(patches) == patches[0].total and len(patches) > 1:
        return f"all {len(patches)} patches were"
    numbers = ", ".join(str(one.number) for one in patches)
    one = len(patches) == 1
    return f"patch{'' if one else 'es'} {numbers} of {patches[0].total} {'was' if one else 'were'}"


def _uneven(patches: Sequence[Mail]) -> Iterator[str]:
    labels = {one.label for one in patches}
    if len(labels) > 1:
        yield f"the patches say {', '.join(sorted(labels))}"
