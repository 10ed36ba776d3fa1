# SPDX-License-Identifier: GPL-2.0-only
"""What a list's mails say of themselves, read in a plain way of its own: threads and numbers.

Nothing here calls the parsers under test.
"""

from __future__ import annotations

import contextlib
import email
import email.header
import email.message
import email.utils
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COUNT = re.compile(r"(?<![\d./])0*(\d{1,4}) ?(?:/| of ) ?0*(\d{1,4})(?![\d./])", re.IGNORECASE)
_LEADING = re.compile(r"\s*(?:\[[^\]]*\]\s*)+")
_ANSWER = re.compile(r"[^\[]{0,40}[:\uff1a]\s*\[|re\b|fwd?\b|aw\b", re.IGNORECASE)
_ID = re.compile(r"<([^<>\s]+)>")
_LINK = re.compile(r"https?://[^\s<>\"]*?/([^\s<>/\"]+(?:@|%40)[^\s<>/\"#?)\]]+)")
_CHANGE = re.compile(r"^change-id: (\S+)", re.MULTILINE)
_KERNEL = re.compile(r"(?<![\d.])(?:2\.6|[3-7]\.\d{1,2})(?:\.\d+|\.y)?(?![\d/])")
HOUR = 3600


@dataclass(slots=True, eq=False)
class Seen:
    """One mail.  number and total: n and m of [n/m], None without; title: behind the brackets."""

    id: str
    sender: str
    person: str
    date: float
    title: str
    tags: str
    answer: bool
    number: int | None
    total: int | None
    parents: tuple[str, ...]
    diff: bool = False
    content: int = 0
    links: frozenset[str] = frozenset()
    change: str = ""
    children: list[Seen] = field(default_factory=list, repr=False)

    @property
    def version(self) -> str:
        """The revision that it states; "" for none."""
        return "".join(re.findall(r"v(\d+)(?![\d.])", self.tags.lower())[-1:])

    @property
    def kernel(self) -> str:
        """The kernel versions that a backport is for."""
        return " ".join(_KERNEL.findall(self.tags))


@dataclass(frozen=True, slots=True, eq=False)
class Posting:
    """A cover letter (or a first patch) and its patches in order.

    kind: "whole", or how it is not; "numbered twice" has the earliest patch of each number
    """

    head: Seen
    patches: tuple[Seen, ...]
    kind: str

    @property
    def ids(self) -> list[str]:
        """The message-ids of the patches."""
        return [one.id for one in self.patches]


def raws(repo: Path) -> Iterator[bytes]:
    """The mails of a public-inbox git directory."""
    git = ["git", "-C", str(repo)]
    log = [*git, "log", "--reverse", "--raw", "--no-abbrev", "--no-renames", "--root", "--format="]
    said = subprocess.run([*log, "HEAD"], capture_output=True, check=True).stdout.decode()
    blobs = re.findall(r"^:\d+ 100\d+ [0-9a-f]+ ([0-9a-f]{40,64}) [AM]\t", said, re.MULTILINE)
    for start in range(0, len(blobs), 2000):
        asked = "\n".join(blobs[start : start + 2000]).encode() + b"\n"
        data = subprocess.run(
            [*git, "cat-file", "--batch"], input=asked, capture_output=True, check=True
        ).stdout
        at = 0
        while at < len(data):
            end = data.index(b"\n", at)
            words = data[at:end].split()
            at = end + 1
            if words[1] == b"blob":
                yield data[at : at + int(words[2])]
                at += int(words[2]) + 1


