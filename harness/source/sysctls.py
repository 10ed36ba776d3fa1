# SPDX-License-Identifier: GPL-2.0-only
"""The sysctls of a kernel tree, by its sources: which names there are, and which are misspelt.

Names are those of files, without the folder: ``swappiness`` of vm.swappiness.  Where a table is
registered cannot be told without running the kernel.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from harness.source.git import run_git
from harness.util.errors import UserError

_PLACE = "/proc/sys/"
_LEAST = 0.8
"""How alike a name and the one that was meant are: one or two letters of ten."""
_NAME = re.compile(r'"([^"/]+)"')


@lru_cache(maxsize=8)
def names(store: Path, commit: str) -> frozenset[str]:
    """Those that the ctl_table entries of a commit have as a text."""
    argv = ["grep", "-h", "-E", r'\.procname\s*=\s*"', commit, "--", "*.c"]
    return frozenset(_NAME.findall(_grep(store, argv)))


def require(paths: Iterable[str], store: Path, commits: Sequence[str], *, version: str) -> None:
    """Raise UserError for a file of /proc/sys that is likely misspelt, with the one that was meant.

    ``version`` is what the error calls the trees.  Other files are not looked at.
    """
    for path in paths:
        name = path.removeprefix(_PLACE).replace("/", ".")
        if path.startswith(_PLACE) and (better := meant(name, store, commits)):
            raise UserError(f"Linux {version} has no sysctl '{name}'; did you mean '{better}'?")


def meant(name: str, store: Path, commits: Sequence[str]) -> str:
    """The sysctl that is likely meant by a dotted name that none of the commits knows; "" for none.

    A name that is a word of any source file is not judged: a macro may make an entry of it.  Nor is
    one that is like no other: the guest knows whether it is there.
    """
    folder, dot, own = name.rpartition(".")
    known = frozenset[str]().union(*(names(store, commit) for commit in commits))
    if own in known:
        return ""
    close = difflib.get_close_matches(own, sorted(known), n=1, cutoff=_LEAST)
    if not close or any(_has_word(store, commit, own) for commit in commits):
        return ""
    return f"{folder}{dot}{close[0]}"


def _has_word(store: Path, commit: str, word: str) -> bool:
    return bool(_grep(store, ["grep", "-l", "-w", "-F", "-e", word, commit, "--", "*.c", "*.h"]))


def _grep(store: Path, argv: list[str]) -> str:
    return run_git(argv, env={"GIT_DIR": str(store)}).stdout.decode(errors="replace")
