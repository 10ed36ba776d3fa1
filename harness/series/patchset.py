# SPDX-License-Identifier: GPL-2.0-only
"""A folder or mbox of mails made into an ordered, complete list of patches.  Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.series.mail import mbox
from harness.series.mail.cover import Cover
from harness.series.mail.mbox import Mail
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
    letter (or one patch), None if it was never mailed.
    """

    patches: tuple[Mail, ...]
    title: str | None
    base_commit: str | None
    notes: tuple[str, ...]
    head: str | None = None
    origin: tuple[tuple[str, str], ...] = ()
    cover: Cover | None = None


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
    notes = [
        f"left out a reply that holds a diff: {m.subject}" for m in mails if m.reply and m.diff
    ]
    patches = [mail for mail in mails if mail.diff and not mail.reply and mail.number != 0]
    covers = [mail for mail in mails if mail.number == 0 and not mail.reply]
    numbered = [mail for mail in patches if mail.number is not None]
    if not patches:
        raise UserError(f"{where} holds no patches")
    unread = [mail for mail in mails if not mail.diff and not mail.reply and mail.number]
    if numbered:
        notes += [
            f"left out a patch without a number: {mail.subject}"
            for mail in patches
            if mail.number is None
        ]
        patches = _by_number(numbered, unread, where=where)
    else:
        patches = _distinct(patches)
    if len({mail.message_id for mail in covers}) > 1:
        notes.append(_copies(covers))
    titles = [mail.subject for mail in covers if mail.subject != _NO_SUBJECT]
    if not titles and len(patches) == 1:
        titles = [patches[0].subject]
    head = (covers or patches)[0].message_id
    title = titles[0] if titles else None
    return PatchSet(tuple(patches), title, _base_commit([*covers, *patches]), tuple(notes), head)


def _by_number(mails: Sequence[Mail], unread: Sequence[Mail], *, where: str) -> list[Mail]:
    revisions = sorted({mail.revision for mail in mails})
    if len(revisions) > 1:
        names = " and ".join(f"v{revision}" for revision in revisions)
        raise UserError(f"{where} holds {names} of the series: keep one of them")
    totals = sorted({mail.total for mail in mails if mail.total is not None})
    if len(totals) > 1:
        raise UserError(
            f"{where} holds patches of {' and of '.join(map(str, totals))}: these are two series"
        )
    found: dict[int, Mail] = {}
    for mail in mails:
        number = mail.number or 0
        other = found.setdefault(number, mail)
        if other.change != mail.change or other.subject != mail.subject:
            raise UserError(
                f"{where} holds two different patches {number}/{totals[0]}: "
                f"{_called(other)} and {_called(mail)}"
            )
    missing = [number for number in range(1, totals[0] + 1) if number not in found]
    if missing:
        numbers = ", ".join(map(str, missing))
        empty = [
            f"; {_called(mail)} holds no diff that can be read (it is {', '.join(mail.parts)})"
            for mail in unread
            if mail.number in missing
        ]
        raise UserError(f"{where} lacks patch {numbers} of {totals[0]}{''.join(empty[:1])}")
    extra = [number for number in found if number > totals[0]]
    if extra:
        raise UserError(f"{where} holds a patch {extra[0]} of {totals[0]}")
    return [found[number] for number in sorted(found)]


def _distinct(mails: Sequence[Mail]) -> list[Mail]:
    """Without copies of the same mail, which lists and archives make."""
    kept: dict[tuple[str, bytes], Mail] = {}
    for mail in mails:
        kept.setdefault((mail.subject, mail.change), mail)
    return list(kept.values())


def _copies(covers: Sequence[Mail]) -> str:
    """What to say of a cover letter that was posted more than once."""
    stated = sorted({mail.base_commit or "none" for mail in covers})
    differ = f"; they name different bases: {', '.join(stated)}" if len(stated) > 1 else ""
    return f"the cover letter was posted {len(covers)} times, the first one counts{differ}"


def _called(mail: Mail) -> str:
    return f"'{mail.subject}' <{mail.message_id}>" if mail.message_id else f"'{mail.subject}'"


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