def seen(raw: bytes) -> Seen | None:
    """One mail; None without a message-id."""
    mail = email.message_from_bytes(raw.replace(b"\r\n", b"\n"))
    ids = _ID.findall(str(mail["Message-ID"] or mail["Message-Id"]))
    if not ids:
        return None
    subject = _text(mail, "Subject")
    answer = _ANSWER.match(subject) is not None
    group = _LEADING.match(subject)
    tags = group[0] if group else ""
    count = _COUNT.search(tags)
    name, sender = email.utils.parseaddr(_text(mail, "From"))
    person = name.lower().partition(" via ")[0].strip()
    dated = email.utils.parsedate_tz(str(mail["Date"]))
    found = Seen(
        id=ids[0],
        sender=sender.lower(),
        person=person if " " in person else sender.lower(),
        date=float(email.utils.mktime_tz(dated)) if dated else 0.0,
        title=subject[len(tags) :].strip(),
        tags=tags,
        answer=answer,
        number=int(count[1]) if count else None,
        total=int(count[2]) if count else None,
        parents=tuple(_ID.findall(f"{mail['In-Reply-To']} {_last(str(mail['References']))}")),
    )
    if not answer:
        body = "\n".join(_bodies(mail))
        begin = re.search(r"^(diff --git |--- .+\n\+\+\+ |GIT binary)", body, re.MULTILINE)
        found.diff = begin is not None
        if begin:
            lines = re.findall(r"^[+-].*", body[begin.start() :], re.MULTILINE)
            found.content = hash("\n".join(lines))
        change = _CHANGE.search(body)
        found.change = change[1] if change else ""
        if not found.diff:
            found.links = frozenset(
                one.replace("%40", "@").rstrip(".,;:") for one in _LINK.findall(body)
            )
    return found


def _last(references: str) -> str:
    return " ".join(references.split()[-1:])


def _text(mail: email.message.Message, name: str) -> str:
    value = str(mail[name] or "")
    with contextlib.suppress(ValueError, LookupError, email.errors.MessageError):
        value = str(email.header.make_header(email.header.decode_header(value)))
    return " ".join(value.split())


def _bodies(mail: email.message.Message) -> Iterator[str]:
    for part in mail.walk():
        named = (part.get_filename() or "").endswith((".patch", ".diff"))
        if (
            part.get_content_maintype() == "text" and part.get_content_subtype() != "html"
        ) or named:
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                yield payload.decode("utf-8", "replace").replace("\r\n", "\n")


class Truth:
    """All mails of a list, sorted into postings."""

    def __init__(self, mails: Iterator[bytes]) -> None:
        self.by_id: dict[str, Seen] = {}
        for raw in mails:
            one = seen(raw)
            if one is not None:
                self.by_id.setdefault(one.id, one)
        for one in self.by_id.values():
            for parent in dict.fromkeys(one.parents):
                if parent in self.by_id and parent != one.id:
                    self.by_id[parent].children.append(one)
        self.sent: defaultdict[tuple[str, int], list[Seen]] = defaultdict(list)
        for one in self.by_id.values():
            if one.total is not None and not one.answer and one.number and one.diff:
                self.sent[one.sender, one.total].append(one)
        self.covered = [self._covered(one) for one in self.by_id.values() if self._is_cover(one)]
        taken = {patch.id for posting in self.covered for patch in posting.patches}
        self.bare = list(self._bare(taken))

    @staticmethod
    def _is_cover(one: Seen) -> bool:
        """[0/m], or a mail without a diff that a patch 1/m of its own sender answers at once."""
        if one.answer or one.diff:
            return False
        if one.number == 0:
            return bool(one.total)
        return one.number is None and any(
            child.number == 1 and child.diff and not child.answer and child.sender == one.sender
            and 0 <= child.date - one.date < HOUR
            for child in one.children
        )  # fmt: skip

    def _covered(self, cover: Seen) -> Posting:
        found: dict[str, Seen] = {}
        todo = [cover]
        while todo:
            for child in todo.pop().children:
                numbered = child.number and child.diff and not child.answer
                if numbered and child.id not in found and self._same(cover, child):
                    found[child.id] = child
                    todo.append(child)
        total = cover.total
        if total is None:
            total = next((one.total for one in found.values() if one.number == 1), None) or 0
        kind = "cover without a number" if cover.number is None else ""
        patches = [one for one in found.values() if one.total == total]
        alike = [one for one in patches if (one.version or "1") == (cover.version or "1")]
        if {one.number for one in alike} >= set(range(1, total + 1)):
            patches = alike
        if not patches and cover.total:
            near = self.sent[cover.sender, cover.total]
            patches = [
                one for one in near
                if not one.parents and abs(one.date - cover.date) < HOUR
                and one.kernel == cover.kernel
            ]  # fmt: skip
            kind = "not threaded" if patches else "cover alone"
        return _sorted(cover, patches, total or 0, kind)

    @staticmethod
    def _same(cover: Seen, child: Seen) -> bool:
        """Of the same count; one that states another revision belongs to it if sent with it."""
        apart = "" not in (cover.version, child.version) and cover.version != child.version
        if apart and abs(child.date - cover.date) > HOUR:
            return False
        return cover.total is None or child.total == cover.total

    def _bare(self, taken: set[str]) -> Iterator[Posting]:
        """Patches 1/m to m/m that no cover letter heads: those that answer 1/m, or sent with it."""
        for (_, total), mails in sorted(self.sent.items()):
            for first in mails:
                if first.number != 1 or first.id in taken or total < 2:
                    continue
                mine, top = [], [first]
                while top:
                    below = [one for one in top.pop().children if one in mails]
                    mine += [one for one in below if one not in mine and one is not first]
                    top += below
                if not mine:
                    mine = [
                        one for one in mails
                        if one.id not in taken and abs(one.date - first.date) < HOUR
                        and one.kernel == first.kernel and one.parents[:1] == first.parents[:1]
                        and one is not first
                    ]  # fmt: skip
                kind = "no cover letter, threaded" if first.children else "no cover letter, apart"
                yield _sorted(first, [first, *mine], total, kind)


