# SPDX-License-Identifier: GPL-2.0-only
"""A work tree and its object folders, in which one kernel after another is built.

make compiles what differs from the kernel that was built before.  That is right as long as every
object file is whole and the configuration is the one that was asked for; what a killed build may
have left half written is removed before the next one, and what configures a tree is compared file
by file.  What is noted here lies beside the object folders: a build can write to those alone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.source.gitstore import GitStore
from harness.util import atomic

_log = logging.getLogger(__name__)

_NEAR = 1000
"""With more files that differ another work tree costs less than compiling in this one."""
_NAME = re.compile(r"[0-9a-f]{16}")
_SOURCE = re.compile(rf"/[^\s()]*/{_NAME.pattern}/(?:obj-[0-9a-f]+/\.\./)?src/")
_PLAIN = (".c", ".h", ".S", ".rs", ".rst", ".txt", ".dts", ".dtsi", ".yaml", ".json")
"""Suffixes of files that are compiled or read, and configure nothing."""
_STAMPS = "include/config"
"""Below an object folder: empty files whose times tell make which options changed."""


def name_of(tree: str) -> str:
    """The workspace that is made for a tree if there is none near it."""
    return tree[:16]


def of_the_tree(text: str) -> str:
    """``text`` with source files named as in the tree, "mm/swap.c", not as in the workspace.

    Debug information names some files by the workspace that they were compiled in, which is not
    the kernel's own where ccache had the object, and by way of the object folder, or not.
    """
    return _SOURCE.sub("", text)


def is_near(store: GitStore, one: str, other: str) -> bool:
    """Whether two trees are better built in one workspace."""
    return len(store.differing(one, other)) <= _NEAR


def choose(store: GitStore, build: Path, tree: str) -> str:
    """The workspace below ``build`` for a tree: its own, the nearest one, or a new one."""
    own = name_of(tree)
    if (build / own / "src").is_dir():
        return own
    found = [(len(store.differing(at, tree)), name) for name, at in _trees(store, build)]
    count, name = min(found, default=(_NEAR + 1, own))
    if count > _NEAR:
        return own
    _log.info(f"tree {tree[:12]} is built in workspace {name}: {count} files differ there")
    return name


def _trees(store: GitStore, build: Path) -> Iterator[tuple[str, str]]:
    """(name, tree that is checked out) of each workspace."""
    for path in sorted(build.glob("*/src/.git")):
        name = path.parents[1].name
        done = store.git_in(path.parent, "rev-parse", "--verify", "--quiet", "HEAD^{tree}")
        if _NAME.fullmatch(name) and done.returncode == 0:
            yield name, done.stdout.decode().strip()


@dataclass(frozen=True, slots=True)
class Objects:
    """One object folder of a workspace, and what is noted of it."""

    path: Path

    @property
    def _unfinished(self) -> Path:
        return self.path.with_name(f"{self.path.name}.unfinished")

    @property
    def _configured(self) -> Path:
        return self.path.with_name(f"{self.path.name}.configured")

    @contextmanager
    def written(self) -> Iterator[None]:
        """Around everything that writes objects: what ends by an exception is not trusted."""
        self._sweep()
        atomic.text(self._unfinished, "")
        yield
        self._unfinished.unlink()

    def _sweep(self) -> None:
        """Remove what a build wrote that did not end by itself: its last file may be cut off."""
        try:
            since = self._unfinished.stat().st_mtime_ns
        except FileNotFoundError:
            return
        _log.info("a build was interrupted here: what it wrote is made again")
        self._configured.unlink(missing_ok=True)
        for folder, _, names in os.walk(self.path):
            # Without its stamp an option's change would be forgotten.
            if Path(folder).is_relative_to(self.path / _STAMPS):
                continue
            for name in names:
                path = Path(folder) / name
                if path.lstat().st_mtime_ns >= since:
                    path.unlink()

    def is_configured(self, key: str) -> bool:
        """Whether its .config is the one that `note` was told of with the same key."""
        noted = atomic.json_file(self._configured) or {}
        return noted.get("key") == key and noted.get("config") == self._config()

    def forget(self) -> None:
        """Before it is configured anew."""
        self._configured.unlink(missing_ok=True)

    def note(self, key: str) -> None:
        """Its .config is what ``key`` stands for."""
        noted = {"key": key, "config": self._config()}
        atomic.text(self._configured, atomic.json_text(noted))

    def _config(self) -> str | None:
        path = self.path / ".config"
        return atomic.sha256_file(path) if path.is_file() and not path.is_symlink() else None


def configuration_key(rows: Iterable[str], *asked: str) -> str:
    """What a configuration follows from: what was ``asked``, and the tree's files that have a say.

    Those are all but sources and documentation; scripts count whatever their suffix.  ``rows`` as
    `GitStore.listing` gives them.
    """
    return _digest([*asked, *(row for row in rows if _configures(row))])


def symbols_key(rows: Iterable[str]) -> str:
    """The same for the symbols that the Kconfig files of a tree define."""
    return _digest(row for row in rows if "Kconfig" in row)


def _configures(row: str) -> bool:
    name = row.partition("\t")[2]
    return name.startswith("scripts/") or not name.endswith(_PLAIN)


def _digest(parts: Iterable[str]) -> str:
    whole = "\0".join(parts).encode(errors="surrogateescape")
    return hashlib.sha256(whole).hexdigest()


@dataclass(frozen=True, slots=True)
class Symbols:
    """The symbols of the tree that was built last in a workspace: reading them takes seconds."""

    path: Path

    def read(self, key: str) -> str | None:
        """What was kept with the same key."""
        kept = atomic.json_file(self.path) or {}
        return str(kept["text"]) if kept.get("key") == key else None

    def keep(self, key: str, text: str) -> str:
        """Keep the names; gives them back."""
        atomic.text(self.path, json.dumps({"key": key, "text": text}))
        return text
