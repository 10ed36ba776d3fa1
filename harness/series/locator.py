# SPDX-License-Identifier: GPL-2.0-only
"""What the name of a series means: a path, an entry of the registry, a mail or a git range.

Nothing is guessed: a name that could mean two things is an error that says how to write each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.series.mail import lore
from harness.series.mail.lore import Address
from harness.series.registry import Entry, Revision
from harness.series.registry import names as entry_names
from harness.series.registry import read as read_entry
from harness.source.git import commit_of
from harness.util.errors import UserError
from harness.util.paths import is_kernel_checkout


@dataclass(frozen=True, slots=True)
class GitRange:
    """The commits of ``repository`` after ``base`` up to ``tip``.

    A base of "" is to be found; a tip of "" is the work tree: HEAD, and what is not committed.
    """

    repository: Path
    base: str
    tip: str

    @property
    def shown(self) -> str:
        """As a user would write it."""
        return f"{self.base}..{self.tip}" if self.base else (self.tip or "work tree")


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of the registry, and the revision that is meant if it is known by its mails."""

    entry: Entry
    revision: Revision | None

    @property
    def name(self) -> str:
        """The name that means this very revision, now and later."""
        return f"{self.entry.name}-{self.revision.name}" if self.revision else self.entry.name


Place = Path | Listed | Address | GitRange


def find(name: str, *, registry: Path, kernel_git: str | None = None) -> Place:
    """Settle what `name` means; UserError when that is nothing or two things.

    ``registry`` is the folder of the yaml files, ``kernel_git`` the repository of bare ranges.
    """
    if name.startswith("registry:"):
        return _listed(name.removeprefix("registry:"), registry)
    if name.startswith("mail:") or re.match(r"https?://", name):
        return _address(name)
    path = Path(name).expanduser()
    listed = _is_listed(name, registry)
    branch = _branch(name, kernel_git)
    if listed and branch:
        raise UserError(
            f"{name} is a branch of KERNEL_GIT and a series of the registry: "
            f"write {branch.repository}:{name} or registry:{name}"
        )
    if path.exists():
        if listed:
            raise UserError(
                f"{name} is a path here and a series of the registry: "
                f"write ./{name} or registry:{name}"
            )
        return GitRange(path, "", "") if is_kernel_checkout(path) else path
    if listed:
        return _listed(name, registry)
    if ".." in name and "@" not in name and (found := _range(name, kernel_git)):
        return found
    if branch:
        return branch
    if "/" in name or name.startswith((".", "~")):
        raise UserError(f"{name} is neither a folder with patches nor an mbox")
    if "@" in name:
        return _address(name)
    return _listed(name, registry)


def _address(name: str) -> Address:
    address = lore.parse(name)
    if address is None:
        raise UserError(
            f"{name} is neither a message-id nor the URL of a mail: write name@host, or "
            "https://HOST/LIST/name@host/, with @v3 or @latest at the end for another revision"
        )
    return address


def _split(name: str) -> tuple[str, str] | None:
    """vswap-v3, vswap@v3 or vswap@latest as entry and revision."""
    match = re.fullmatch(r"([^@]+)(?:[-@](v[1-9]\d*)|@(latest))", name)
    return (match[1], match[2] or match[3]) if match else None


def _is_listed(name: str, registry: Path) -> bool:
    known = entry_names(registry)
    split = _split(name)
    return name in known or (split is not None and split[0] in known)


def _listed(name: str, registry: Path) -> Listed:
    split = _split(name)
    if name not in entry_names(registry) and split and split[0] in entry_names(registry):
        entry = read_entry(split[0], registry=registry)
        return Listed(entry, entry.revision(split[1]))
    entry = read_entry(name, registry=registry)
    by_mail = entry.revisions and not (entry.folder or entry.mbox)
    return Listed(entry, entry.revision("latest") if by_mail else None)


_REVISION = r"[A-Za-z0-9_][A-Za-z0-9._/+~^-]*"
"""HEAD~3 too; nothing that git could take for an option or a path."""


def _branch(name: str, kernel_git: str | None) -> GitRange | None:
    """``PATH:branch``, or a branch of a local KERNEL_GIT; None if it is none."""
    place, colon, revision = name.rpartition(":")
    folder = Path(place if colon else kernel_git or "/dev/null").expanduser()
    if ".." in name or not re.fullmatch(_REVISION, revision) or not folder.is_dir():
        return None
    wanted = revision if colon else f"refs/heads/{revision}"
    if commit_of(folder, wanted) is None:
        if colon:
            raise UserError(f"{folder} has no branch or commit {revision}")
        return None
    return GitRange(folder, "", revision)


def _range(name: str, kernel_git: str | None) -> GitRange | None:
    """``a..b`` or ``a..`` of KERNEL_GIT, or with ``PATH:`` in front; None if it cannot be one."""
    place, colon, revisions = name.rpartition(":")
    base, dots, tip = revisions.partition("..")
    if not dots or tip.startswith(".") or not base:
        return None
    for revision in (base, tip or "HEAD"):
        if not re.fullmatch(_REVISION, revision):
            raise UserError(f"{revision!r} is not the name of a git tag, branch or commit")
    where = place if colon else kernel_git
    if where is None:
        raise UserError(
            f"{name} looks like a range of commits: set KERNEL_GIT= to the folder of their "
            f"repository, or write FOLDER:{name}"
        )
    folder = Path(where).expanduser()
    if not folder.is_dir():
        raise UserError(f"the range {revisions} needs a local repository, and {where} is no folder")
    return GitRange(folder, base, tip)
