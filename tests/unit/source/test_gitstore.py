# SPDX-License-Identifier: GPL-2.0-only
"""The kernel store: equal trees get equal commits, and nothing on the machine can change that."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from harness.source.git import last_line, run_git
from harness.source.gitnames import makefile_version, public_url, ref_part
from harness.source.gitstore import GitStore, remote_key
from harness.util import progress
from harness.util.errors import InfraError, UserError

REF = "refs/harness/test/one"


def kernel(folder: Path, version: tuple[int, int, int] = (6, 19, 0), extra: str = "") -> Path:
    """A tree with all that makes a kernel tree hard to store: links, ignored files, CRs."""
    for number in range(16):
        file = folder / "mm" / f"file{number}.c"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"int f{number};\n" * 5)
    major, minor, sub = version
    (folder / "Makefile").write_text(
        "# SPDX-License-Identifier: GPL-2.0\n"
        f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = {sub}\nEXTRAVERSION ={extra}\n"
    )
    (folder / "Kconfig").write_text('mainmenu "Fake"\n')
    (folder / ".gitignore").write_text("*.o\nkept\n")
    (folder / ".gitattributes").write_text("*.txt text eol=lf\n*.c ident\n")
    (folder / "kept.o").write_bytes(b"object\n")
    (folder / "dos.txt").write_bytes(b"a\r\nb\r\n")
    (folder / "ident.c").write_bytes(b"/* $Id: 123 $ */\n")
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to("mm/file0.c")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def repository(folder: Path) -> dict[str, str]:
    """A git repository with two tags and a branch; returns the ids of its commits."""
    kernel(folder)
    env = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    ids = {}

    def git(*args: str) -> str:
        done = run_git(args, cwd=folder, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    git("init", "--quiet", "--initial-branch=master")
    for tag, minor in (("v6.18", 18), ("v6.19", 19)):
        kernel(folder, (6, minor, 0))
        git("add", "-A", "-f")
        git("commit", "-q", "-m", tag)
        git("tag", "-a", tag, "-m", tag)
        ids[tag] = git("rev-parse", "HEAD")
    git("branch", "topic", "v6.18")
    return ids


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    made = GitStore(tmp_path / "cache" / "linux.git")
    made.ensure()
    return made


def files(store: GitStore, commit: str) -> dict[str, bytes]:
    env = {"GIT_DIR": str(store.path)}
    names = run_git(["ls-tree", "-r", "--name-only", commit], env=env).stdout.decode().split()
    return {n: run_git(["cat-file", "blob", f"{commit}:{n}"], env=env).stdout for n in names}


def test_import_keeps_every_byte_of_every_file(store: GitStore, tmp_path: Path) -> None:
    tree = kernel(tmp_path / "tree")
    commit = store.import_folder(tree, ref=REF, message="m")
    expected = {
        str(path.relative_to(tree)): os.fsencode(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in tree.rglob("*")
        if path.is_symlink() or path.is_file()
    }
    assert files(store, commit) == expected
    assert "kept.o" in expected
    assert store.commit_of(REF) == commit


def test_checkout_gives_back_what_was_imported(store: GitStore, tmp_path: Path) -> None:
    tree = kernel(tmp_path / "tree")
    commit = store.import_folder(tree, ref=REF, message="m")
    out = tmp_path / "out"
    store.add_worktree(out, commit)
    assert (out / "dos.txt").read_bytes() == b"a\r\nb\r\n"
    assert (out / "ident.c").read_bytes() == b"/* $Id: 123 $ */\n"
    assert (out / "link").readlink() == Path("mm/file0.c")
    assert os.access(out / "run.sh", os.X_OK)
    store.remove_worktree(out)
    assert not out.exists()
    store.add_worktree(out, commit)  # the name is free again
    store.remove_worktree(out)


def test_the_same_tree_gives_the_same_commit_in_any_store(tmp_path: Path) -> None:
    ids = set()
    for number in range(2):
        store = GitStore(tmp_path / f"store{number}")
        store.ensure()
        tree = kernel(tmp_path / f"tree{number}")
        ids.add(store.import_folder(tree, ref=REF, message="m"))
    assert len(ids) == 1
    (tree / "mm" / "file1.c").write_text("changed\n")
    assert store.import_folder(tree, ref=REF, message="m") not in ids


def test_users_configuration_cannot_change_an_import(
    store: GitStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = kernel(tmp_path / "tree")
    before = store.import_folder(tree, ref=REF, message="m")
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".gitconfig").write_text(
        "[user]\nname = someone\n[core]\nautocrlf = input\n[commit]\ngpgSign = true\n"
    )
    (home / ".config" / "git" / "attributes").write_text("* text\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "someone")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert store.import_folder(tree, ref=REF, message="m") == before


def test_git_folders_are_left_out_and_paths_limit(store: GitStore, tmp_path: Path) -> None:
    tree = kernel(tmp_path / "tree")
    (tree / "mm" / ".git").mkdir()
    (tree / "mm" / ".git" / "config").write_text("x")
    whole = store.import_folder(tree, ref=REF, message="m")
    assert not [name for name in files(store, whole) if ".git/" in name]
    part = store.import_folder(tree, ref=REF, message="m", paths=["Makefile", "mm/file3.c"])
    assert sorted(files(store, part)) == ["Makefile", "mm/file3.c"]


@pytest.mark.parametrize(
    ("extra", "version"), [("", "6.19.0"), (" -rc3", "6.19.0-rc3"), (" ", "6.19.0")]
)
def test_kernel_version(store: GitStore, tmp_path: Path, extra: str, version: str) -> None:
    tree = kernel(tmp_path / "tree", extra=extra)
    assert store.kernel_version(store.import_folder(tree, ref=REF, message="m")) == version


def test_makefile_without_version_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="some/place"):
        makefile_version("all:\n\techo VERSION = 3\n", where="some/place")


def test_fetch_of_tag_branch_and_id(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    where = str(tmp_path / "repo")
    assert store.fetch(where, "v6.19") == ids["v6.19"]  # the commit, not the tag object
    assert store.fetch(where, "topic") == ids["v6.18"]
    assert store.kernel_version(ids["v6.18"]) == "6.18.0"
    assert store.fetched("v6.19") == {where: ids["v6.19"]}
    assert store.fetched("topic") == {}


def test_fetch_brings_one_commit_not_the_history(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    store.fetch(str(tmp_path / "repo"), ids["v6.19"])
    assert store.commit_of(ids["v6.19"]) == ids["v6.19"]
    assert store.commit_of(ids["v6.18"]) is None


def test_fetch_of_an_abbreviated_id(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    assert store.fetch(str(tmp_path / "repo"), ids["v6.18"][:10]) == ids["v6.18"]


def test_a_fetched_tag_of_a_url_needs_no_network_again(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    url = (tmp_path / "repo").as_uri()
    store.fetch(url, "v6.19")
    (tmp_path / "repo").rename(tmp_path / "gone")
    assert store.fetch(url, "v6.19") == ids["v6.19"]
    with pytest.raises(InfraError):
        store.fetch(url, "v6.18")


def test_a_moved_tag_of_a_local_repository_is_seen(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    store.fetch(str(tmp_path / "repo"), "v6.19")
    run_git(["tag", "-f", "v6.19", ids["v6.18"]], cwd=tmp_path / "repo")
    assert store.fetch(str(tmp_path / "repo"), "v6.19") == ids["v6.18"]


def test_unknown_tag_names_the_nearest(store: GitStore, tmp_path: Path) -> None:
    repository(tmp_path / "repo")
    with pytest.raises(UserError, match=r"v6\.91.*v6\.19") as caught:
        store.fetch(str(tmp_path / "repo"), "v6.91")
    assert str(tmp_path / "repo") in str(caught.value)


def test_unknown_id_is_an_error(store: GitStore, tmp_path: Path) -> None:
    repository(tmp_path / "repo")
    with pytest.raises((UserError, InfraError), match="0123456789"):
        store.fetch(str(tmp_path / "repo"), "0123456789" * 4)


@pytest.mark.parametrize("rev", ["--upload-pack=x", "a..b", "a b", "", "x:y", "v1^", "a.lock"])
def test_names_that_git_would_read_otherwise_are_refused(
    store: GitStore, tmp_path: Path, rev: str
) -> None:
    repository(tmp_path / "repo")
    with pytest.raises(UserError):
        store.fetch(str(tmp_path / "repo"), rev)


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "ext::sh -c true", "not-there"])
def test_locations_that_could_run_something_are_refused(store: GitStore, url: str) -> None:
    with pytest.raises((UserError, InfraError)):
        store.fetch(url, "v6.19")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_fetch_from_another_users_repository(store: GitStore, tmp_path: Path) -> None:
    ids = repository(tmp_path / "repo")
    for path in [tmp_path / "repo", *(tmp_path / "repo").rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert store.fetch(str(tmp_path / "repo"), "v6.19") == ids["v6.19"]


def test_checkout_touches_only_what_differs(store: GitStore, tmp_path: Path) -> None:
    tree = kernel(tmp_path / "tree")
    one = store.import_folder(tree, ref=REF, message="m")
    (tree / "mm" / "file1.c").write_text("changed\n")
    two = store.import_folder(tree, ref="refs/harness/test/two", message="m")
    src = tmp_path / "src"
    store.checkout(src, one)
    before = (src / "mm" / "file2.c").stat().st_mtime_ns
    (src / "mm" / "file3.c").write_text("somebody's edit\n")
    (src / "stray.c").write_text("x")
    (src / "stray.o").write_text("ignored by the tree's own .gitignore")
    store.checkout(src, two)
    assert (src / "mm" / "file1.c").read_text() == "changed\n"
    assert (src / "mm" / "file3.c").read_bytes() == (tree / "mm" / "file3.c").read_bytes()
    assert (src / "mm" / "file2.c").stat().st_mtime_ns == before
    assert not (src / "stray.c").exists()
    assert not (src / "stray.o").exists()


def test_checkout_repairs_what_a_killed_one_left(store: GitStore, tmp_path: Path) -> None:
    commit = store.import_folder(kernel(tmp_path / "tree"), ref=REF, message="m")
    src = tmp_path / "src"
    store.checkout(src, commit)
    (store.path / "worktrees" / "src" / "index.lock").write_text("")
    (src / "Makefile").unlink()
    store.checkout(src, commit)
    assert (src / "Makefile").exists()


def test_checkout_never_deletes_a_folder_that_is_not_its_own(
    store: GitStore, tmp_path: Path
) -> None:
    commit = store.import_folder(kernel(tmp_path / "tree"), ref=REF, message="m")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").write_text("x")
    with pytest.raises(InfraError, match="mine"):
        store.checkout(mine, commit)
    assert (mine / "thesis").exists()


def _import_many(path: Path, tree: Path, number: int) -> None:
    store = GitStore(path)
    store.ensure()
    for turn in range(3):
        commit = store.import_folder(tree, ref=f"refs/harness/p{number}/{turn}", message="m")
        store.add_worktree(path.parent / f"wt{number}-{turn}", commit, checkout=False)
        store.remove_worktree(path.parent / f"wt{number}-{turn}")


def test_two_processes_at_once(tmp_path: Path) -> None:
    tree, path = kernel(tmp_path / "tree"), tmp_path / "store"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_import_many, args=(path, tree, n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(GitStore(path).refs("refs/harness")) == 6


def test_notes_and_refs(store: GitStore) -> None:
    assert store.read_note("refs/harness/notes/x") is None
    store.write_note("refs/harness/notes/x", {"suite": "ä"})
    assert store.read_note("refs/harness/notes/x") == {"suite": "ä"}
    with pytest.raises(InfraError):
        store.write_note("refs/heads/x", {})


@pytest.mark.parametrize("text", ["6.12~rc1:2+b", "a..b", ".x", "x.lock", "ä é", "a b", "", "x."])
def test_ref_part_is_always_a_legal_ref(text: str) -> None:
    done = run_git(["check-ref-format", f"refs/harness/{ref_part(text)}"])
    assert done.returncode == 0


def test_secrets_of_urls_are_not_shown() -> None:
    assert public_url("https://me:secret@git.example/x.git") == "https://git.example/x.git"
    assert remote_key("https://me:a@git.example/x") == remote_key("https://git.example/x")


def test_last_line_prefers_the_reason() -> None:
    assert last_line(b"fatal: it broke\nhint: try again\n") == "it broke"
    assert last_line(b"") == "no message"


def test_a_long_step_of_git_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "PAUSES", (0.2,))
    slow = (
        "alias.slow=!printf 'Updating files:  4%%\\rUpdating files: 45%%\\r' >&2; sleep 1; exit 3"
    )
    done = run_git(["-c", slow, "slow"], what="checking out abc")
    assert "checking out abc: Updating files: 45%" in heard.text
    assert done.returncode == 3 and b"45%" in done.stderr
