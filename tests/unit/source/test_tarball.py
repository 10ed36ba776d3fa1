# SPDX-License-Identifier: GPL-2.0-only
"""Tarballs: nothing unverified is unpacked, and nothing unpacked lands elsewhere."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest

from harness.source import tarball
from harness.source.tarball import VerifiedTarball
from harness.util.errors import UserError


def kernel(folder: Path) -> Path:
    (folder / "mm").mkdir(parents=True, exist_ok=True)
    (folder / "mm" / "swap.c").write_text("int swap;\n")
    (folder / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 19\nSUBLEVEL = 0\n")
    return folder


def pack(root: Path, suffix: str = "xz") -> Path:
    path = root / "www" / f"linux-6.19.tar.{suffix}"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, cast(Any, f"w:{suffix}")) as tar:
        tar.add(kernel(root / "tree"), arcname="linux-6.19")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def obtain(name: str, root: Path, keyring: Path | None = None) -> VerifiedTarball:
    locator = tarball.parse_locator(name)
    assert locator is not None
    return tarball.obtain(locator, downloads=root / "down", keyring=keyring)


def test_locators() -> None:
    parsed = tarball.parse_locator("https://a.example/x/linux-6.19.tar.xz#sha256=" + "AB" * 32)
    assert parsed is not None
    assert (parsed.file, parsed.suffix, parsed.sha256) == (
        "linux-6.19.tar.xz",
        ".tar.xz",
        "ab" * 32,
    )
    assert parsed.beside("y") == "https://a.example/x/y"
    assert tarball.parse_locator("linux-6.19") is None
    with pytest.raises(UserError, match="md5"):
        tarball.parse_locator("x.tar.gz#md5=0")


@pytest.mark.parametrize("as_url", [False, True])
def test_what_is_not_what_was_promised(tmp_path: Path, as_url: bool) -> None:
    path = pack(tmp_path)
    name = path.as_uri() if as_url else str(path)
    with pytest.raises(UserError, match="0" * 64):
        obtain(f"{name}#sha256={'0' * 64}", tmp_path)
    (path.parent / "sha256sums.asc").write_text(f"{sha256(path)}  {path.name}\n")
    assert obtain(name, tmp_path).sha256 == sha256(path)
    shutil.rmtree(tmp_path / "down")  # what was downloaded and is right is taken again
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"sha256sums\.asc"):
        obtain(name, tmp_path)
    assert not list((tmp_path / "down").iterdir())
    assert path.exists()  # the user's own file is never deleted


def test_a_list_that_does_not_name_the_file_vouches_for_nothing(tmp_path: Path) -> None:
    path = pack(tmp_path)
    (path.parent / "sha256sums.asc").write_text(f"{sha256(path)}  other.tar.xz\n")
    with pytest.raises(UserError, match="nothing vouches"):
        obtain(str(path), tmp_path)


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    path = pack(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"linux-6\.19\.tar\.xz cannot be unpacked"):
        tarball.unpack(path, ".tar.xz", tmp_path)


@pytest.mark.parametrize(
    "attack", ["none", "dotdot", "absolute", "symlink", "hardlink", "two", "file"]
)
def test_tarballs_cannot_write_elsewhere(tmp_path: Path, attack: str) -> None:
    path, victim, out = tmp_path / "evil.tar.gz", tmp_path / "victim", tmp_path / "out"
    victim.mkdir()
    out.mkdir()
    (victim / "secret").write_text("secret")

    def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        return info

    extra = {
        "dotdot": [member("linux-6.19/../../victim/x")],
        "absolute": [member(f"{victim}/x")],
        "symlink": [
            member("linux-6.19/out", tarfile.SYMTYPE, str(victim)),
            member("linux-6.19/out/x"),
        ],
        "hardlink": [member("linux-6.19/x", tarfile.LNKTYPE, str(victim / "secret"))],
        "two": [member("other")],
        "file": [member("other")],
    }
    with tarfile.open(path, "w:gz") as tar:
        if attack != "file":
            tar.add(kernel(tmp_path / "tree"), arcname="linux-6.19")
        for info in extra.get(attack, []):
            tar.addfile(info)
    if attack == "none":
        assert (tarball.unpack(path, ".tar.gz", out) / "mm" / "swap.c").is_file()
        return
    with pytest.raises(UserError):
        tarball.unpack(path, ".tar.gz", out)
    assert [p.name for p in victim.iterdir()] == ["secret"]


@pytest.mark.skipif(shutil.which("gpg-agent") is None, reason="gpg-agent is not installed")
@pytest.mark.parametrize("key", ["binary", "armoured", "expired"])
def test_signature_of_the_uncompressed_tar(tmp_path: Path, key: str) -> None:
    path, home = pack(tmp_path), tmp_path / "g"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    gpg += ["--pinentry-mode", "loopback"]
    if key == "expired":
        gpg += ["--faked-system-time", "20200101T000000"]

    def run(*argv: str, data: bytes = b"") -> bytes:
        return subprocess.run(argv, input=data, check=True, capture_output=True).stdout

    try:
        run(*gpg, "--quick-gen-key", "signer@mail.example", "ed25519", "sign", "2d")
        plain = run("xz", "-dc", str(path))
        sign = path.parent / "linux-6.19.tar.sign"
        sign.write_bytes(run(*gpg, "--armor", "--detach-sign", "-o", "-", data=plain))
        keyring = tmp_path / "key"
        keyring.write_bytes(run(*gpg, *(["--armor"] if key == "armoured" else []), "--export"))
    finally:
        run("gpgconf", "--homedir", str(home), "--kill", "all")
    if key == "expired":
        with pytest.raises(UserError, match="expired"):
            obtain(str(path), tmp_path, keyring)
        return
    assert "linux-6.19.tar.sign by key" in obtain(str(path), tmp_path, keyring).by
    (tmp_path / "tree" / "more").write_text("not signed")
    with pytest.raises(UserError, match="not a good signature"):
        obtain(str(pack(tmp_path)), tmp_path, keyring)
