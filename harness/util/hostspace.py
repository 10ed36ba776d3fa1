# SPDX-License-Identifier: GPL-2.0-only
"""Room on the host's disks: asked for before work starts, not found out in its middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.util.errors import InfraError


class NoSpaceError(InfraError):
    """The disk is too small for what is about to be written."""


def free_bytes(path: Path) -> int:
    """Bytes that this user can still write where ``path`` is, or will be made."""
    status = os.statvfs(existing(path))
    return status.f_bavail * status.f_frsize


def existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def require_space(path: Path, needed: int, purpose: str) -> None:
    """Raise NoSpaceError when ``path``'s file system has less than ``needed`` bytes left."""
    have = free_bytes(path)
    if have < needed:
        raise NoSpaceError(
            f"{purpose} needs {in_words(needed)} of disk but only {in_words(have)} are free at "
            f"{path}; free some, or point XDG_CACHE_HOME (or RESULTS) at a larger disk"
        )


def below(folder: Path) -> Iterator[os.stat_result]:
    """What lstat says of all files and folders below one, links not followed.

    What somebody removes meanwhile is left out: builds and boots of others go on.
    """
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        try:
            yield entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from below(Path(entry.path))


def in_words(count: int) -> str:
    """Bytes for a sentence, e.g. "1.5 GiB"."""
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 29 else f"{count / (1 << 20):.0f} MiB"
