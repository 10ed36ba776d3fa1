# SPDX-License-Identifier: GPL-2.0-only
"""What lies below a folder, while somebody works there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.util import hostspace


def test_all_that_lies_below_is_told_once_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 5000)
    (tmp_path / "a" / "link").symlink_to("b")
    found = list(hostspace.below(tmp_path))
    assert sorted(one.st_ino for one in found) == sorted(
        path.lstat().st_ino for path in tmp_path.rglob("*")
    )
    assert [one.st_size for one in found if stat.S_ISREG(one.st_mode)] == [5000]


def test_what_a_compiler_removes_meanwhile_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    for name in ("gone/inside", "kept", "temporary"):
        (tmp_path / name).write_text("")
    real = os.scandir

    def scandir(folder: Path) -> object:
        """As the kernel lists a folder of which something is removed before it is looked at."""
        if Path(folder) == tmp_path / "gone":
            (folder / "inside").unlink()
            folder.rmdir()
        entries = real(folder)
        if Path(folder) == tmp_path:
            (tmp_path / "temporary").unlink()
        return entries

    monkeypatch.setattr(os, "scandir", scandir)
    kept = (tmp_path / "kept").stat().st_ino
    files = [one.st_ino for one in hostspace.below(tmp_path) if stat.S_ISREG(one.st_mode)]
    assert files == [kept]


def test_a_folder_that_is_not_there_has_nothing_below_it(tmp_path: Path) -> None:
    assert list(hostspace.below(tmp_path / "none")) == []
