# SPDX-License-Identifier: GPL-2.0-only
"""A folder or mbox of mails made into an ordered, complete list of patches.  Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.series.mail import mbox
from harness.series.mail.cover import Cover
from harness.series.mail.mbox import Mail
from harness.series.mail.thread import Sending, Thread, called
from harness.util.errors import UserError

_SUFFIXES = (".patch", ".diff", ".eml")
_MAX_FILES = 1000
_NO_SUBJECT = "*** SUBJECT HERE ***"
"""What git format-patch --cover-letter writes for its user to replace."""


@dataclass(frozen=True, slots=True)
class PatchSet:
    """Patches in the order of application, the cover letter's title, what was left out.

    ``head`` is the message-id of the cover letter or else of the first patch.  ``origin`` are
    (key, value) pairs of where mails or commits are from; ``cover`` has the headers of the cover
    letter (or one patch), None if it was never mailed.  ``doubts`` are those of the notes that
    tell why the patches may not be what was meant; ``needs`` are lines of the mails that name
    patches or a tree to put them on.
    """

    patches: tuple[Mail, ...]
    title: str | None
    base_commit: str | None
    notes: tuple[str, ...]
    head: str | None = None
    origin: tuple[tuple[str, str], ...] = ()
    cover: Cover | None = None
    doubts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def from_file(path: Path) -> PatchSet:
    """The series in an mbox, or the one patch in a patch file."""
    mails = mbox.split(_bytes(path))
    stem = path.name.rsplit(".", 1)[0]
    read = [
        mbox.read(raw, name=stem if len(mails) == 1 else f"mail {number} of {path.name}")
        for number, raw in enumerate(mails, 1)
    ]
    return assemble(read, where=str(path))


def from_folder(folder: Path) -> PatchSet:
    """The series in a folder of patch files.

    A quilt ``series`` file gives the order; else [PATCH n/m]; else the names, by their number.
    """
    listed = (folder / "series").is_file()
    paths = _quilt_order(folder) if listed else _by_name(folder)
    if not paths:
        raise UserError(f"{folder} holds no patches ({', '.join(_SUFFIXES)})")
    mails = [mbox.read(_bytes(_inside(path, folder)), name=path.stem) for path in paths]
    if listed:
        empty = [path.name for path, mail in zip(paths, mails, strict=True) if not mail.diff]
        if empty:
            raise UserError(f"{folder}/series lists {empty[0]}, which changes nothing")
        return PatchSet(tuple(mails), None, _base_commit(mails), ())
    patches = [mail for mail in mails if mail.diff]
    for path, mail in zip(paths, mails, strict=True):
        if not mail.diff and mail.number != 0:
            raise UserError(f"{path} holds no diff and is no cover letter ([PATCH 0/n])")
    numbered = [mail for mail in patches if mail.number is not None]
    if numbered and len(numbered) != len(patches):
        odd = next(mail for mail in patches if mail.number is None)
        raise UserError(
            f"{folder}: some patches say [PATCH n/m], but not '{odd.subject}': "
            "give the order in a file called series"
        )
    if not numbered:
        _check_names(folder, paths)
    return assemble(mails, where=str(folder))


def assemble(mails: Sequence[Mail], *, where: str) -> PatchSet:
    """Pick and order the patches among mails in any order, replies and covers among them.

    Raises UserError for a number that is missing or has two different contents, for mixed
    revisions, and when there is no patch; ``where`` names the origin.
    """
    known = Thread(mails)
    mails = known.mails
    notes = [
        f"left out a reply that holds a diff: {m.subject}" for m in mails if m.reply and m.diff
    ]
    patches = [mail for mail in mails if mail.diff and not mail.reply and not mail.is_cover]
    numbered = [mail for mail in patches if mail.number is not None]
    covers = [mail for mail in mails if mail.is_cover]
    if not patches:
        raise UserError(f"{where} holds no patches")
    if not numbered:
        return _made(_distinct(patches, where=where), covers, notes, ())
    notes += [
        f"left out a patch without a number: {mail.subject}"
        for mail in patches
        if mail.number is None
    ]
    heads = {id(head): head for mail in numbered if (head := known.cover(mail))}
    if len(heads) == 1:
        (head,) = heads.values()
        sending = known.sending(head)
        ours = {id(mail) for mail in (*sending.patches, *sending.others)}
        rest = [one for one in numbered if id(one) not in ours and not _is_copy(one, sending)]
        if not rest and sending.whole:
            found = complete(sending, covers or [head], where=where)
            return replace(found, notes=(*notes, *found.notes))
    unread = [mail for mail in mails if not mail.diff and not mail.reply and mail.number]
    return _made(_by_number(numbered, unread, where=where), covers, notes, ())


def complete(sending: Sending, covers: Sequence[Mail], *, where: str) -> PatchSet:
    """The patches of a sending, each of its numbers once.  UserError if it is not so."""
    total = sending.total
    for mails in sending.doubles:
        raise UserError(
            f"{where} holds {'two' if len(mails) == 2 else len(mails)} different patches "
            f"{mails[0].number}/{total}: {_listed(mails)}"
        )
    unread = [mail for mail in sending.patches if not mail.diff]
    patches = [mail for mail in sending.patches if mail.diff]
    missing = sorted({*sending.lacking, *(mail.number or 0 for mail in unread)})
    counts = sorted({mail.total for mail in sending.others if mail.total not in (None, total)})
    if missing and counts:
        others = " and ".join(map(str, counts))
        raise UserError(
            f"{where} holds patches of {total} and of {others}: these are two series, or a count "
            "is wrong"
        )
    if not patches:
        raise UserError(f"{where} holds no patches")
    if missing:
        numbers = ", ".join(map(str, missing))
        empty = [
            f"; {called(mail)} holds no diff that can be read (it is {', '.join(mail.parts)})"
            for mail in unread
        ]
        raise UserError(f"{where} lacks patch {numbers} of {total}{''.join(empty[:1])}")
    doubts = [*sending.notes]
    for mail in sending.others:
        doubts.append(
            f"left out a later patch {mail.number}{mail.later}/{mail.total}: {called(mail)}"
        )
    return _made(patches, covers, [], doubts)


def _made(
    patches: Sequence[Mail], covers: Sequence[Mail], notes: Sequence[str], doubts: Sequence[str]
) -> PatchSet:
    notes = [*doubts, *notes]
    if len({mail.message_id for mail in covers}) > 1:
        notes.append(_copies(covers))
    titles = [mail.subject for mail in covers if mail.subject != _NO_SUBJECT]
    if not titles and len(patches) == 1:
        titles = [patches[0].subject]
    head = (covers or patches)[0].message_id
    title = titles[0] if titles else None
    base = _base_commit([*covers, *patches])
    needs = tuple(dict.fromkeys(line for mail in (*covers, *patches) for line in mail.needs))
    notes += [f"it names {line}" for line in needs]
    return PatchSet(
        tuple(patches), title, base, tuple(notes), head, doubts=tuple(doubts), needs=needs
    )


def _is_copy(mail: Mail, sending: Sending) -> bool:
    return any(
        (mail.number, mail.subject, mail.change, mail.label)
        == (one.number, one.subject, one.change, one.label)
        for one in sending.patches
    )


def _by_number(mails: Sequence[Mail], unread: Sequence[Mail], *, where: str) -> list[Mail]:
    """Each number once, of mails that nothing but their numbers holds together."""
    labels = sorted({mail.label for mail in mails})
    if len(labels) > 1:
        raise UserError(f"{where} holds {' and '.join(labels)} of the series: keep one of them")
    totals = sorted({mail.total for mail in mails if mail.total is not None})
    if len(totals) > 1:
        raise UserError(
            f"{where} holds patches of {' and of '.join(map(str, totals))}: these are two series"
        )
    found: dict[int, Mail] = {}
    for mail in mails:
        other = found.setdefault(mail.number or 0, mail)
        if (other.change, other.subject, other.later) != (mail.change, mail.subject, mail.later):
            raise UserError(
                f"{where} holds two different patches {mail.number}/{totals[0]}: "
                f"{called(other)} and {called(mail)}"
            )
    extra = [number for number in found if not 0 < number <= totals[0]]
    patches = [found[number] for number in sorted(found) if number not in extra]
    sending = Sending(None, (*patches, *_only(unread, found)), totals[0])
    if extra and sending.whole:
        raise UserError(f"{where} holds a patch {extra[0]} of {totals[0]}")
    return list(complete(sending, (), where=where).patches)


def _only(unread: Sequence[Mail], found: Mapping[int, Mail]) -> list[Mail]:
    """One mail without a diff for each number that no other one has."""
    return list({mail.number: mail for mail in unread if mail.number not in found}.values())


def _listed(mails: Sequence[Mail]) -> str:
    shown = [called(mail) for mail in mails[:4]]
    return f"{' and '.join(shown)}{' and more' if len(mails) > 4 else ''}"


def _distinct(mails: Sequence[Mail], *, where: str) -> list[Mail]:
    """Without copies of the same mail, which lists and archives make.

    Raises UserError for one patch in two revisions.
    """
    kept: dict[tuple[str, bytes], Mail] = {}
    titled: dict[str, Mail] = {}
    for mail in mails:
        kept.setdefault((mail.subject, mail.change), mail)
    for mail in kept.values():
        other = titled.setdefault(mail.subject, mail)
        if other is mail:
            continue
        if other.label != mail.label:
            names = " and ".join(sorted({other.label, mail.label}))
            raise UserError(f"{where} holds {names} of '{mail.subject}': keep one of them")
        if other.message_id and mail.message_id:
            raise UserError(f"{where} holds two different patches: {_listed([other, mail])}")
    return list(kept.values())


def _copies(covers: Sequence[Mail]) -> str:
    """What to say of a cover letter that was posted more than once."""
    stated = sorted({mail.base_commit or "none" for mail in covers})
    differ = f"; they name different bases: {', '.join(stated)}" if len(stated) > 1 else ""
    return f"the cover letter was posted {len(covers)} times, the first one counts{differ}"


def _base_commit(mails: Sequence[Mail]) -> str | None:
    return next((mail.base_commit for mail in mails if mail.base_commit), None)


def _quilt_order(folder: Path) -> list[Path]:
    text = _bytes(_inside(folder / "series", folder)).decode(errors="replace")
    paths = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[1:] not in ([], ["-p1"]):
            raise UserError(
                f"{folder}/series: '{line.strip()}' has options; only -p1 is understood"
            )
        path = folder / words[0]
        try:
            is_there = path.is_file()
        except OSError:  # a name longer than any file's
            is_there = False
        if not is_there:
            raise UserError(f"{folder}/series lists {words[0]}, which is not there")
        paths.append(path)
    return paths


def _by_name(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if path.name.endswith(_SUFFIXES)]
    if len(paths) > _MAX_FILES:
        raise UserError(f"{folder} holds more than {_MAX_FILES} patches")
    return sorted(paths, key=lambda path: (_leading_number(path), path.name))


def _leading_number(path: Path) -> int:
    match = re.match(r"\d+", path.name)
    return int(match[0]) if match else 1 << 62


def _check_names(folder: Path, paths: Sequence[Path]) -> None:
    """git format-patch counts its files from 0001 without a gap."""
    if not all(re.match(r"\d{4}-", path.name) for path in paths):
        return
    numbers = [_leading_number(path) for path in paths]
    for number in range(1, numbers[-1] + 1):
        if numbers.count(number) != 1 and len(paths) > 1:
            what = "lacks" if number not in numbers else "holds more than one"
            raise UserError(f"{folder} {what} patch {number:04d}")


def _inside(path: Path, folder: Path) -> Path:
    """`path`, unless a link or .. leads out of `folder`."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} leads outside {folder}: patches must lie in their folder")
    return path


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"{path} is not a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
