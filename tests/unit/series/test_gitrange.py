# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of a user's own tree: open ends, bases that are found, what is not committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.series import basis, series
from harness.series.model import Series
from harness.source import sources
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.util.errors import UserError
from harness.util.sandbox import OFF
from tests.unit.source.test_gitstore import kernel

ENV = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder: Path, *args: str) -> str:
    done = run_git(args, cwd=folder, env=ENV)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def commit(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"{name}: change it")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    made = GitStore(tmp_path / "cache" / "linux.git")
    made.ensure()
    return made


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    """v6.19 and two commits on a branch."""
    folder = kernel(tmp_path / "linux")
    for name in (".gitattributes", "ident.c", "dos.txt"):
        (folder / name).unlink()
    git(folder, "init", "-q", "-b", "master")
    commit(folder, "mm/file0.c", "int zero;\n")
    git(folder, "tag", "v6.19")
    git(folder, "checkout", "-q", "-b", "topic")
    commit(folder, "mm/file1.c", "int one;\n")
    commit(folder, "mm/file2.c", "int two;\n")
    return folder


def load(store: GitStore, name: str, tmp_path: Path, **more: Any) -> Series:
    return series.load(name, registry=tmp_path / "registry", store=store, **more)


def base(store: GitStore, name: str, tmp_path: Path) -> Source:
    return sources.resolve(name, store=store, origins=Origins(tmp_path / "downloads"))


def applied(store: GitStore, found: Series, on: Source, tmp_path: Path) -> str:
    done = series.apply(
        found, store=store, base_commit=on.commit, scratch=tmp_path / "scratch", sandbox=OFF
    )
    return done.tree


def test_an_open_range_ends_in_the_work_tree(store: GitStore, linux: Path, tmp_path: Path) -> None:
    (linux / "mm" / "file3.c").write_text("int three;\n")
    (linux / "mm" / "new.c").write_text("int new;\n")
    (linux / "mm" / "file4.c").unlink()
    (linux / "mm" / "file5.o").write_text("built\n")
    found = load(store, f"{linux}:v6.19..", tmp_path)
    assert [patch.subject for patch in found.patches] == [
        "mm/file1.c: change it", "mm/file2.c: change it", "not committed yet",
    ]  # fmt: skip
    assert "the last patch is what" in found.notes[-1]
    assert found.name == "v6.19.."
    assert str(tmp_path).encode() not in found.mbox, "the same change is the same patch anywhere"
    on = base(store, f"{linux}:v6.19", tmp_path)
    assert applied(store, found, on, tmp_path) == base(store, str(linux), tmp_path).tree
    again = load(store, f"{linux}:v6.19..", tmp_path)
    assert again.digest == found.digest
    (linux / "mm" / "file3.c").write_text("int four;\n")
    assert load(store, f"{linux}:v6.19..", tmp_path).digest != found.digest


def test_without_changes_it_is_the_commits(store: GitStore, linux: Path, tmp_path: Path) -> None:
    found, closed = (load(store, f"{linux}:v6.19..{tip}", tmp_path) for tip in ("", "topic"))
    assert found.digest == closed.digest and len(found.patches) == 2
    git(linux, "checkout", "-q", "v6.19")
    with pytest.raises(UserError, match=r"the range v6\.19\.\. holds no commits"):
        load(store, f"{linux}:v6.19..", tmp_path)


def test_a_tree_alone_says_where_it_starts(store: GitStore, linux: Path, tmp_path: Path) -> None:
    (linux / "mm" / "file3.c").write_text("int three;\n")
    found = load(store, str(linux), tmp_path)
    assert found.notes[0] == "it starts at v6.19, the nearest tag"
    assert (found.name, len(found.patches)) == ("v6.19..", 3)
    resolved = basis.resolve(found, store=store, kernel_git=None)
    start = git(linux, "rev-parse", "v6.19")
    assert resolved == (f"{linux}:{start}", "base-commit")
    on = base(store, resolved[0], tmp_path)
    assert basis.check(found, on, store=store).warning == ""
    assert applied(store, found, on, tmp_path) == base(store, str(linux), tmp_path).tree


