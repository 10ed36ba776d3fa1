# SPDX-License-Identifier: GPL-2.0-only
"""Mails fetched by message-id: from local mirrors first, else from a public-inbox server with b4.

b4 is the kernel developers' own tool.  It runs with a home of its own, so no setting of the user
counts, and asks the given server only.  What it fetched is kept in the cache with its hash.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.experiment import defaults
from harness.series import patchset
from harness.series.mail import cover, mbox, posting, revisions
from harness.series.mail.archive import Archive
from harness.series.mail.mbox import Mail
from harness.series.mail.revisions import PostedSeries
from harness.series.mail.thread import BATCH, Thread
from harness.series.patchset import PatchSet
from harness.source.upstream import unreachable
from harness.util import atomic
from harness.util.command import run
from harness.util.errors import InfraError, UserError

_log = logging.getLogger(__name__)

SERVER = defaults.LORE
"""The server that is asked when none is given: every list that lore has."""

_REDIRECTORS = ("patch.msgid.link", "msgid.link")
_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class MailSource:
    """Where mails are to be had.

    ``server`` is the URL of an inbox of a public-inbox server; ``mirrors`` are paths of local
    ones; ``cache`` is the folder for what is fetched.  With ``trailers`` the Reviewed-by and so
    on of the answers go into the commit messages; with ``fixes`` patches that were sent into the
    thread of a posting later are put where they belong.
    """

    cache: Path
    server: str = SERVER
    mirrors: tuple[Path, ...] = ()
    trailers: bool = False
    fixes: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """One posting of a series: ``label`` is like v3 or RFC-v1, ``date`` ISO in UTC or ""."""

    label: str
    message_id: str
    title: str
    date: str


@dataclass(frozen=True, slots=True)
class Address:
    """What was asked for: a mail, the inbox its URL names (None for a bare id), a revision."""

    message_id: str
    server: str | None
    revision: str | None


def parse(name: str) -> Address | None:
    """`name` as a message-id or the URL of a mail, with ``@v3`` or ``@latest``; None if neither."""
    match = re.fullmatch(r"(.+)@(v[1-9]\d*|latest)", name)
    text, revision = (match[1], match[2]) if match and "@" in match[1] else (name, None)
    server, slash = None, "/"
    if re.match(r"https?://", text):
        try:
            parts = urlsplit(text)
        except ValueError:  # brackets that enclose no address
            return None
        words = [unquote(word) for word in parts.path.split("/") if word]
        places = [number for number, word in enumerate(words) if "@" in word]
        if not places:
            return None
        text = words[places[0]]
        server = "/".join([f"{parts.scheme}://{parts.netloc}", *words[: places[0]]])
        # Redirectors serve no threads: "/r/" of lore, and a host that is nothing else.
        if server.endswith("/r") or parts.netloc in _REDIRECTORS:
            server = SERVER
    elif not text.startswith(("mail:", "<")):
        slash = ""
    text = unquote(text.removeprefix("mail:").strip("<>"))
    # It goes into b4's argv and URLs: no option, no path, no space.
    word = rf"[^\s<>?\\@{'' if slash else '/'}]+"
    if not re.fullmatch(rf"(?![-/.]){word}@{word}", text) or "/../" in text or "//" in text:
        return None
    return Address(text, server, revision)


def fetch(address: Address, mails: MailSource) -> PatchSet:
    """The series that the mail belongs to, or the ``revision`` of it that is asked for.

    Raises UserError when no mail of that id or revision exists or the posting is not whole,
    InfraError when neither mirror nor server can be asked.
    """
    with _asked(address, mails) as (archive, origin):
        picked, raws = pick(address, archive, fixes=mails.fixes)
    origin["message_id"] = str(picked.head)
    if mails.trailers:
        picked = _with_trailers(picked, raws, mails.server)
        origin["trailers"] = "yes"
    text = mbox.join(mail.canonical for mail in picked.patches)
    origin["sha256"] = hashlib.sha256(text).hexdigest()
    head = cover.find(raws, origin["message_id"])
    return replace(picked, origin=tuple(sorted(origin.items())), cover=head)


def pick(
    address: Address, archive: Archive, *, fixes: bool = False
) -> tuple[PatchSet, tuple[bytes, ...]]:
    """The series of an archive that is asked for, and the mails of its thread.  Errors: `fetch`."""
    raws = archive.thread(address.message_id)
    asked = address.message_id
    notes: list[str] = []
    doubts: list[str] = []
    if address.revision is not None:
        found = _of_revision(address, archive, raws)
        if found.by:
            date = iso(found.head.date)[:10]
            notes.append(f"@{address.revision} is {found.label} of {date}, found by {found.by}")
            doubts = notes if found.by != revisions.TITLE else []
        asked = found.head.message_id
        raws = archive.thread(asked)
    raws = _with_strays(raws, asked, archive)
    picked = posting.pick(posting.read(raws), asked, fixes=fixes)
    told = replace(picked, notes=(*notes, *picked.notes), doubts=(*doubts, *picked.doubts))
    return told, raws


def _head_of(raws: Sequence[bytes], message_id: str) -> str:
    """The id of the cover letter or first patch of the posting that a mail is of."""
    known = Thread(posting.read(raws))
    sending = known.sending(posting.posted(known, message_id))
    head = sending.cover or next(iter(sending.patches), None)
    return str(head.message_id) if head else message_id


def _of_revision(address: Address, archive: Archive, raws: Sequence[bytes]) -> PostedSeries:
    """The newest posting of the series, or the last one of the revision that is asked for."""
    head = _head_of(raws, address.message_id)
    found = revisions.family(archive, head)
    own = next((one for one in found if head in one.ids), None)
    if own is None:
        raise UserError(f"<{head}> heads no posting by which other revisions could be found")
    if address.revision == "latest":
        return found[-1]
    wanted = int(str(address.revision).removeprefix("v"))
    fits = [one for one in found if one.said.revision == wanted]
    alike = [one for one in fits if one.said.rfc == own.said.rfc] or fits
    if not alike:
        known = ", ".join(dict.fromkeys(one.label for one in found))
        raise UserError(
            f"no revision {address.revision} of '{own.head.title}' was found (there is {known}): "
            "give the message-id of its cover letter"
        )
    return alike[-1]


def _with_strays(raws: tuple[bytes, ...], asked: str, archive: Archive) -> tuple[bytes, ...]:
    """The thread, and what its sender sent at the time, where a posting was not threaded."""
    mail = archive.mail(asked)
    if mail is None or revisions.said(mail).number is None:
        return raws
    own = revisions.said(mail)
    known = {one for raw in raws for one in cover.ids(raw)}
    more = [
        one.message_id
        for one in archive.sent(mail.sender, mail.date - BATCH, mail.date + BATCH)
        if one.message_id not in known and revisions.like(revisions.said(one), own)
    ]
    return (*raws, *(raw for one in more for raw in archive.raw(one)))


def postings(address: Address, mails: MailSource) -> tuple[Posted, ...]:
    """All postings of the series that a mail belongs to, oldest first, each label once.

    Only those from the same address: what is found is built, and bears the name of the series.
    A mirror gives all of them; a server gives those since the mail that is asked for.
    Errors as in `fetch`.
    """
    with _asked(replace(address, revision="latest"), mails) as (archive, _):
        head = _head_of(archive.thread(address.message_id), address.message_id)
        found = revisions.family(archive, head)
    own = next((one.head.sender for one in found if head in one.ids), "")
    rows = [
        Posted(one.label, one.head.message_id, one.head.title, iso(one.head.date))
        for one in found
        if one.head.sender == own
    ]
    # A cover letter that was mailed twice is one revision.
    return tuple({one.label: one for one in reversed(rows)}.values())[::-1]


def iso(date: int) -> str:
    """Seconds since the epoch as ISO in UTC; "" for none."""
    if not date:
        return ""
    return datetime.datetime.fromtimestamp(date, datetime.UTC).isoformat(timespec="seconds")


def by_change_id(change_id: str, mails: MailSource) -> Address:
    """The first posting with a change-id, in the mirrors.  UserError when there is none."""
    if not mails.mirrors:
        raise UserError(
            f"the change-id {change_id} can be looked for in a local mirror only: name one, or "
            "give the message-id of any posting of the series"
        )
    archive = Archive(mails.mirrors, index=mails.cache / "index")
    archive.refresh()
    for one in archive.changed(change_id):
        if one.tags and not one.reply:
            return Address(one.message_id, None, None)
    raise UserError(f"no posting with the change-id {change_id} is in {_listed(mails.mirrors)}")


def mail(address: Address, mails: MailSource) -> bytes:
    """One mail as it was sent.  Errors as in `fetch`."""
    with _asked(address, mails) as (archive, _):
        raw = cover.find_raw(archive.thread(address.message_id), address.message_id)
    if raw is None:
        raise UserError(f"there is no mail <{address.message_id}> in its own thread")
    return raw


@contextlib.contextmanager
def _asked(address: Address, mails: MailSource) -> Iterator[tuple[Archive, dict[str, str]]]:
    """An archive that has the mail, and where it is from: the mirrors, or what the server gave."""
    if mails.mirrors:
        archive = Archive(mails.mirrors, index=mails.cache / "index")
        added = archive.refresh()
        if added:
            _log.info(f"indexed {added} mails of {_listed(mails.mirrors)}")
        with archive.reading():
            if archive.mail(address.message_id):
                yield archive, {"mirror": _listed(mails.mirrors)}
                return
        _log.info(f"{_listed(mails.mirrors)} does not have <{address.message_id}>")
    server = (address.server or mails.server).rstrip("/")
    archive = Archive.of(_from_server(address, server, mails))
    with archive.reading():
        yield archive, {"server": server}


def _from_server(address: Address, server: str, mails: MailSource) -> tuple[bytes, ...]:
    key = f"{server} {address.message_id} {address.revision or ''}".rstrip()
    kept = mails.cache / hashlib.sha256(key.encode()).hexdigest()[:24]
    # A posting does not change; what is newest, and the answers, do.
    moving = address.revision == "latest" or mails.trailers
    known = _kept(kept)
    if known and not moving:
        return mbox.split(known)
    try:
        data = _b4_mbox(address, server, mails)
    except InfraError as error:
        if known is None:
            raise
        _log.warning(f"{error}; using what was fetched before")
        return mbox.split(known)
    facts = {"asked": key, "server": server, "sha256": hashlib.sha256(data).hexdigest()}
    atomic.binary(kept.with_suffix(".mbox"), data)
    atomic.text(kept.with_suffix(".json"), atomic.json_text(facts))
    return mbox.split(data)


def _kept(place: Path) -> bytes | None:
    """What was fetched before, if it is still what it was."""
    try:
        data = place.with_suffix(".mbox").read_bytes()
        facts = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
        return data if facts["sha256"] == hashlib.sha256(data).hexdigest() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _b4_mbox(address: Address, server: str, mails: MailSource) -> bytes:
    """The thread (and with a revision the newer ones) as b4 fetches it: an mbox."""
    if why := unreachable(server):
        raise InfraError(
            f"could not fetch <{address.message_id}>: {server} cannot be reached ({why}); set "
            "MIRROR= to a local mirror of its list, or LORE= to another server, or save the thread "
            "and give PATCH=FILE.mbox"
        )
    _log.info(f"asking {server} for <{address.message_id}>")
    newer = ("--check-newer-revisions",) if address.revision else ()
    with tempfile.TemporaryDirectory(prefix="harness-b4-") as name:
        place = Path(name)
        said = _b4(
            place, server, "mbox", "--no-cache", *newer, "-o", "out", "-n", "thread",
            address.message_id,
        )  # fmt: skip
        try:
            return (place / "out" / "thread").read_bytes()
        except OSError:
            why = said.splitlines()[-1] if said else "it does not say why"
        if "404" in why:
            raise UserError(f"{server} has no mail <{address.message_id}>: check the id, or LORE=")
        raise InfraError(f"b4 could not fetch <{address.message_id}> from {server}: {why}")


def _with_trailers(picked: PatchSet, raws: Sequence[bytes], server: str) -> PatchSet:
    """The same patches with the trailers that the thread's answers give them, as b4 collects them.

    b4 sees these patches and answers alone, so that it cannot choose others.
    """
    first = picked.patches[0]
    ours = {mail.message_id for mail in picked.patches}
    shown = []
    for raw in raws:
        mail = mbox.read(raw, name="mail")
        if mail.message_id in ours or mail.reply:
            shown.append(raw)
    with tempfile.TemporaryDirectory(prefix="harness-b4-") as name:
        place = Path(name)
        (place / "thread").write_bytes(mbox.join(shown))
        said = _b4(
            place, server, "--offline-mode", "am", "--use-local-mbox", "thread", "--no-cover",
            "--use-version", str(first.revision), "-o", "out", "-n", "series",
            str(first.message_id),
        )  # fmt: skip
        made = place / "out" / "series.mbx"
        if not made.is_file():
            raise InfraError(f"b4 made no series of <{first.message_id}>: {said[-300:]}")
        dressed = patchset.from_file(made)
    if [_change(mail) for mail in dressed.patches] != [_change(mail) for mail in picked.patches]:
        raise InfraError(
            f"b4 gives other patches for <{first.message_id}> than were posted: leave out TRAILERS="
        )
    return replace(picked, patches=dressed.patches)


def _change(mail: Mail) -> tuple[str, bytes]:
    return mail.subject, mail.change


def _b4(place: Path, server: str, *args: str) -> str:
    """Run b4 in a folder of its own; what it said."""
    program = Path(sys.executable).with_name("b4")
    settings = {
        "midmask": f"{server}/%s",
        "linkmask": f"{server}/%s",
        "searchmask": f"{server}/?x=m&q=%s",
        # It would ask name servers for keys; nothing here depends on the answer.
        "attestation-policy": "off",
    }
    words = [word for item in settings.items() for word in ("-c", "b4.{}={}".format(*item))]
    home = place / "home"
    home.mkdir()
    (place / "out").mkdir()
    env = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(place.parent),
    }
    argv = [str(program), "--no-interactive", "--no-stdin", *words, *args]
    done = run(argv, cwd=place, env=env, check=False, timeout=_TIMEOUT)
    return (done.stderr or done.stdout).strip()


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
