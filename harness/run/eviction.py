# SPDX-License-Identifier: GPL-2.0-only
"""The cache's size limit: what was not used for longest goes first, and nothing that is in use.

What can go are published folders (kernels, images, guest programs, selftests) and workspaces; all
of it is made again when it is needed.  The kernel store, downloads, mails and the compiler cache,
which has a limit of its own, stay.  Who uses a folder holds it (``publish.hold``) until it ends,
and who builds in a workspace holds its lock; what is held is passed by.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.source.gitstore import GitStore
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.hostspace import below, in_words
from harness.util.paths import Cache
from harness.util.units import parse_size

_log = logging.getLogger(__name__)

LIMIT = 40 << 30
"""Bytes of what can go, unless CACHE_LIMIT= says otherwise."""
_BLOCK = 512
_SIDES = (".lock", ".sha256", ".size")
"""What lies beside a folder of the cache and belongs to it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One folder of the cache: ``used`` is when it was used last, in seconds since 1970."""

    kind: str
    path: Path
    size: int
    used: float


def limit() -> int:
    """CACHE_LIMIT of the environment, or the default.  Raises UserError."""
    text = os.environ.get("CACHE_LIMIT", "")
    try:
        return parse_size(text) if text else LIMIT
    except UserError as error:
        raise UserError(f"CACHE_LIMIT: {error}") from error


def items(cache: Cache) -> tuple[Item, ...]:
    """All that can go, of any age."""
    found = []
    for kind, folder in (
        ("kernels", cache.kernels),
        ("images", cache.images),
        ("workspaces", cache.build),
        ("guest programs", cache.tools),
        ("selftests", cache.selftests),
    ):
        for path in sorted(folder.glob("[!.]*")):
            if path.is_dir() and not path.is_symlink():
                used = path.stat().st_mtime
                size = _workspace_size(path) if kind == "workspaces" else _size(path)
                found.append(Item(kind, path, size, used))
    return tuple(found)


def choose(found: Iterable[Item], *, most: int, needed: Iterable[Path]) -> tuple[Item, ...]:
    """What must go so that the rest takes ``most`` bytes: the least recently used first.  Pure.

    ``needed`` never go, so that what stays may be more.
    """
    kept = set(needed)
    every = sorted(found, key=lambda item: (item.used, item.path))
    over = sum(item.size for item in every) - most
    gone = []
    for item in every:
        if over > 0 and item.path not in kept:
            gone.append(item)
            over -= item.size
    return tuple(gone)


def keep_below(cache: Cache, most: int, *, needed: Iterable[Path]) -> None:
    """Bring the cache below ``most`` bytes; says what it removes, and if that is not enough."""
    kept, found = set(needed), list(items(cache))
    if sum(item.size for item in found) <= most:
        return
    while chosen := choose(found, most=most, needed=kept):
        item = chosen[0]
        if remove(item, cache):
            name = f"{item.path.parent.name}/{item.path.name}"
            _log.info(f"cache: removed {name} ({in_words(item.size)}), over CACHE_LIMIT=")
            found.remove(item)
        else:
            kept.add(item.path)  # somebody uses it
    left = sum(item.size for item in found)
    if left > most:
        _log.warning(
            f"the cache has {in_words(left)} in use, more than CACHE_LIMIT= ({in_words(most)})"
        )


def remove(item: Item, cache: Cache) -> bool:
    """Remove one item, with what belongs to it; False if somebody holds it."""
    with _mine(item) as mine:
        if not mine:
            return False
        if item.kind == "workspaces" and (item.path / "src" / ".git").is_file():
            GitStore(cache.git).remove_worktree(item.path / "src")
        # Out of sight first: a killed removal must not leave a folder that looks whole.
        away = item.path.with_name(f".gone.{item.path.name}.{os.getpid()}")
        item.path.rename(away)
        shutil.rmtree(away, ignore_errors=True)
        for side in _SIDES[1:]:
            item.path.with_name(item.path.name + side).unlink(missing_ok=True)
    return True


@contextmanager
def _mine(item: Item) -> Iterator[bool]:
    """Hold all locks of an item; gives whether nobody else does."""
    names = (atomic.use_lock(item.path), item.path.with_name(f"{item.path.name}.lock"))
    with ExitStack() as stack:
        try:
            for path in names:
                handle = stack.enter_context(path.open("a"))
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@dataclass(frozen=True, slots=True)
class Cleanable:
    """What can be removed of the cache, and what stays because it is in use.

    whole: nothing stays, the store and the downloads included
    """

    gone: tuple[Item, ...]
    held: tuple[Item, ...]
    whole: bool

    def text(self) -> str:
        """By kind, with sizes."""
        lines = []
        for kind in dict.fromkeys(item.kind for item in self.gone):
            of_it = [item for item in self.gone if item.kind == kind]
            size = in_words(sum(item.size for item in of_it))
            lines.append(f"{kind:<16} {len(of_it):4d}  {size:>10}")
        total = in_words(sum(item.size for item in self.gone))
        lines.append(f"{'all':<16} {len(self.gone):4d}  {total:>10}")
        lines += [f"in use, kept: {item.path}" for item in self.held]
        return "\n".join(lines) + "\n"


def cleanable(cache: Cache, *, older_than: float | None = None) -> Cleanable:
    """All of the cache, or what can go and was not used for ``older_than`` days.

    Without an age the kernel store, downloads, mails and the compiler cache go, too, unless
    something is in use.  Removes nothing.
    """
    before = time.time() - 86400 * (older_than or 0)
    chosen = [item for item in items(cache) if older_than is None or item.used < before]
    gone: list[Item] = []
    held: list[Item] = []
    for item in chosen:
        with _mine(item) as free:
            (gone if free else held).append(item)
    whole = older_than is None and not held
    return Cleanable((*gone, *(_rest(cache, chosen) if whole else ())), tuple(held), whole)


def clean(cache: Cache, found: Cleanable) -> tuple[Item, ...]:
    """Remove what `cleanable` found; gives what had to stay, because it is in use by now."""
    one_by_one = [item for item in found.gone if item.path.parent != cache.root]
    held = tuple(item for item in one_by_one if not remove(item, cache))
    if found.whole and not held:
        for item in found.gone:
            _discard(item.path)
        shutil.rmtree(cache.root, ignore_errors=True)
    return held


def _rest(cache: Cache, chosen: Sequence[Item]) -> list[Item]:
    """What else the cache has: an item for each entry of its folder."""
    known = {item.path.parent for item in chosen}
    paths = [path for path in sorted(cache.root.glob("*")) if path not in known]
    return [Item(path.name, path, _size(path), path.lstat().st_mtime) for path in paths]


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _workspace_size(path: Path) -> int:
    """Counting a kernel's work tree takes a minute on a busy disk: kept until the next build."""
    record = path.with_name(f"{path.name}.size")
    try:
        if record.stat().st_mtime >= path.stat().st_mtime:
            return int(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        pass
    size = _size(path)
    atomic.text(record, f"{size}\n")
    return size


def _size(path: Path) -> int:
    """Bytes on the disk, as du counts them."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_blocks * _BLOCK
    files = (one for one in below(path) if not stat.S_ISDIR(one.st_mode))
    return sum(one.st_blocks * _BLOCK for one in files)