def _sorted(head: Seen, mails: list[Seen], total: int, kind: str) -> Posting:
    numbers: defaultdict[int, list[Seen]] = defaultdict(list)
    for one in sorted(mails, key=lambda one: (one.date, one.id)):
        place = numbers[one.number or 0]
        if all(one.content != other.content for other in place):
            place.append(one)
    lacking = [n for n in range(1, total + 1) if n not in numbers]
    patches = tuple(numbers[n][0] for n in range(1, total + 1) if n in numbers)
    if lacking:
        return Posting(head, patches, kind if kind == "cover alone" else "not whole")
    near = [[one for one in numbers[n] if one.date - head.date < HOUR] for n in numbers]
    if any(len(numbers[n]) > 1 for n in range(1, total + 1)):
        clear = all(len(one) <= 1 for one in near)
        kind = "a patch sent again later" if clear else "numbered twice"
    return Posting(head, patches, kind or "whole")


def families(postings: list[Posting]) -> list[list[Posting]]:
    """The postings of one series together, oldest first; only those of more than one.

    They have a change-id in common, or one links to the other and they share a patch's title, or
    half of the patches' titles of one person, or its cover letters' title and not the revision.
    Backports for a kernel are apart from it.
    """
    of: dict[str, Posting] = {}
    for posting in postings:
        of |= dict.fromkeys([posting.head.id, *posting.ids], posting)
    root = {id(one): one for one in postings}

    def find(one: Posting) -> Posting:
        while root[id(one)] is not one:
            root[id(one)] = one = root[id(root[id(one)])]
        return one

    def titles(one: Posting) -> set[str]:
        return {patch.title.lower() for patch in one.patches}

    def join(one: Posting, other: Posting) -> None:
        if one.head.kernel == other.head.kernel:
            root[id(find(other))] = find(one)

    changes: dict[str, Posting] = {}
    titled: defaultdict[tuple[str, str], list[Posting]] = defaultdict(list)
    headed: defaultdict[tuple[str, str], list[Posting]] = defaultdict(list)
    for posting in postings:
        if posting.head.change:
            join(changes.setdefault(posting.head.change, posting), posting)
        for link in posting.head.links:
            if link in of and titles(of[link]) & titles(posting):
                join(of[link], posting)
        for other in headed[posting.head.person, posting.head.title.lower()]:
            if other.head.tags != posting.head.tags:
                join(other, posting)
        headed[posting.head.person, posting.head.title.lower()].append(posting)
        near: defaultdict[int, int] = defaultdict(int)
        own = titles(posting)
        for title in own:
            for other in titled[posting.head.person, title][-50:]:
                near[id(other)] += 1
                if 2 * near[id(other)] >= max(len(own), len(other.patches)):
                    join(other, posting)
            titled[posting.head.person, title].append(posting)
    found: defaultdict[int, list[Posting]] = defaultdict(list)
    for posting in postings:
        found[id(find(posting))].append(posting)
    return [
        sorted(one, key=lambda posting: posting.head.date) for one in found.values() if len(one) > 1
    ]
