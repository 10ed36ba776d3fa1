# SPDX-License-Identifier: GPL-2.0-only
"""Kernel tarballs: fetched, verified, unpacked.  Nothing unverified is unpacked."""

from __future__ import annotations

import contextlib
import logging
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from harness.source import signature
from harness.source.gitnames import public_url
from harness.util import atomic
from harness.util.command import clean_environment
from harness.util.errors import InfraError, UserError

_log = logging.getLogger(__name__)

_DECOMPRESS = {
    ".tar.xz": ("xz", "-dc"),
    ".tar.gz": ("gzip", "-dc"),
    ".tar.zst": ("zstd", "-dcq"),
}
_TIMEOUT_S = 60.0
_REPORT_EVERY_S = 10.0
_BLOCK = 1 << 20
_SMALL = 1 << 22
_SUMS = "sha256sums.asc"


@dataclass(frozen=True, slots=True)
class Locator:
    """A tarball's path or URL, and the sha256 that the user gave with it, if any."""

    place: str
    sha256: str | None

    @property
    def is_url(self) -> bool:
        """Whether it is to be fetched."""
        return "://" in self.place

    @property
    def file(self) -> str:
        """The name of the file alone, like linux-6.19.tar.xz."""
        path = unquote(urlsplit(self.place).path) if self.is_url else self.place
        return path.rsplit("/", 1)[-1]

    @property
    def suffix(self) -> str:
        """The kind of compression, like .tar.xz."""
        return next(suffix for suffix in _DECOMPRESS if self.file.endswith(suffix))

    def beside(self, name: str) -> str:
        """The place of another file in the same folder."""
        return f"{self.place.rpartition('/')[0]}/{name}" if "/" in self.place else name


@dataclass(frozen=True, slots=True)
class VerifiedTarball:
    """A tarball on this disk whose content is vouched for, and by what."""

    path: Path
    sha256: str
    by: str


def parse_locator(text: str) -> Locator | None:
    """``PATH-or-URL[#sha256=HEX]`` of a tarball, None if the name does not end like one."""
    place, _, fragment = text.partition("#")
    if not place.endswith(tuple(_DECOMPRESS)):
        return None
    if place.startswith("~"):
        place = str(Path(place).expanduser())
    if not fragment:
        return Locator(place, None)
    match = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if not match:
        raise UserError(f"#{fragment} of {place} is not #sha256= and 64 hexadecimal digits")
    return Locator(place, match[1].lower())


def parse_sums(text: str) -> dict[str, str]:
    """{file: sha256} of a sha256sums.asc; the signature's lines around it are ignored."""
    rows = re.findall(r"^([0-9a-f]{64}) [ *](\S+)\s*$", text, re.MULTILINE)
    return {name: digest for digest, name in rows}


def obtain(locator: Locator, *, downloads: Path, keyring: Path | None) -> VerifiedTarball:
    """Fetch the tarball if it is a URL, and verify it.

    Three things can vouch for it: the sha256 given by the user, a ``.sign`` file beside it with a
    keyring (kernel.org's way: over the uncompressed tar), a sha256sums.asc beside it.  Raises
    UserError when none does, or when one contradicts.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads, prefix="verify-") as scratch:
        sign = _small(locator.beside(_sign_name(locator)), locator) if keyring else None
        promised, by = _promised_sha256(locator, signed=sign is not None)
        path = (
            _local(locator, downloads, promised)
            if locator.is_url
            else (Path(locator.place).expanduser())
        )
        if not path.is_file():
            raise UserError(f"{locator.place} is not a file")
        computed = atomic.sha256_file(path)
        if promised is not None and computed != promised:
            if locator.is_url:
                path.unlink()
            raise UserError(f"{locator.file} has sha256 {computed}, but {by} says {promised}")
        if promised is None:
            if sign is None or keyring is None:
                raise UserError(_unverifiable(locator))
            by = _check_signature(path, locator, sign, keyring, Path(scratch))
        return VerifiedTarball(path, computed, by)


def unpack(path: Path, suffix: str, target: Path) -> Path:
    """Unpack a tarball below `target` and return the single folder that it holds.

    GNU tar itself refuses members outside the folder and does not follow links that it made;
    whatever it complains of is an error here.
    """
    pipe([[*_DECOMPRESS[suffix], "--", str(path)], tar_into(target)], what=path.name)
    return single_folder(target, what=path.name)


def single_folder(target: Path, *, what: str) -> Path:
    """The one folder that was unpacked below `target`; UserError if that holds anything else."""
    tops = sorted(target.iterdir())
    if len(tops) != 1 or tops[0].is_symlink() or not tops[0].is_dir():
        names = ", ".join(top.name for top in tops[:4])
        raise UserError(f"{what} must hold one folder at the top, it holds: {names}")
    return tops[0]


def tar_into(target: Path, *extra: str) -> list[str]:
    """The command that unpacks a tar from standard input below `target`."""
    safe = ["--no-same-owner", "--no-same-permissions", "--keep-old-files"]
    return ["tar", "--extract", *safe, *extra, "-C", str(target), "-f", "-"]


def pipe(argvs: Sequence[Sequence[str]], *, what: str, last_stdout: Path | None = None) -> None:
    """Run a pipeline without a shell; `what` names the input in the UserError of a failure."""
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in argvs]
        out = stack.enter_context(last_stdout.open("wb")) if last_stdout else None
        for number, argv in enumerate(argvs):
            last = number == len(argvs) - 1
            previous = processes[-1].stdout if processes else None
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=previous or subprocess.DEVNULL,
                    stdout=(out or subprocess.DEVNULL) if last else subprocess.PIPE,
                    stderr=errors[number],
                    env=clean_environment({"LC_ALL": "C"}),
                )
            except FileNotFoundError as error:
                raise InfraError(f"{argv[0]} is not installed") from error
            stack.enter_context(process)
            stack.callback(process.kill)
            if previous:
                previous.close()  # so that the earlier program sees it when this one dies
            processes.append(process)
        statuses = [process.wait() for process in processes]
        # The first that has something to say: a program whose reader died says nothing.
        for argv, status, log in zip(argvs, statuses, errors, strict=True):
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines()
            if status != 0 and lines:
                kind = InfraError if "No space left" in lines[0] else UserError
                raise kind(f"{what} cannot be unpacked: {argv[0]}: {lines[0]}")
        if any(statuses):
            raise UserError(f"{what} cannot be unpacked: exit statuses {statuses}")


def _promised_sha256(locator: Locator, *, signed: bool) -> tuple[str | None, str]:
    """What the tarball's sha256 must be, and who says so; None if the signature decides."""
    if locator.sha256:
        return locator.sha256, "sha256 given by the user"
    if signed:
        return None, ""
    sums = _small(locator.beside(_SUMS), locator)
    listed = parse_sums(sums.decode(errors="replace")).get(locator.file) if sums else None
    if listed is None:
        raise UserError(_unverifiable(locator))
    return listed, f"{_SUMS} beside it (its signature was not checked)"


