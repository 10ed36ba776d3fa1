# SPDX-License-Identifier: GPL-2.0-only
"""Folders for what one run throws away: disks, sockets, keys."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_NAME = re.compile(r"harness-(\d+)\..*")


def folder() -> tempfile.TemporaryDirectory[str]:
    """A new one, removed when its block ends; its name tells whose it is.

    In the system's folder for temporary files, whose short path leaves room for a socket's name.
    """
    return tempfile.TemporaryDirectory(prefix=f"harness-{os.getpid()}.")


def sweep() -> None:
    """Remove what killed runs of this user left behind: disks and keys of no use to anybody."""
    for path in Path(tempfile.gettempdir()).glob("harness-*.*"):
        match = _NAME.fullmatch(path.name)
        if not match or Path("/proc", match[1]).exists() or path.is_symlink():
            continue
        if path.lstat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
