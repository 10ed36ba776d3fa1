# SPDX-License-Identifier: GPL-2.0-only
"""One file with all the evidence of one or more results: a tar.zst, made and read again.

The same results give the same tar, byte for byte: names are sorted, times, owners and modes are
fixed.  The compressed file also depends on zstd's version, so the tar's own hash is said as well.

A bundle comes from a stranger: before a byte of it is written, each member's name, kind and size
are judged, and only plain files below the scratch folder are ever made.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.experiment import defaults
from harness.results import checksums
from harness.run import evidence
from harness.studies import kinds
from harness.studies.reply import draft
from harness.util import atomic, command
from harness.util.errors import InfraError, UserError
from harness.util.process import tethered

SUFFIX = defaults.BUNDLE_SUFFIX
README = "README.txt"

_LEVEL = "-12"
_PIECE = 1 << 20
_MOST_FILES = 1_000_000
_MOST_BYTES = 16 << 30
_ZSTD_MEMORY = "--memory=256MB"
_TEXT = """\
Evidence of: {names}

Each folder is a result of the swap patch harness: raw samples, consoles, QEMU's command lines,
the kernels' configurations, what was compared (manifest.json, with the patch ids of the series)
and the report that was made of it.

    sha256sum -c SHA256SUMS                 in a folder, checks its files without any program
    make verify RESULT=<this>{suffix}      unpacks, checks, and derives every number again
    make repeat RESULT=<this>{suffix}      measures it again, with the patches in series.mbox

{needs}"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was written. sha256: of the file; tar_sha256: of what zstd packed."""

    path: Path
    sha256: str
    tar_sha256: str
    files: int


def make(results: Sequence[Path], target: Path | None = None) -> Bundle:
    """Pack results; ``target`` is beside the first of them if None.

    Raises UserError where a result has no hashes, differs from them, or holds a link, and where
    two have one name.
    """
    folders = list(dict.fromkeys(one.resolve() for one in results))
    folders += [part for one in folders for part in _beside(one)]
    folders = list(dict.fromkeys(folders))
    names = [folder.name for folder in folders]
    if len(set(names)) != len(names):
        raise UserError(f"two of the results are called {names[0]}: a bundle needs other names")
    members = [pair for folder in folders for pair in _members(folder)]
    if target is None:
        target = folders[0].with_name(folders[0].name + SUFFIX)
    with tempfile.TemporaryDirectory(prefix="harness-bundle.", dir=target.parent) as scratch:
        tar, packed = Path(scratch) / "tar", Path(scratch) / "zst"
        text = _TEXT.format(names=", ".join(names), suffix=SUFFIX, needs=_needs(folders))
        _write(tar, members, text.encode())
        # One thread: with more, the bytes would depend on the machine.
        command.run(["zstd", "-q", "-T1", _LEVEL, "-o", str(packed), str(tar)])
        digest = atomic.sha256_file(tar)
        packed.replace(target)
    return Bundle(target, atomic.sha256_file(target), digest, len(members) + 1)


def _needs(folders: Sequence[Path]) -> str:
    """What a repetition takes that is not in the bundle."""
    lines = [f"    {one.name}: {phrase}\n" for one in folders for phrase in evidence.needed(one)]
    return "What it needs beside this file:\n\n" + "".join(lines) if lines else ""


def _beside(folder: Path) -> list[Path]:
    """The results that a study is made of and that do not lie in its folder."""
    parts = (part.resolve() for part in kinds.of(folder).parts(folder))
    return [part for part in parts if not part.is_relative_to(folder)]


