# SPDX-License-Identifier: GPL-2.0-only
"""A local mirror of a mailing list: git repositories of mails, as public-inbox keeps them.

Each commit adds one mail: as file ``m`` (public-inbox v2, in epochs ``git/0.git``, ``git/1.git``)
or as a file of its own (v1).  An index of message-ids beside it, kept in the cache, makes a thread
a matter of milliseconds; what was added since is indexed at the next call.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.series.mail import mentions, subject
from harness.source.git import ask, last_line, run_git
from harness.util import header
from harness.util.errors import InfraError, UserError

_SCHEMA = 3  # counts up when the same mails would be indexed otherwise
_BATCH = 2000  # mails read at once: some 20 MB
_TABLES = """
create table state (tip text not null);
create table mail (mid text not null, blob text not null, sender text not null,
                   name text not null, title text not null, tags text not null,
                   date integer not null, reply integer not null, topic text not null);
create table change (mid text not null, id text not null);
create table ref (child text not null, parent text not null);
create table link (mid text not null, id text not null);
create index mail_mid on mail (mid);
create index mail_topic on mail (topic);
create index mail_sender on mail (sender, date);
create index change_id on change (id);
create index ref_parent on ref (parent);
create index ref_child on ref (child);
create index link_mid on link (mid);
create index link_id on link (id);
"""
_HEADER = re.compile(
    rb"^(message-id|in-reply-to|references|subject|from|date):((?:.*)(?:\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS = re.compile(r"[\W_]+")
_VERSION = re.compile(r"v\d{1,3}")
_ADDED = re.compile(r":\d+ 100\d+ [0-9a-f]+ ([0-9a-f]{40,64}) [AM]\t")


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """One mail of the archive by its headers: ``title`` without [PATCH ...], ``tags`` with it.

    ``date`` is in seconds since the epoch, ``sender`` the bare address, ``name`` the shown one;
    ``reply`` is 1 for an answer.
    """

    message_id: str
    sender: str
    name: str
    title: str
    tags: str
    date: int
    reply: int


_COLUMNS = "mail.mid, sender, name, title, tags, date, reply"


class Archive:
    """The mails below some paths; ``index`` is the folder of the indexes."""

    def __init__(self, paths: Sequence[Path], *, index: Path) -> None:
        """Raises UserError for a path that holds no git repository."""
        self._parts: list[_Part | _Memory] = [
            _Part(repo, index) for path in paths for repo in repositories(path)
        ]

    @classmethod
    def of(cls, raws: Iterable[bytes]) -> Archive:
        """Of some mails alone, which are nowhere on the disk; good for one `reading`."""
        made = cls((), index=Path())
        made._parts = [_Memory(raws)]
        return made

    def refresh(self) -> int:
        """Index what is new; returns how many mails that were.  InfraError when git fails."""
        return sum(part.refresh() for part in self._parts)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Many questions with one connection each to the indexes."""
        with contextlib.ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(part.reading())
            yield

    def mail(self, message_id: str) -> ArchivedMail | None:
        """The headers of a mail, None when the archive does not have it."""
        return next(iter(self._mails("mail where mid = ?", message_id)), None)

    def titled(self, title: str) -> tuple[ArchivedMail, ...]:
        """What was posted under a title, whatever is in brackets; oldest first."""
        return self._mails("mail where topic = ? and reply = 0", topic(title))

    def changed(self, change: str) -> tuple[ArchivedMail, ...]:
        """The mails that name a change-id, answers that do not quote it too; oldest first."""
        return self._mails("mail join change on change.mid = mail.mid where id = ?", change)

    def changes(self, message_id: str) -> tuple[str, ...]:
        """The change-ids that a mail names."""
        return tuple(
            one for (one,) in self._select("select id from change where mid = ?", message_id)
        )

    def links(self, message_id: str) -> tuple[str, ...]:
        """The ids that a mail links to, whether they are here or not."""
        return tuple(
            one for (one,) in self._select("select id from link where mid = ?", message_id)
        )

    def linked(self, message_id: str) -> tuple[ArchivedMail, ...]:
        """The mails that one links to, and those that link to it."""
        return (
            *self._mails("mail join link on link.id = mail.mid where link.mid = ?", message_id),
            *self._mails("mail join link on link.mid = mail.mid where link.id = ?", message_id),
        )

    def above(self, message_id: str) -> tuple[ArchivedMail, ...]:
        """The mails that one answers, at once or not; the nearest one last."""
        rows = self._select("select parent from ref where child = ? order by rowid", message_id)
        return tuple(mail for (one,) in rows if (mail := self.mail(one)))

    def below(self, message_id: str) -> tuple[ArchivedMail, ...]:
        """The mails that answer one, at once or not; oldest first."""
        return self._mails("mail join ref on child = mail.mid where parent = ?", message_id)

    def sent(self, sender: str, since: int, until: int) -> tuple[ArchivedMail, ...]:
        """What one address posted in a time, answers left out; oldest first."""
        where = "mail where sender = ? and date between ? and ? and reply = 0"
        return self._mails(where, sender, since, until)

    def thread(self, message_id: str) -> tuple[bytes, ...]:
        """The raw mails of the whole thread of one mail, oldest first, each id once.

        Empty when the archive has none of them.
        """
        known = {message_id}
        todo = [message_id]
        while todo:
            one = todo.pop()
            parents = self._select("select parent from ref where child = ?", one)
            children = self._select("select child from ref where parent = ?", one)
            for (other,) in [*parents, *children]:
                if other not in known:
                    known.add(other)
                    todo.append(other)
        return self._read(known)

    def raw(self, message_id: str) -> tuple[bytes, ...]:
        """One mail as it was sent; empty when the archive does not have it."""
        return self._read([message_id])

    def _read(self, ids: Iterable[str]) -> tuple[bytes, ...]:
        found: dict[str, tuple[int, str, bytes]] = {}
        for part in self._parts:
            rows = [
                row
                for one in sorted(ids)
                for row in part.select("select date, mid, blob from mail where mid = ?", one)
            ]
            contents = dict(part.contents([blob for _, _, blob in rows]))
            for date, mid, blob in rows:
                if blob in contents:
                    found.setdefault(mid, (date, mid, contents[blob]))
        return tuple(raw for _, _, raw in sorted(found.values(), key=lambda one: one[:2]))

    def _mails(self, where: str, *values: str | int) -> tuple[ArchivedMail, ...]:
        """The different headers that a query finds; oldest first."""
        rows = self._select(f"select {_COLUMNS} from {where}", *values)
        found = {ArchivedMail(*row) for row in rows}
        return tuple(sorted(found, key=lambda mail: (mail.date, mail.message_id)))

    def _select(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        return [row for part in self._parts for row in part.select(query, *values)]


def repositories(path: Path) -> tuple[Path, ...]:
    """The git repositories of a mirror: itself, or its epochs, oldest first.

    Raises UserError when there is none.
    """
    place = path.expanduser()
    if not place.is_dir():
        raise UserError(f"MIRROR names {path}, which is not a folder")
    if (place / "HEAD").is_file() or (place / ".git").exists():
        return (place.resolve(),)
    for folder in (place / "git", place):
        epochs = [one for one in folder.glob("*.git") if one.stem.isdigit()]
        if epochs:
            return tuple(one.resolve() for one in sorted(epochs, key=lambda one: int(one.stem)))
    raise UserError(
        f"MIRROR names {path}, which holds neither a git repository nor epochs (git/0.git)"
    )


class _Part:
    """One repository and its index."""

    def __init__(self, repo: Path, index: Path) -> None:
        self.repo = repo
        index.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(str(repo).encode()).hexdigest()[:16]
        self._path = index / f"{key}-{_SCHEMA}.sqlite"
        self._reading: sqlite3.Connection | None = None

    def select(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        if self._reading is not None:
            return self._reading.execute(query, values).fetchall()
        with self._open() as base:
            return base.execute(query, values).fetchall()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read with one connection."""
        with self._open() as base:
            self._reading = base
            try:
                yield
            finally:
                self._reading = None

    def contents(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """(id, content) of each blob that is there."""
        return _blobs(self.repo, ids)

    def refresh(self) -> int:
        tip = ask(self.repo, "rev-parse", "--verify", "HEAD^{commit}").strip()
        with self._open() as base:
            row = base.execute("select tip from state").fetchone()
            old = row[0] if row else None
            if old == tip:
                return 0
            if old and run_git(["merge-base", "--is-ancestor", old, tip], cwd=self.repo).returncode:
                # History was rewritten (a mail was purged): begin again.
                for table in ("mail", "change", "ref", "link", "state"):
                    base.execute(f"delete from {table}")
                old = None
            count = self._add(base, f"{old}..{tip}" if old else tip)
            base.execute("delete from state")
            base.execute("insert into state values (?)", (tip,))
            return count

    def _add(self, base: sqlite3.Connection, revisions: str) -> int:
        log = ask(
            self.repo, "log", "--reverse", "--raw", "--no-abbrev", "--no-renames", "--root",
            "--format=", revisions, "--",
        )  # fmt: skip
        blobs = [match[1] for line in log.splitlines() if (match := _ADDED.match(line))]
        for start in range(0, len(blobs), _BATCH):
            for blob, raw in _blobs(self.repo, blobs[start : start + _BATCH]):
                if (read := _headers(raw)) is not None:
                    _insert(base, blob, raw, *read)
        return len(blobs)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The index in one transaction, made if it is not there; a second process waits."""
        base = sqlite3.connect(self._path, timeout=300)
        try:
            with base:
                base.execute("begin immediate")
                known = base.execute("select count(*) from sqlite_master").fetchone()[0]
                for statement in _TABLES.split(";") if not known else ():
                    base.execute(statement)
                yield base
        except sqlite3.Error as error:
            raise InfraError(
                f"the index {self._path} cannot be used: {error}; remove it"
            ) from error
        finally:
            base.close()


class _Memory:
    """Mails at hand, indexed in memory."""

    def __init__(self, raws: Iterable[bytes]) -> None:
        self._raws = tuple(raws)
        self._base = sqlite3.connect(":memory:")
        for statement in _TABLES.split(";"):
            self._base.execute(statement)
        for number, raw in enumerate(self._raws):
            if (read := _headers(raw)) is not None:
                _insert(self._base, str(number), raw, *read)

    def select(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        return self._base.execute(query, values).fetchall()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        with contextlib.closing(self._base):
            yield

    def contents(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        return ((one, self._raws[int(one)]) for one in ids)

    def refresh(self) -> int:
        return 0


def _insert(
    base: sqlite3.Connection, blob: str, raw: bytes, mail: ArchivedMail, parents: Sequence[str]
) -> None:
    own = mail.message_id
    row = (own, blob, mail.sender, mail.name, mail.title, mail.tags, mail.date, mail.reply)
    base.execute("insert into mail values (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, topic(mail.title)))
    change, links = mentions.read(raw, links=not mail.reply)
    if change is not None:
        base.execute("insert into change values (?, ?)", (own, change))
    base.executemany("insert into ref values (?, ?)", [(own, one) for one in parents])
    base.executemany("insert into link values (?, ?)", [(own, one) for one in links if one != own])


def _blobs(repo: Path, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(id, content) of each blob that the repository has."""
    if not ids:
        return
    done = run_git(["cat-file", "--batch"], cwd=repo, stdin="\n".join(ids).encode() + b"\n")
    if done.returncode != 0:
        raise InfraError(f"git cat-file failed in {repo}: {last_line(done.stderr)}")
    data, at = done.stdout, 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].split()
        at = end + 1
        if words[1] == b"blob":
            size = int(words[2])
            yield words[0].decode(), data[at : at + size]
            at += size + 1


def _headers(raw: bytes) -> tuple[ArchivedMail, tuple[str, ...]] | None:
    """The headers of a mail, and the ids of the mails it answers; None for what is no mail."""
    head = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    fields: dict[str, str] = {}
    for match in _HEADER.finditer(head):
        fields.setdefault(match[1].decode().lower(), match[2].decode(errors="replace"))
    ids = header.message_ids(fields.get("message-id", ""))
    if not ids:
        return None
    said = subject.read(" ".join(_text(fields.get("subject", "")).split()))
    sent = header.date(fields.get("date", ""))
    parents = header.message_ids(fields.get("references", "") + fields.get("in-reply-to", ""))
    name, sender = header.address(_text(fields.get("from", "")))
    mail = ArchivedMail(
        message_id=ids[0],
        sender=sender.lower(),
        name=name,
        title=said.title,
        tags=said.tags,
        date=int(sent.timestamp()) if sent else 0,
        reply=int(said.reply or bool(said.prefix and parents)),
    )
    return mail, tuple(dict.fromkeys(one for one in parents if one != ids[0]))


def topic(title: str) -> str:
    """A title by which it is found again: without case, punctuation and a revision at its end."""
    words = _WORDS.sub(" ", title.casefold()).split()
    while len(words) > 1 and _VERSION.fullmatch(words[-1]):
        words.pop()
    return " ".join(words)


def _text(field: str) -> str:
    """A header's text; decoding is dear, and most need none."""
    return header.decoded(field) if "=?" in field else field