def test_a_branch_starts_where_it_leaves_the_base_or_at_the_nearest_tag(
    store: GitStore, linux: Path, tmp_path: Path
) -> None:
    found = load(store, f"{linux}:topic", tmp_path)
    assert (found.name, len(found.patches)) == ("v6.19..topic", 2)
    assert found.notes == ("it starts at v6.19, the nearest tag",)
    first = git(linux, "rev-parse", "topic~1")
    found = load(store, f"{linux}:topic", tmp_path, base=first)
    assert (found.name, len(found.patches)) == (f"{first[:12]}..topic", 1)
    assert found.notes == (f"it starts at {first[:12]}, where it leaves BASE",)
    found = load(store, f"{linux}:topic", tmp_path, base="0" * 40)
    assert found.name == "v6.19..topic", "a base that the repository does not have"
    found = load(store, "topic", tmp_path, kernel_git=str(linux))
    assert found.name == "v6.19..topic"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("{}:nothing", "has no branch or commit nothing"),
        ("{}:old", r"no tag v\* is below old .*: write .*:<base>\.\.old"),
        ("{}:v6.20..", "has no commit v6.20"),
        ("{}:merged", r"v6\.19\.\.merged has merges: write .*:<base>\.\.merged, or rebase it"),
        ("{}:v6.19..merged", "has merges: give one without, or rebase it"),
    ],
)
def test_what_is_not_there_is_said(
    store: GitStore, linux: Path, tmp_path: Path, name: str, says: str
) -> None:
    git(linux, "checkout", "-q", "-b", "merged", "v6.19")
    git(linux, "merge", "-q", "--no-ff", "-m", "merge it", "topic")
    git(linux, "checkout", "-q", "--orphan", "old")
    git(linux, "commit", "-q", "-m", "x")
    with pytest.raises(UserError, match=says):
        load(store, name.format(linux), tmp_path)


def test_a_branch_called_like_a_series_is_not_guessed(
    store: GitStore, linux: Path, tmp_path: Path
) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "topic.yaml").write_text("title: x\nmbox: x.mbox\n", "utf-8")
    with pytest.raises(UserError, match="registry:topic"):
        load(store, "topic", tmp_path, kernel_git=str(linux))


def test_what_a_partial_clone_lacks_is_not_deleted(
    store: GitStore, linux: Path, tmp_path: Path
) -> None:
    blob = git(linux, "rev-parse", "v6.19:mm/file9.c")
    (linux / "mm" / "file9.c").write_text("int unique;\n")
    commit(linux, "mm/file9.c", "int unique;\n")
    git(linux, "tag", "-f", "v6.19")
    blob = git(linux, "rev-parse", "v6.19:mm/file9.c")
    (linux / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (linux / "mm" / "file9.c").unlink()
    (linux / "mm" / "file8.c").unlink()
    (linux / "mm" / "file3.c").write_text("int three;\n")
    found = load(store, f"{linux}:v6.19..", tmp_path)
    assert len(found.patches) == 1
    assert b"file9.c" not in found.mbox
    assert b"file8.c" in found.mbox and b"file3.c" in found.mbox
    origins = Origins(tmp_path / "downloads", missing_ok=True)
    on = sources.resolve(f"{linux}:v6.19", store=store, origins=origins)
    assert applied(store, found, on, tmp_path) == base(store, str(linux), tmp_path).tree


def test_a_revision_of_a_tree_is_a_kernel(store: GitStore, linux: Path, tmp_path: Path) -> None:
    named, counted = (base(store, f"{linux}:{rev}", tmp_path) for rev in ("topic", "HEAD~1"))
    assert named.commit == git(linux, "rev-parse", "topic")
    assert counted.commit == git(linux, "rev-parse", "topic~1")
    assert base(store, f"{linux}:v6.19", tmp_path).name == "git:v6.19"
    with pytest.raises(UserError, match="has no tag, branch or commit nothing"):
        base(store, f"{linux}:nothing", tmp_path)
