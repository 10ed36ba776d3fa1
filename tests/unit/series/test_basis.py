# SPDX-License-Identifier: GPL-2.0-only
"""What a series was made on: by base-commit, by blob ids, and when the user says otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.series import basis, blobmatch, series
from harness.series.blobmatch import Agreement
from harness.series.mail import mbox
from harness.series.model import Series
from harness.source import sources
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.util.errors import UserError
from tests.fakes import inbox, tree

OLDER = {"mm/swap.c": "int swap_in(int page)\n{\n\treturn page;\n}\n"}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """v6.11, another mm/swap.c; v6.12, the base; main, two commits on top."""
    folder = tmp_path / "linux"
    inbox.author(folder, tree.FILES | {"Kconfig": tree.KCONFIG})
    inbox.git(folder, "checkout", "-q", "--orphan", "old", "v6.12")
    tree.write(folder, OLDER | {"Makefile": tree.MAKEFILE.replace("LEVEL = 12", "LEVEL = 11")})
    inbox.git(folder, "commit", "-q", "-a", "-m", "older")
    inbox.git(folder, "tag", "v6.11")
    inbox.git(folder, "checkout", "-q", "main")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    made = GitStore(tmp_path / "store.git")
    made.ensure()
    return made


def mailed(repo: Path, *, base: bool) -> Series:
    (repo.parent / "registry").mkdir(exist_ok=True)
    path = repo.parent / "t.mbox"
    path.write_bytes(mbox.join(inbox.mailed(repo, base=base)))
    return series.load(str(path), registry=repo.parent / "registry")


def source(name: str, repo: Path, store: GitStore) -> Source:
    origins = Origins(repo.parent / "downloads", str(repo))
    return sources.resolve(name, store=store, origins=origins)


def found(loaded: Series, repo: Path | None, store: GitStore) -> tuple[str, str]:
    kernel_git = str(repo) if repo else None
    return basis.resolve(loaded, store=store, kernel_git=kernel_git)


def commit(repo: Path, rev: str) -> str:
    return inbox.git(repo, "rev-parse", rev).strip()


def test_base_commit_comes_first(repo: Path, store: GitStore) -> None:
    base = commit(repo, "v6.12^{commit}")
    assert found(mailed(repo, base=True), repo, store) == (f"git:{base}", "base-commit")


def test_else_the_blobs_find_the_tag(repo: Path, store: GitStore) -> None:
    loaded = mailed(repo, base=False)
    assert loaded.base_commit_hint is None
    name, by = found(loaded, repo, store)
    assert by == "blobs"
    made = source(name, repo, store)
    assert (made.version, made.commit) == ("6.12.3", commit(repo, "v6.12^{commit}"))
    # A base-commit that nobody has, as of a developer's own branch, is no obstacle; it is told.
    elsewhere = replace(loaded, base_commit_hint="2" * 40)
    assert found(elsewhere, repo, store) == (name, by)
    fit = basis.check(elsewhere, made, store=store, by=by)
    assert f"names base-commit {'2' * 40}, which is not at hand; its 2 files are" in fit.warning
    assert basis.check(elsewhere, made, store=store).warning == "", "the user knows what it is"


def test_the_nearest_tree_is_named_where_none_fits(repo: Path, store: GitStore) -> None:
    raws = inbox.mailed(repo, base=False)
    lines = raws[2].split(b"\n")
    raws[2] = b"\n".join(
        b"index 0123456789..9876543210 100644" if line.startswith(b"index ") else line
        for line in lines
    )
    path = repo.parent / "n.mbox"
    path.write_bytes(mbox.join(raws))
    loaded = series.load(str(path), registry=repo.parent)
    nearest = r"the nearest is git:v6\.12: 1 of 2 files differs, mm/page\.c\).*give BASE="
    with pytest.raises(UserError, match=nearest):
        found(loaded, repo, store)


def test_patches_that_must_be_there_before_are_told(repo: Path, store: GitStore) -> None:
    raws = inbox.mailed(repo, base=True)
    needed = b"prerequisite-patch-id: " + b"a" * 40
    raws[0] += b"\n" + needed + b"\nprerequisite-message-id: <1@x.example>\n"
    path = repo.parent / "p.mbox"
    path.write_bytes(mbox.join(raws))
    loaded = series.load(str(path), registry=repo.parent)
    assert f"it names {needed.decode()}" in loaded.notes
    wrong = basis.check(loaded, source("v6.11", repo, store), store=store)
    assert f"; it names {needed.decode()} and 1 more, which was not applied" in wrong.warning
    assert basis.check(loaded, source("v6.12", repo, store), store=store).warning == ""


def test_trees_of_the_store_count_too(repo: Path, store: GitStore, tmp_path: Path) -> None:
    loaded = mailed(repo, base=False)
    with pytest.raises(UserError, match=r"no base-commit line, and no tree at hand.*BASE="):
        found(loaded, None, store)
    folder = tree.write(tmp_path / "unpacked")
    made = store.import_folder(folder, ref="refs/harness/tar/abc", message="Linux")
    assert found(loaded, None, store) == (f"git:{made}", "blobs")


def test_prose_is_not_believed(repo: Path, store: GitStore) -> None:
    raws = inbox.mailed(repo, base=False)
    tag = commit(repo, "v6.11")
    raws[0] = raws[0].replace(b"*** BLURB HERE ***", f"This is based on v6.11 ({tag}).".encode())
    path = repo.parent / "p.mbox"
    path.write_bytes(mbox.join(raws))
    loaded = series.load(str(path), registry=repo.parent)
    assert source(found(loaded, repo, store)[0], repo, store).version == "6.12.3"


def test_a_base_that_disagrees_is_a_warning_with_both(repo: Path, store: GitStore) -> None:
    loaded = mailed(repo, base=True)
    right = basis.check(loaded, source("v6.12", repo, store), store=store)
    assert (right.warning, right.files, right.differ) == ("", 2, ())
    wrong = basis.check(loaded, source("v6.11", repo, store), store=store)
    for word in ("git:v6.11", str(loaded.base_commit_hint), "1 of the 2 files", "mm/swap.c"):
        assert word in wrong.warning
    assert wrong.differ == ("mm/swap.c",)


def test_the_same_files_under_another_commit_id_are_right(
    repo: Path, store: GitStore, tmp_path: Path
) -> None:
    """A tarball's commit is not the tag's."""
    made = source(str(tree.write(tmp_path / "unpacked")), repo, store)
    loaded = mailed(repo, base=True)
    assert made.commit != loaded.base_commit_hint
    assert basis.check(loaded, made, store=store).warning == ""


def test_without_index_lines_nothing_is_claimed(repo: Path, store: GitStore) -> None:
    bare = [b"\n".join(line for line in raw.split(b"\n") if not line.startswith(b"index "))
            for raw in inbox.mailed(repo, base=True)]  # fmt: skip
    path = repo.parent / "bare.mbox"
    path.write_bytes(mbox.join(bare))
    loaded = series.load(str(path), registry=repo.parent)
    fit = basis.check(loaded, source("v6.11", repo, store), store=store)
    assert fit.files == 0
    assert "no index line tells" in fit.warning
    with pytest.raises(UserError, match="no index line names a blob: give BASE="):
        found(replace(loaded, base_commit_hint=None), repo, store)


# Index lines

DIFFS = (
    b"diff --git a/a.c b/a.c\nindex 1111111..2222222 100644\n--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n"
    b"-index 3333333..4444444 100644\n+x\n"
    b"diff --git a/new.c b/new.c\nnew file mode 100644\nindex 0000000..5555555\n"
    b"diff --git a/old name.c b/new name.c\nsimilarity index 90%\nrename from old name.c\n"
    b"rename to new name.c\nindex 6666666..7777777 100644\n",
    b"diff --git a/a.c b/a.c\nindex 2222222..8888888 100644\n"
    b"diff --git a/new.c b/new.c\nindex 5555555..9999999 100644\n"
    b"diff --git a/new name.c b/new name.c\nindex 7777777..aaaaaaa 100644\n"
    b"diff --git a/gone.c b/gone.c\ndeleted file mode 100644\nindex bbbbbbb..0000000\n",
)


def test_only_what_a_series_did_not_make_itself_is_expected_of_the_base() -> None:
    assert blobmatch.expected(DIFFS) == {
        "a.c": "1111111",
        "gone.c": "bbbbbbb",
        "new.c": "",
        "old name.c": "6666666",
    }


def test_agreement_counts_wrong_missing_and_unwanted_files() -> None:
    wanted = blobmatch.expected(DIFFS)
    good = {"a.c": "1" * 40, "gone.c": "b" * 40, "old name.c": "6" * 40}
    assert blobmatch.agreement(wanted, good) == Agreement(4, ())
    assert blobmatch.agreement(wanted, good).whole
    bad = {"a.c": "2" * 40, "gone.c": "b" * 40, "new.c": "5" * 40}
    assert blobmatch.agreement(wanted, bad).differ == ("a.c", "new.c", "old name.c")
    assert not Agreement(0, ()).whole


@given(st.binary(max_size=300))
def test_any_text_can_be_read(text: bytes) -> None:
    blobmatch.expected([b"diff --git a/x b/x\n" + text])
