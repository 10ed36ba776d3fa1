# SPDX-License-Identifier: GPL-2.0-only
"""Mails fetched by message-id: from local mirrors first, else from a public-inbox server with b4.

b4 is the kernel developers' own tool.  It runs with a home of its own, so no setting of the user
counts, and asks the given server only.  What it fetched is kept in the cache with its hash.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.experiment import defaults
from harness.series import patchset
from harness.series.mail import cover, mbox, posting
from harness.series.mail.archive import Archive
from harness.series.mail.mbox import Mail
from harness.series.patchset import PatchSet
from harness.util import atomic, header
from harness.util.command import run
from harness.util.errors import InfraError, UserError

_log = logging.getLogger(__name__)

SERVER = defaults.LORE
"""The server that is asked when none is given: every list that lore has."""

_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class MailSource:
    """Where mails are to be had.

    ``server`` is the URL of an inbox of a public-inbox server; ``mirrors`` are paths of local
    ones; ``cache`` is the folder for what is fetched.  With ``trailers`` the Reviewed-by and so
    on of the answers go into the commit messages.
    """

    cache: Path
    server: str = SERVER
    mirrors: tuple[Path, ...] = ()
    trailers: bool = False


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
    server = None
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
        # "/r/" is lore's redirector, which serves no threads.
        server = SERVER if server.endswith("/r") else server
    text = text.removeprefix("mail:").strip("<>")
    # It goes into b4's argv and URLs: no option, no path, no space.
    if not re.fullmatch(r"(?!-)[^\s/<>?\\@]+@[^\s/<>?\\@]+", text):
        return None
    return Address(text, server, revision)


def fetch(address: Address, mails: MailSource) -> PatchSet:
    """The series that the mail belongs to, or the ``revision`` of it that is asked for.

    Raises UserError when no mail of that id or revision exists or the posting is not whole,
    InfraError when neither mirror nor server can be asked.
    """
    raws, origin = _thread(address, mails)
    thread = posting.read(raws)
    picked = posting.pick(thread, address.message_id, revision=address.revision)
    first = picked.patches[0]
    origin["message_id"] = posting.cover_id(thread, str(first.message_id))
    if mails.trailers:
        picked = _with_trailers(picked, raws, mails.server)
        origin["trailers"] = "yes"
    text = mbox.join(mail.canonical for mail in picked.patches)
    origin["sha256"] = hashlib.sha256(text).hexdigest()
    head = cover.find(raws, origin["message_id"])
    return replace(picked, origin=tuple(sorted(origin.items())), cover=head)


def postings(address: Address, mails: MailSource) -> tuple[Posted, ...]:
    """All postings of the series that a mail belongs to, oldest first, each label once.

    A mirror gives all of them; a server gives those since the mail that is asked for.
    Errors as in `fetch`.
    """
    raws, _ = _thread(replace(address, revision="latest"), mails)
    found = []
    for head in posting.family(posting.read(raws), address.message_id):
        known = cover.find(raws, head.message_id)
        if known is None:
            continue
        tags = mbox.strip_brackets(known.subject)[1].upper().split()
        label = f"{'RFC-' if 'RFC' in tags else ''}v{head.revision}"
        sent = header.date(known.date)
        date = sent.isoformat(timespec="seconds") if sent else ""
        found.append(Posted(label, known.message_id, head.subject, date))
    found.sort(key=lambda one: (one.date, one.message_id))
    # A cover letter that was mailed twice is one revision.
    return tuple({one.label: one for one in reversed(found)}.values())[::-1]


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
        if "PATCH" in one.tags.upper() or "RFC" in one.tags.upper():
            return Address(one.message_id, None, None)
    raise UserError(f"no posting with the change-id {change_id} is in {_listed(mails.mirrors)}")


def mail(address: Address, mails: MailSource) -> bytes:
    """One mail as it was sent.  Errors as in `fetch`."""
    raws, _ = _thread(address, mails)
    raw = cover.find_raw(raws, address.message_id)
    if raw is None:
        raise UserError(f"there is no mail <{address.message_id}> in its own thread")
    return raw


def _thread(address: Address, mails: MailSource) -> tuple[tuple[bytes, ...], dict[str, str]]:
    """The raw mails to pick from, and where they are from."""
    if mails.mirrors:
        archive = Archive(mails.mirrors, index=mails.cache / "index")
        added = archive.refresh()
        if added:
            _log.info(f"indexed {added} mails of {_listed(mails.mirrors)}")
        raws = _from_archive(address, archive)
        if raws:
            return raws, {"mirror": _listed(mails.mirrors)}
        _log.info(f"{_listed(mails.mirrors)} does not have <{address.message_id}>")
    server = (address.server or mails.server).rstrip("/")
    return _from_server(address, server, mails), {"server": server}


def _from_archive(address: Address, archive: Archive) -> tuple[bytes, ...]:
    raws = archive.thread(address.message_id)
    if not raws or address.revision is None:
        return raws
    thread = posting.read(raws)
    head_id = posting.cover_id(thread, address.message_id)
    head = archive.mail(head_id)
    others = archive.titled(head.title, sender=head.sender) if head else ()
    change = next((mail.change_id for mail in thread if mail.message_id == head_id), None)
    others += archive.changed(change) if change else ()
    ids = dict.fromkeys(one.message_id for one in others)
    return (*raws, *(raw for one in ids for raw in archive.thread(one)))


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