def _members(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name in the bundle, file) of all that is recorded, and of the mail's draft."""
    sums = checksums.read(folder)
    if sums is None:
        raise UserError(
            f"'{folder}' has no {checksums.NAME}, so nothing would prove its files: the same "
            "command again finishes it and records them"
        )
    checksums.guard(folder)
    if checksums.report_differences(folder):
        raise UserError(
            f"the report in '{folder}' is not as recorded: 'make report RESULT={folder}' first"
        )
    for part in kinds.of(folder).parts(folder):
        if part.is_relative_to(folder):
            inside = folder.name + "/" + part.parent.relative_to(folder).as_posix()
            for name, path in _members(part):
                yield str(PurePosixPath(inside) / name), path
    extra = [name for name in (checksums.NAME, draft.NAME) if (folder / name).is_file()]
    for name in sorted([*sums.lines, *extra]):
        path = folder / name
        if path.is_symlink() or not path.resolve().is_relative_to(folder):
            raise UserError(f"'{path}' is a link: a bundle holds only files")
        yield f"{folder.name}/{name}", path


def _write(tar: Path, members: Sequence[tuple[str, Path]], readme: bytes) -> None:
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as archive:
        scratch = tar.with_name(README)
        scratch.write_bytes(readme)
        for name, path in [(README, scratch), *sorted(members)]:
            info = tarfile.TarInfo(name)
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(info, content)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, ...]]:
    """The results in a bundle, in a folder that is removed afterwards; sorted by name.

    UserError if it is no bundle, is damaged, or has a member that no bundle has: a link, a
    device, an absolute name or one with "..", a name twice, or more bytes than there may be.
    """
    with tempfile.TemporaryDirectory(prefix="harness-bundle.") as name:
        scratch = Path(name)
        _unpack(path, scratch)
        found = sorted(one for one in scratch.iterdir() if (one / checksums.NAME).is_file())
        if not found:
            raise UserError(f"'{path}' holds no result: no folder in it has a {checksums.NAME}")
        yield tuple(found)


def _unpack(path: Path, scratch: Path) -> None:
    argv = tethered(["zstd", "-q", "-d", "-c", _ZSTD_MEMORY, "--", str(path.resolve())])
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=command.clean_environment(),
        )
    except FileNotFoundError as error:
        raise InfraError("setpriv (util-linux) is not installed; run 'make doctor'") from error
    with process:
        try:
            stream = cast(IO[bytes], process.stdout)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                _extract(archive, scratch, path)
            # What follows the end of a tar is padding; zstd must still see its own end.
            while stream.read(_PIECE):
                pass
            if process.wait() != 0:
                raise UserError(f"'{path}' is no whole bundle: zstd cannot read it to its end")
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise UserError(f"'{path}' is no whole bundle: {error}") from error
        finally:
            process.kill()
            process.wait()


def _extract(archive: tarfile.TarFile, scratch: Path, path: Path) -> None:
    seen: set[str] = set()
    total = 0
    for member in archive:
        total += max(member.size, 0)
        why = _refused(member, seen, total)
        if why:
            raise UserError(f"'{path}' is refused: its member {ascii(member.name)[:120]} {why}")
        seen.add(member.name)
        if member.isdir():
            continue
        content = archive.extractfile(member)
        if content is None:
            raise UserError(f"'{path}' is no whole bundle: {member.name!a} has no content")
        target = scratch / member.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                while piece := content.read(_PIECE):
                    out.write(piece)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            name = ascii(member.name)[:120]
            raise UserError(f"'{path}' is refused: {name} is both a file and a folder") from error


def _refused(member: tarfile.TarInfo, seen: set[str], total: int) -> str:
    """Why a member is none that `make` writes; "" if it may be one."""
    parts = member.name.split("/")
    if not (member.isreg() or member.isdir()) or member.issparse():
        return "is a link, a device or another thing that is no plain file"
    if member.name.startswith("/") or {"", ".", ".."} & set(parts):
        return "has a name that leads elsewhere"
    if not member.name.isprintable() or "\\" in member.name or max(map(len, parts)) > 200:
        return "has a name that no result has"
    if any(part.startswith(".") for part in parts):
        return "has a hidden name"
    if member.name in seen:
        return "is there twice"
    if len(parts) > 16 or len(member.name) > 1000:
        return "lies too deep"
    if len(seen) >= _MOST_FILES or total > _MOST_BYTES:
        return f"makes it larger than {_MOST_FILES} files or {_MOST_BYTES >> 30} GiB"
    return ""
