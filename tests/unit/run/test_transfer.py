# SPDX-License-Identifier: GPL-2.0-only
"""What travels between machines: pieces of files, and boots as archives that nobody need trust."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.cluster import transfer
from harness.run.cluster.transfer import FileStore, packed, pieces, unpack
from harness.util.errors import InfraError


def send(path: Path, store: FileStore, *, sender: str = "me") -> str:
    """Send a whole file; its name."""
    name, total = transfer.name_of(path), path.stat().st_size
    ends = [
        store.put(name, piece, offset=offset, total=total, sender=sender)
        for offset, piece in pieces(path)
    ]
    assert ends == [False] * (len(ends) - 1) + [True]
    return name


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1])
def test_a_file_arrives_as_it_was(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(os.urandom(size))
    store = FileStore(tmp_path / "store")
    name = send(tmp_path / "a", store)
    assert store.has(name) and not store.has("0" * 64)
    assert store.path(name).read_bytes() == (tmp_path / "a").read_bytes()
    assert store.path(name).stat().st_mode & 0o077 == 0, "keys are among them"
    assert store.path(name).parent.stat().st_mode & 0o077 == 0


def test_holes_stay_holes(tmp_path: Path) -> None:
    with (tmp_path / "image").open("wb") as stream:
        stream.truncate(64 << 20)
        stream.seek(40 << 20)
        stream.write(b"data")
    store = FileStore(tmp_path / "store")
    kept = store.path(send(tmp_path / "image", store))
    assert kept.read_bytes() == (tmp_path / "image").read_bytes()
    assert kept.stat().st_blocks * 512 < 20 << 20
    assert sum(len(piece) for _, piece in pieces(tmp_path / "image")) < 1 << 20


def test_a_piece_out_of_order_and_another_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(9 << 20))
    store = FileStore(tmp_path / "store")
    (_, first), (offset, second) = pieces(tmp_path / "a")
    total, name = 9 << 20, transfer.name_of(tmp_path / "a")
    with pytest.raises(InfraError, match="out of order"):
        store.put(name, first, offset=0, total=total, sender="x")
        store.put(name, first, offset=4, total=total, sender="x")
    wrong = hashlib.sha256(b"other").hexdigest()
    store.put(wrong, first, offset=0, total=total, sender="y")
    with pytest.raises(InfraError, match="something else"):
        store.put(wrong, second, offset=offset, total=total, sender="y")
    assert not store.has(wrong) and not store.has(name)


def test_two_senders_of_one_file_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(9 << 20))
    store = FileStore(tmp_path / "store")
    name = transfer.name_of(tmp_path / "a")
    (_, first), _ = pieces(tmp_path / "a")
    store.put(name, first, offset=0, total=9 << 20, sender="one")
    assert send(tmp_path / "a", store, sender="two") == name


def test_what_is_old_goes_when_there_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_KEPT", 2500)
    store, names = FileStore(tmp_path / "store"), []
    for number in range(3):
        (tmp_path / "a").write_bytes(bytes([number]) * 1000)
        names.append(send(tmp_path / "a", store))
        age = time.time() - 100_000 * (3 - number)
        os.utime(store.path(names[-1]), (age, age))
    (tmp_path / "a").write_bytes(b"new" * 300)
    names.append(send(tmp_path / "a", store))
    assert [name for name in names if store.path(name).is_file()] == names[2:]


def boot(folder: Path) -> Path:
    folder.mkdir()
    (folder / "boot.json").write_text("{}")
    (folder / "console.log").write_bytes(b"\x00\xff")
    return folder


def test_a_boot_comes_back_as_it_was_and_only_once(tmp_path: Path) -> None:
    data = packed(boot(tmp_path / "one"))
    target = tmp_path / "boots" / "cell" / "00-base"
    assert unpack(data, target) and not unpack(data, target)
    assert packed(target) == data, "the same bytes for the same files"
    assert [path.name for path in target.parent.iterdir()] == ["00-base"]


def archive(*members: tuple[str, bytes, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as out:
        for name, kind, content in (("boot.json", tarfile.REGTYPE, b"{}"), *members):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            out.addfile(info, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        ("../out", tarfile.REGTYPE, b"x"),
        ("/tmp/harness-out", tarfile.REGTYPE, b"x"),
        ("a/../../out", tarfile.REGTYPE, b"x"),
        ("link", tarfile.SYMTYPE, b""),
        ("hard", tarfile.LNKTYPE, b""),
        ("pipe", tarfile.FIFOTYPE, b""),
        ("null", tarfile.CHRTYPE, b""),
    ],
)
def test_an_archive_with_anything_but_plain_files_is_refused(
    tmp_path: Path, member: tuple[str, bytes, bytes]
) -> None:
    target = tmp_path / "boots" / "cell" / "00-base"
    with pytest.raises(InfraError, match="does not belong"):
        unpack(archive(member), target)
    assert not list(target.parent.iterdir())


def test_a_boot_without_its_record_or_of_no_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "00-base"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InfraError, match="without its record"):
        unpack(packed(tmp_path / "empty"), target)
    monkeypatch.setattr(transfer, "_LARGEST", 1000)
    with pytest.raises(InfraError, match="does not belong"):
        unpack(archive(("big", tarfile.REGTYPE, b"x" * 1000)), target)
    assert not target.exists()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_archive_is_an_error_or_a_boot(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(archive(("console.log", tarfile.REGTYPE, b"hello" * 50)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    folder = tmp_path_factory.mktemp("x")
    try:
        unpack(bytes(raw), folder / "boot")
    except InfraError:
        assert not (folder / "boot").exists()
