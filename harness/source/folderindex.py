# SPDX-License-Identifier: GPL-2.0-only
"""The files of a folder as a tree of the store; only what changed since the last time is read.

git's index has, for each file, its blob and what stat(2) said of the file then.  The store keeps
one for each folder that is taken again and again.  The first time a checkout's own index serves:
its blobs are in the checkout's repository, and what the store lacks of them is copied.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

from harness.source.git import run_git
from harness.util.errors import InfraError

# Files larger than the threshold are streamed straight into one pack.  As loose objects a
# kernel tree would be 80,000 files; as a pack it is one, written at the same speed.
_WHOLE = (
    "core.bigFileThreshold=1",
    "core.compression=1",
    "pack.compression=1",
    "core.preloadIndex=true",
    "index.threads=0",
)


_HASH = 20
"""Bytes of the hash at an index's end."""


class How(TypedDict, total=False):
    """What `run_git` is told beyond the command and its environment."""

    cwd: Path
    stdin: bytes
    settings: Sequence[str]
    what: str


class Git(Protocol):
    """Runs git on the store; gives what it prints, raises InfraError where it fails."""

    def __call__(
        self, *args: str, env: Mapping[str, str] | None = None, **how: Unpack[How]
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A tree, and the objects folder of another repository that it still needs, if any."""

    tree: str
    lender: Path | None


def take(
    git: Git, folder: Path, index: Path, *, names: Iterable[str], kept: Path | None = None
) -> Taken:
    """The files called ``names`` below ``folder`` as a tree of the store.

    ``index`` is a file to be made; ``kept`` is where the folder's index of the last time lies,
    which this one should replace when the tree is safe.
    """
    lender = None
    env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(folder.absolute())}
    there: set[str] = set()
    if kept is not None and _is_whole(kept):
        shutil.copy2(kept, index)  # git compares the files' times with the index's own
    elif kept is not None:
        lender = _borrow(git, folder, index, env)
        env |= lending(lender)
    if index.is_file():
        there.update(git("ls-files", "-z", env=env).split("\0")[:-1])
    settings = () if there else _WHOLE
    wanted = sorted(names)
    _forget(git, folder, there.difference(wanted), env)
    # update-index takes paths relative to where it runs, so it runs in the folder.
    git(
        *("update-index", "--add", "--remove", "-z", "--stdin"),
        cwd=folder,
        stdin=_listing(wanted),
        env=env,
        settings=settings,
        what=f"reading {folder}",
    )
    return Taken(git("write-tree", env=env).strip(), lender)


def lending(lender: Path | None) -> dict[str, str]:
    """The environment in which git sees the objects of another repository, too."""
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(lender)} if lender else {}


def files_of(folder: Path) -> list[str]:
    """The relative paths of all files and links below ``folder``, without .git."""
    found, stack = [], [""]
    while stack:
        prefix = stack.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.name == ".git":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    stack.append(f"{prefix}{entry.name}/")
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    found.append(prefix + entry.name)
    return found


def _borrow(git: Git, folder: Path, index: Path, env: Mapping[str, str]) -> Path | None:
    """Copy a checkout's own index to ``index``; its objects folder, None where it has none to lend.

    An entry counts only if its blob has as many bytes as the file: line ends and whatever else
    git may have converted for its owner change that.
    """
    ask = ("rev-parse", "--path-format=absolute", "--git-path", "objects", "--git-path", "index")
    found = run_git(ask, cwd=folder).stdout.decode(errors="surrogateescape").splitlines()
    if not (folder / ".git").exists() or len(found) != 2 or not _is_whole(Path(found[1])):
        return None
    shutil.copy2(found[1], index)
    try:
        # H: an ordinary entry.  What is sparse, unmerged or "assumed unchanged" is not compared.
        flags = git("ls-files", "-v", "-z", env=env).split("\0")[:-1]
        rows = [row.split("\t", 1) for row in git("ls-files", "-s", "-z", env=env).split("\0")[:-1]]
    except InfraError:  # an index of a kind that cannot be read elsewhere
        flags, rows = [], []
    blobs = "".join(f"{row[0].split()[1]}\n" for row in rows)
    sizes = run_git(
        ["cat-file", "--buffer", "--batch-check=%(objectsize)"], cwd=folder, stdin=blobs.encode()
    )
    lengths = sizes.stdout.decode().splitlines()
    if not rows or len(lengths) != len(rows) or any(not flag.startswith("H") for flag in flags):
        index.unlink()
        return None
    names = [row[1] for row in rows]
    odd = [n for n, size in zip(names, lengths, strict=True) if not _has(folder, n, size)]
    _forget(git, folder, odd, env)
    return Path(found[0])


def _is_whole(index: Path) -> bool:
    """Whether an index ends with the hash of the rest; git itself does not look at it."""
    if not index.is_file():
        return False
    data = index.read_bytes()
    return hashlib.sha1(data[:-_HASH], usedforsecurity=False).digest() == data[-_HASH:]


def _has(folder: Path, name: str, size: str) -> bool:
    """Whether the file has as many bytes."""
    try:
        return size == str(os.lstat(f"{folder}/{name}").st_size)
    except OSError:
        return False


def is_file(folder: Path, name: str) -> bool:
    """Whether it is a file or a link: what a tree can have."""
    try:
        mode = os.lstat(f"{folder}/{name}").st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _forget(git: Git, folder: Path, names: Iterable[str], env: Mapping[str, str]) -> None:
    listing, drop = _listing(sorted(names)), ("update-index", "--force-remove", "-z", "--stdin")
    if listing:
        git(*drop, cwd=folder, stdin=listing, env=env)


def _listing(names: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in names)
