# SPDX-License-Identifier: GPL-2.0-only
"""What travels between machines: artefacts by their SHA-256, and boots as tar archives."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from harness.util import atomic
from harness.util.errors import InfraError

_PIECE = 8 << 20
_LARGEST = 1 << 30
"""Bytes of one boot: its console and samples are limited to 128 MiB each by the watch."""
_KEPT = 16 << 30
_DAY = 86_400.0


class FileStore:
    """Files by the SHA-256 of their content, below a folder that only this user can read.

    Keys are among them, so modes are 0600.  Several processes of one machine share it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where a file lies, or will."""
        return self._root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether it is there, whole; it then counts as used now."""
        with contextlib.suppress(OSError):
            os.utime(self.path(sha256))
            return True
        return False

    def put(self, sha256: str, piece: bytes, *, offset: int, total: int, sender: str) -> bool:
        """Take one compressed piece of a file of ``total`` bytes; whether that was the last one.

        Pieces of one ``sender`` come in order.  Raises InfraError for a piece out of order, and
        for a file that is not what its name says.
        """
        target = self.path(sha256)
        part = target.with_name(f".{sha256}.{sender}")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = zlib.decompress(piece)
        with open(
            part,
            "wb" if offset == 0 else "r+b",
            opener=lambda name, flags: os.open(name, flags, 0o600),
        ) as stream:
            if stream.seek(0, os.SEEK_END) != offset:
                raise InfraError(f"a piece of {sha256[:12]} came out of order")
            if data.count(0) == len(data):
                stream.truncate(offset + len(data))  # images are mostly holes
            else:
                stream.write(data)
        if offset + len(data) < total:
            return False
        if atomic.sha256_file(part) != sha256:
            part.unlink()
            raise InfraError(f"what came as {sha256[:12]} is something else")
        part.replace(target)
        self._trim()
        return True

    def _trim(self) -> None:
        """Drop what was not used for a day, the oldest first, while there is too much."""
        files = [(one.stat(), one) for one in self._root.glob("*/*") if one.is_file()]
        size = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda item: item[0].st_mtime):
            if size <= _KEPT or time.time() - status.st_mtime < _DAY:
                break
            path.unlink(missing_ok=True)
            size -= status.st_size


def pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, compressed piece) of a file, as `Store.put` takes them; one of an empty file."""
    offset = 0
    with path.open("rb") as stream:
        while (data := stream.read(_PIECE)) or offset == 0:
            yield offset, zlib.compress(data, 1)
            offset += len(data)
            if not data:
                return


def packed(folder: Path) -> bytes:
    """The plain files of a boot's folder as a tar archive, the same bytes for the same files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            info = tarfile.TarInfo(str(path.relative_to(folder)))
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as stream:
                archive.addfile(info, stream)
    return made.getvalue()


def unpack(data: bytes, target: Path) -> bool:
    """Publish a boot that came from another machine; False if it is there already.

    The folder gets its name when all of it is written, as one made here.  Raises InfraError for
    an archive that holds anything but plain files below its folder, or no record of a boot.
    """
    if (target / "boot.json").is_file():
        return False
    shutil.rmtree(target, ignore_errors=True)  # a result without its record is none
    with atomic.folder(target) as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
                _extract(archive, folder)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise InfraError(f"the boot {target.name} came damaged: {error}") from error
        if not (folder / "boot.json").is_file():
            raise InfraError(f"the boot {target.name} came without its record")
    return True


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    left = _LARGEST
    for member in archive:
        left -= member.size
        parts = Path(member.name).parts
        if not member.isreg() or ".." in parts or Path(member.name).is_absolute() or left < 0:
            raise InfraError(f"{member.name!r} does not belong into a boot that another host sent")
        stream = archive.extractfile(member)
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            shutil.copyfileobj(stream or io.BytesIO(), out)


@cache
def _hash(path: Path, size: int, changed: int) -> str:
    """Computed once for each state that a file has."""
    return atomic.sha256_file(path)


def name_of(path: Path) -> str:
    """The SHA-256 by which a file travels.  Raises InfraError if it cannot be read."""
    try:
        status = path.stat()
        return _hash(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InfraError(f"'{path}' cannot be sent to other hosts: {error.strerror}") from error
