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

from harness.series.mail.mbox import change_id, strip_brackets
from harness.source.git import ask, last_line, run_git
from harness.util import header
from harness.util.errors import InfraError, UserError

_SCHEMA = 2  # counts up when the same mails would be indexed otherwise
_BATCH = 2000  # mails read at once: some 20 MB
_TABLES = """
create table state (tip text not null);
create table mail (mid text not null, blob text not null, sender text not null,
                   title text not null, tags text not null, date integer not null);
create table change (mid text not null, id text not null);
create table ref (child text not null, parent text not null);
create index mail_mid on mail (mid);
create index mail_title on mail (title);
create index change_id on change (id);
create index ref_parent on ref (parent);
create index ref_child on ref (child);
"""
_HEADER = re.compile(
    rb"^(message-id|in-reply-to|references|subject|from|date):((?:.*)(?:\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_ADDED = re.compile(r":\d+ 100\d+ [0-9a-f]+ ([0-9a-f]{40,64}) [AM]\t")


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """One mail of the archive by its headers: ``title`` without [PATCH ...], ``tags`` with it.

    ``date`` is in seconds since the epoch, ``sender`` the bare address.
    """

    message_id: str
    sender: str
    title: str
    tags: str
    date: int


class Archive:
    """The mails below some paths; ``index`` is the folder of the indexes."""

    def __init__(self, paths: Sequence[Path], *, index: Path) -> None:
        """Raises UserError for a path that holds no git repository."""
        self._parts = [_Part(repo, index) for path in paths for repo in repositories(path)]

    def refresh(self) -> int:
        """Index what is new; returns how many mails that were.  InfraError when git fails."""
        return sum(part.refresh() for part in self._parts)

    def mail(self, message_id: str) -> ArchivedMail | None:
        """The headers of a mail, None when the archive does not have it."""
        return next(iter(self._mails("mail where mid = ?", message_id)), None)

    def titled(self, title: str, *, sender: str) -> tuple[ArchivedMail, ...]:
        """The mails of one sender with this title, whatever is in brackets; oldest first."""
        return self._mails("mail where title = ? and sender = ?", title, sender)

    def changed(self, change: str) -> tuple[ArchivedMail, ...]:
        """The mails that name a change-id, answers that do not quote it too; oldest first."""
        return self._mails("mail join change on change.mid = mail.mid where id = ?", change)

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

    def _read(self, ids: Iterable[str]) -> tuple[bytes, ...]:
        found: dict[str, tuple[int, str, bytes]] = {}
        for part in self._parts:
            rows = [
                row
                for one in sorted(ids)
                for row in part.select("select date, mid, blob from mail where mid = ?", one)
            ]
            contents = dict(_blobs(part.repo, [blob for _, _, blob in rows]))
            for date, mid, blob in rows:
                if blob in contents:
                    found.setdefault(mid, (date, mid, contents[blob]))
        return tuple(raw for _, _, raw in sorted(found.values(), key=lambda one: one[:2]))

    def _mails(self, where: str, *values: str) -> tuple[ArchivedMail, ...]:
        """The different headers that a query finds; oldest first."""
        rows = self._select(f"select mail.mid, sender, title, tags, date from {where}", *values)
        found = {ArchivedMail(*row) for row in rows}
        return tuple(sorted(found, key=lambda mail: (mail.date, mail.message_id)))

    def _select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
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

    def select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._open() as base:
            return base.execute(query, values).fetchall()

    def refresh(self) -> int:
        tip = ask(self.repo, "rev-parse", "--verify", "HEAD^{commit}").strip()
        with self._open() as base:
            row = base.execute("select tip from state").fetchone()
            old = row[0] if row else None
            if old == tip:
                return 0
            if old and run_git(["merge-base", "--is-ancestor", old, tip], cwd=self.repo).returncode:
                # History was rewritten (a mail was purged): begin again.
                for table in ("mail", "change", "ref", "state"):
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
                read = _headers(raw)
                if read is None:
                    continue
                mail, parents = read
                row = (mail.message_id, blob, mail.sender, mail.title, mail.tags)
                base.execute("insert into mail values (?, ?, ?, ?, ?, ?)", (*row, mail.date))
                change = change_id(raw)
                if change is not None:
                    base.execute("insert into change values (?, ?)", (mail.message_id, change))
                base.executemany(
                    "insert into ref values (?, ?)", [(mail.message_id, one) for one in parents]
                )
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
    title, tags = strip_brackets(" ".join(_text(fields.get("subject", "")).split()))
    sent = header.date(fields.get("date", ""))
    parents = header.message_ids(fields.get("references", "") + fields.get("in-reply-to", ""))
    mail = ArchivedMail(
        message_id=ids[0],
        sender=header.address(_text(fields.get("from", "")))[1].lower(),
        title=title,
        tags=tags,
        date=int(sent.timestamp()) if sent else 0,
    )
    return mail, tuple(dict.fromkeys(one for one in parents if one != ids[0]))


def _text(field: str) -> str:
    """A header's text; decoding is dear, and most need none."""
    return header.decoded(field) if "=?" in field else field
