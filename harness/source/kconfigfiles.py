# SPDX-License-Identifier: GPL-2.0-only
"""Which Kconfig files of a tree make up the kernel's own configuration, and what they define."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath

from harness.experiment.arch import HERE
from harness.source.git import run_git

_OTHERS = (("tools",), ("scripts", "kconfig"), ("Documentation", "kbuild"))
"""Folders whose Kconfig files configure something else, or are there as examples and tests."""


def counts(path: PurePath) -> bool:
    """Whether a Kconfig file, as seen from the top of its tree, is one of the kernel's own.

    Other architectures, and programs in the tree, define symbols of the same name.
    """
    if any(path.parts[: len(folder)] == folder for folder in _OTHERS):
        return False
    return path.parts[:1] != ("arch",) or path.parts[1:2] in {(HERE.folder,), (path.name,)}


@lru_cache(maxsize=8)
def symbols(store: Path, commit: str) -> frozenset[str]:
    """The symbols (without CONFIG_) that the kernel's own Kconfig files define in a commit."""
    line = r"^\s*(menu)?config\s+[A-Za-z0-9_]+\s*$"
    argv = ["grep", "-z", "-E", line, commit, "--", "*Kconfig*"]
    done = run_git(argv, env={"GIT_DIR": str(store)})
    found: dict[str, set[str]] = {}
    for text in done.stdout.decode(errors="replace").splitlines():
        place, _, entry = text.partition("\0")
        found.setdefault(place.partition(":")[2], set()).add(entry.split()[1])
    ours = (names for place, names in found.items() if counts(PurePosixPath(place)))
    return frozenset().union(*ours)
