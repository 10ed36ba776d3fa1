# SPDX-License-Identifier: GPL-2.0-only
"""Atomic publication: a folder or file is either wholly there or not there at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_log = logging.getLogger(__name__)


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """A scratch folder beside ``target`` that is renamed to it when the block succeeds.

    On an exception the scratch folder is removed and ``target`` is left as it was.  An existing
    ``target`` wins: somebody else published the same thing first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def text(target: Path, content: str) -> None:
    """Write a file through a temporary name, so that a reader never sees half of it."""
    binary(target, content.encode())


def binary(target: Path, data: bytes) -> None:
    """The same for bytes."""
    pieces(target, (data,))


def pieces(target: Path, data: Iterable[bytes]) -> None:
    """The same for bytes that come one piece after the other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    scratch = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(data)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.chmod(0o644)
        scratch.replace(target)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def json_text(value: Any) -> str:
    """JSON as this project writes it: sorted, indented, newline at the end."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def json_file(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if it is missing, damaged or something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` (created if need be) for the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A build may hold it for ten minutes: who waits in silence looks stuck.
            _log.info(f"waiting for another run of the harness, which holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def hold(folder: Path) -> None:
    """Hold a published folder against removal until this process ends, and note that it is used.

    It need not be there yet.  Many may hold one folder.
    """
    lock = use_lock(folder)
    if lock not in _HELD:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
        fcntl.flock(handle, fcntl.LOCK_SH)
        _HELD[lock] = handle
    with contextlib.suppress(FileNotFoundError):
        os.utime(folder)


def use_lock(folder: Path) -> Path:
    """The file that whoever uses a published folder has locked."""
    return folder.with_name(f".{folder.name}.use")


_HELD: dict[Path, IO[str]] = {}
"""Open for as long as this process runs."""


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def record(folder: Path) -> None:
    """Keep the hash of a published folder beside it, for `intact`."""
    text(_record(folder), sha256_tree(folder) + "\n")


def intact(folder: Path) -> bool | None:
    """Whether a published folder is as it was recorded, None if it never was.

    Nobody changes it on purpose: it finds what a full disk, a broken one or a hand did.
    """
    try:
        known = _record(folder).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return sha256_tree(folder) == known


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.sha256")


def sha256_tree(root: Path) -> str:
    """One SHA-256 over the names, modes and bytes of every file below ``root``."""
    total = hashlib.sha256()
    for path in sorted(item for item in root.rglob("*") if item.is_file()):
        mode = path.stat().st_mode & 0o111
        total.update(f"{path.relative_to(root)}\0{int(bool(mode))}\0".encode())
        total.update(sha256_file(path).encode())
    return total.hexdigest()