def _unverifiable(locator: Locator) -> str:
    return (
        f"nothing vouches for {public_url(locator.place)}: append #sha256=<its sha256>, or put "
        f"{_SUMS} (kernel.org's list) beside it, or put {_sign_name(locator)} beside it and "
        "set KERNEL_KEYRING to a file with the signer's public key"
    )


def _sign_name(locator: Locator) -> str:
    return f"{locator.file.removesuffix(locator.suffix)}.tar.sign"


def _check_signature(
    path: Path, locator: Locator, sign: bytes, keyring: Path, scratch: Path
) -> str:
    """Check kernel.org's detached signature of the uncompressed tar; return who signed."""
    (scratch / "sign").write_bytes(sign)
    status = scratch / "status"
    with signature.home_with(keyring) as home:
        verify = [*signature.gpg(home), "--trust-model", "always", "--status-fd", "1"]
        verify += ["--verify", str(scratch / "sign"), "-"]
        try:
            pipe(
                [[*_DECOMPRESS[locator.suffix], "--", str(path)], verify],
                what=locator.file,
                last_stdout=status,
            )
        except UserError as error:
            raise UserError(
                f"{_sign_name(locator)} is not a good signature of {locator.file} by a key of "
                f"{keyring}"
            ) from error
    key = signature.signer(status.read_text(encoding="utf-8", errors="replace"))
    if key is None:
        raise UserError(f"{_sign_name(locator)} is signed by an expired or revoked key")
    return f"{_sign_name(locator)} by key {key}"


def _local(locator: Locator, downloads: Path, promised: str | None) -> Path:
    """Download the tarball, or take it from an earlier download of the same content."""
    target = downloads / locator.file
    if promised and target.is_file() and atomic.sha256_file(target) == promised:
        return target
    _log.info(f"downloading {public_url(locator.place)}")
    with tempfile.NamedTemporaryFile(dir=downloads, prefix=".part-", delete=False) as part:
        try:
            with _open(locator.place) as response:
                _copy(response, part)
                expected = response.headers.get("Content-Length")
            if expected is not None and part.tell() != int(expected):
                raise InfraError(f"{locator.file}: got {part.tell()} of {expected} bytes")
            part.close()
            Path(part.name).replace(target)
        except urllib.error.HTTPError as error:
            raise UserError(f"{public_url(locator.place)}: HTTP status {error.code}") from error
        except OSError as error:
            raise InfraError(f"cannot download {public_url(locator.place)}: {error}") from error
        finally:
            Path(part.name).unlink(missing_ok=True)
    return target


def _copy(response: Any, part: IO[bytes]) -> None:
    said = time.monotonic()
    while block := response.read(_BLOCK):
        part.write(block)
        if time.monotonic() - said > _REPORT_EVERY_S:
            said = time.monotonic()
            _log.info(f"  {part.tell() / 1e6:.0f} MB so far")


def _small(place: str, locator: Locator) -> bytes | None:
    """A small file beside the tarball, None if it is not there."""
    if not locator.is_url:
        path = Path(place).expanduser()
        return path.read_bytes()[:_SMALL] if path.is_file() else None
    try:
        with _open(place) as response:
            data: bytes = response.read(_SMALL)
            return data
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            return None
        raise InfraError(f"{public_url(place)}: HTTP status {error.code}") from error
    except OSError as error:
        if isinstance(getattr(error, "reason", None), FileNotFoundError):
            return None
        raise InfraError(f"cannot fetch {public_url(place)}: {error}") from error


def _open(url: str) -> AbstractContextManager[Any]:
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise UserError(f"{public_url(url)} is neither http, https nor file")
    response: AbstractContextManager[Any] = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    return response
