# SPDX-License-Identifier: GPL-2.0-only
"""A folder taken again and again is the tree that it is now, whatever git's index remembers."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.source import folderindex
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from tests.unit.source.test_gitstore import kernel

ENV = {
    **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *args: str, settings: tuple[str, ...] = ()) -> str:
    done = run_git(args, cwd=folder, env=ENV, settings=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    made = GitStore(tmp_path / "cache" / "linux.git")
    made.ensure()
    return made


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = kernel(tmp_path / "repo")
    git(folder, "init", "-q", "-b", "master")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def taken(store: GitStore, folder: Path, *, again: bool = True) -> str:
    """The tree of the folder's files, by what was known of it or by reading all."""
    ref = f"refs/harness/test/{'again' if again else 'whole'}"
    return store.tree_of(store.import_folder(folder, ref=ref, message="m", again=again))


def _same_size(folder: Path) -> None:
    path = folder / "mm" / "file1.c"
    before = path.stat()
    path.write_text("int f9;\n" * 5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def _staged(folder: Path) -> None:
    _same_size(folder)
    git(folder, "add", "-A")


def _folder_for_file(folder: Path) -> None:
    (folder / "mm" / "file1.c").unlink()
    (folder / "mm" / "file1.c").mkdir()
    (folder / "mm" / "file1.c" / "inner.c").write_text("int x;\n")


def _link_for_file(folder: Path) -> None:
    (folder / "mm" / "file1.c").unlink()
    (folder / "mm" / "file1.c").symlink_to("file2.c")


def _assumed(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "mm/file1.c")
    (folder / "mm" / "file1.c").write_text("changed\n")


def _skipped(folder: Path) -> None:
    git(folder, "update-index", "--skip-worktree", "mm/file1.c")
    (folder / "mm" / "file1.c").write_text("changed\n")


def _converted(folder: Path) -> None:
    """As on a machine of somebody who lets git convert line ends: the blobs are not the files."""
    (folder / ".gitattributes").unlink()
    git(folder, "rm", "-q", "--cached", "dos.txt")
    git(folder, "add", "-A", "-f", settings=("core.autocrlf=input",))
    assert git(folder, "cat-file", "blob", ":dos.txt") == "a\nb"


def _split(folder: Path) -> None:
    git(folder, "update-index", "--split-index")
    (folder / "mm" / "file1.c").write_text("changed\n")


def _unmerged(folder: Path) -> None:
    blob = git(folder, "rev-parse", "HEAD:mm/file1.c")
    rows = "".join(f"100644 {blob} {stage}\tmm/file1.c\n" for stage in (1, 2, 3))
    run_git(["update-index", "--force-remove", "mm/file1.c"], cwd=folder)
    assert run_git(["update-index", "--index-info"], cwd=folder, stdin=rows.encode()).stderr == b""


EDITS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "edit": lambda folder: (folder / "mm" / "file1.c").write_text("changed\n"),
    "same size and time": _same_size,
    "new": lambda folder: (folder / "mm" / "new.c").write_text("new\n"),
    "delete": lambda folder: (folder / "mm" / "file1.c").unlink(),
    "mode": lambda folder: (folder / "mm" / "file1.c").chmod(0o755),
    "folder": _folder_for_file,
    "link": _link_for_file,
    "staged": _staged,
    "intent": lambda folder: (
        (folder / "mm" / "new.c").write_text("new\n"),
        git(folder, "add", "-N", "mm/new.c"),
    ),
    "assumed unchanged": _assumed,
    "skip-worktree": _skipped,
    "converted": _converted,
    "split index": _split,
    "unmerged": _unmerged,
    "no index": lambda folder: (folder / ".git" / "index").unlink(),
    "broken index": lambda folder: (folder / ".git" / "index").write_bytes(b"DIRC"),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("known", [False, True])
def test_it_is_the_tree_that_reading_everything_gives(
    store: GitStore, repo: Path, edit: str, known: bool
) -> None:
    if known:
        taken(store, repo)
    EDITS[edit](repo)
    assert taken(store, repo) == taken(store, repo, again=False)
    (repo / "mm" / "file2.c").write_text("later\n")
    assert taken(store, repo) == taken(store, repo, again=False)


def test_a_damaged_index_of_the_store_is_made_anew(store: GitStore, repo: Path) -> None:
    taken(store, repo)
    (index,) = (store.path / "indexes").iterdir()
    whole = index.read_bytes()
    index.write_bytes(whole[:-100])
    (repo / "mm" / "file1.c").write_text("changed\n")
    assert taken(store, repo) == taken(store, repo, again=False)
    assert len(index.read_bytes()) == len(whole)


def test_a_checkouts_own_index_serves_and_its_objects_are_copied(
    store: GitStore, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "mm" / "file1.c").write_text("changed\n")
    real, read = folderindex._forget, list[str]()

    def forget(*args: Any) -> None:
        read.extend(args[2])
        real(*args)

    monkeypatch.setattr(folderindex, "_forget", forget)
    commit = store.import_folder(repo, ref="refs/harness/test/x", message="m", again=True)
    assert read == ["dos.txt", "ident.c", "mm/file1.c"], "their blobs have other sizes"
    shutil.rmtree(repo)
    done = run_git(["fsck", "--strict", commit], env={"GIT_DIR": str(store.path)})
    assert done.returncode == 0 and b"missing" not in done.stdout + done.stderr


def test_a_folder_known_before_is_not_read_again(
    store: GitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kernel(tmp_path / "plain")
    for path in (folder / "mm").iterdir():
        os.utime(path, (1e9, 1e9))  # git reads again what is as young as its index
    taken(store, folder)
    # An index that says the wrong blob of a file: only who does not read the file believes it.
    (index,) = (store.path / "indexes").iterdir()
    data = index.read_bytes()
    blobs = [run_git(["hash-object", str(folder / "mm" / f"file{n}.c")]).stdout for n in (1, 2)]
    one, other = (bytes.fromhex(blob.decode().strip()) for blob in blobs)
    body = data[:-20].replace(one, other)
    index.write_bytes(body + hashlib.sha1(body).digest())
    (folder / "mm" / "file5.c").write_text("changed\n")  # or the tree is the one of the last time
    assert taken(store, folder) != taken(store, folder, again=False)
