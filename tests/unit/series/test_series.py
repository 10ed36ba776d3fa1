# SPDX-License-Identifier: GPL-2.0-only
"""Patch series: the right patches in the right order, applied the same way each time."""

from __future__ import annotations

import base64
import gzip
import quopri
from pathlib import Path

import pytest

from harness.series import locator, patchset, series
from harness.series.mail import mbox
from harness.series.model import AppliedSeries
from harness.series.registry import names, read
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.util.errors import UserError
from harness.util.sandbox import OFF

LINES = [f"int line{n};" for n in range(1, 31)]
ENV = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ä Dev"), ("EMAIL", "dev@mail.example"), ("DATE", "@9 +0200"))
}


def git(folder: Path, *args: str) -> str:
    done = run_git(args, cwd=folder, env=ENV)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A base and three commits on it: a change, a new file with a rename, and a deletion."""
    folder = tmp_path / "repo"
    (folder / "mm").mkdir(parents=True)
    (folder / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 7\n")
    for name in ("swap.c", "old.c", "gone.c"):
        (folder / "mm" / name).write_text("\n".join(LINES) + "\n")
    git(folder, "init", "--quiet")
    commit(folder, "base")
    edit(folder, "line10;", "line10_changed;")
    commit(folder, "mm: change ten\n\nFrom here on it is better.\nFrom what was, better.")
    (folder / "mm" / "new.c").write_text("int fresh;\n")
    git(folder, "mv", "mm/old.c", "mm/renamed.c")
    commit(folder, "mm: ünïcode and a rename")
    (folder / "mm" / "gone.c").unlink()
    edit(folder, "line20;", "line20_changed;")
    commit(folder, "mm: drop gone.c")
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "mm" / "swap.c"
    file.write_text(file.read_text().replace(old, new))


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def posted(repo: Path, out: Path, *options: str) -> list[Path]:
    git(repo, "format-patch", "-q", "-o", str(out), *options, "HEAD~3")
    return sorted(out.glob("*.patch"))


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    return tmp_path / "registry"


@pytest.fixture
def store(tmp_path: Path) -> GitStore:
    made = GitStore(tmp_path / "linux.git")
    made.ensure()
    return made


def applied(
    name: str | Path, repo: Path, store: GitStore, registry: Path, rev: str = "HEAD~3"
) -> AppliedSeries:
    base = store.fetch(str(repo), git(repo, "rev-parse", rev).strip())
    loaded = series.load(str(name), registry=registry)
    scratch = registry.parent / "scratch"
    return series.apply(loaded, store=store, base_commit=base, scratch=scratch, sandbox=OFF)


def make_mbox(path: Path, mails: list[bytes]) -> Path:
    path.write_bytes(mbox.join(mail.split(b"\n", 1)[1] for mail in mails))
    return path


def test_a_folder_gives_the_authors_own_tree_and_messages(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path
) -> None:
    posted(repo, tmp_path / "p", "--cover-letter", "--base=HEAD~3")
    result = applied(tmp_path / "p", repo, store, registry)
    assert result.tree == git(repo, "rev-parse", "HEAD^{tree}").strip()
    assert [p.subject for p in result.patches] == [
        "mm: change ten", "mm: ünïcode and a rename", "mm: drop gone.c"
    ]  # fmt: skip
    ours = run_git(["log", "--format=%an %ad %B", "-3", result.commit], cwd=store.path).stdout
    assert ours.decode() == git(repo, "log", "--format=%an %ad %B", "-3")
    assert result.series.base_commit_hint == git(repo, "rev-parse", "HEAD~3").strip()
    assert len(result.commits) == 3
    assert [step.number for step in result.steps] == [1, 2, 3]
    trees = [store.tree_of(step.commit) for step in result.steps]
    assert trees == git(repo, "log", "--reverse", "-3", "--format=%T").split()
    assert result.commits[-1] == result.commit


def test_a_cover_letter_that_nobody_wrote_gives_no_title(repo: Path, tmp_path: Path) -> None:
    cover, *_ = posted(repo, tmp_path / "p", "--cover-letter")
    assert "*** SUBJECT HERE ***" in cover.read_text()
    assert patchset.from_folder(tmp_path / "p").title is None
    cover.write_text(cover.read_text().replace("*** SUBJECT HERE ***", "mm: three changes"))
    assert patchset.from_folder(tmp_path / "p").title == "mm: three changes"
    git(repo, "format-patch", "-q", "-1", "--cover-letter", "-o", str(tmp_path / "one"))
    assert patchset.from_folder(tmp_path / "one").title == "mm: drop gone.c"


def test_a_range_without_an_end_ends_at_head(repo: Path, registry: Path) -> None:
    whole = series.load("HEAD~3..HEAD", registry=registry, kernel_git=str(repo))
    for name in ("HEAD~3..", f"{repo}:HEAD~3.."):
        found = series.load(name, registry=registry, kernel_git=str(repo))
        assert (found.digest, len(found.patches)) == (whole.digest, 3)
    with pytest.raises(UserError, match=r"has no commit nowhere"):
        series.load("nowhere..", registry=registry, kernel_git=str(repo))
    with pytest.raises(UserError, match=r"set KERNEL_GIT= to the folder of their repository"):
        series.load("v6.12..", registry=registry)


def test_the_same_series_gives_the_same_commit_in_any_store(
    repo: Path, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(repo, tmp_path / "p")
    found = set()
    for who in ("one", "two"):
        monkeypatch.setenv("GIT_COMMITTER_NAME", who)
        store = GitStore(tmp_path / who)
        store.ensure()
        found.add(applied(tmp_path / "p", repo, store, registry).commit)
    assert len(found) == 1


def test_mbox_in_any_order_with_replies_cover_and_copies(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path
) -> None:
    mails = [p.read_bytes() for p in posted(repo, tmp_path / "p", "--cover-letter", "-v3")]
    reply = mails[2].replace(b"Subject: [PATCH", b"Subject: Re: [PATCH").replace(b"ten", b"TEN")
    other_list = mails[1].replace(b"\nDate:", b"\nList-Id: <other.example>\nDate:")
    thread = [mails[3], reply, mails[0], mails[1], other_list, mails[2], mails[0]]
    path = make_mbox(tmp_path / "t.mbox", thread)
    from_folder = applied(tmp_path / "p", repo, store, registry)
    from_mbox = applied(path, repo, store, registry)
    assert from_mbox.commit == from_folder.commit
    assert from_mbox.series.digest == from_folder.series.digest
    assert len(from_mbox.series.notes) == 1  # the reply holds a diff: that is said
    zipped = tmp_path / "t.mbox.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert applied(zipped, repo, store, registry).commit == from_folder.commit


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "crlf"])
def test_encodings_do_not_change_the_tree(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path, encoding: str
) -> None:
    plain, coded = tmp_path / "plain", tmp_path / "coded"
    coded.mkdir()
    for path in posted(repo, plain):
        head, body = path.read_bytes().split(b"\n\n", 1)
        if encoding == "crlf":
            data = path.read_bytes().replace(b"\n", b"\r\n")
        else:
            body = body.replace(b"\n", b"\r\n")  # as some mail servers do, inside the encoding
            body = base64.encodebytes(body) if encoding == "base64" else quopri.encodestring(body)
            lines = [x for x in head.split(b"\n") if not x.startswith((b"MIME", b"Content"))]
            lines += [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=UTF-8"]
            lines += [b"Content-Transfer-Encoding: " + encoding.encode()]
            data = b"\n".join(lines) + b"\n\n" + body
        (coded / path.name).write_bytes(data)
    one = applied(plain, repo, store, registry)
    two = applied(coded, repo, store, registry)
    assert two.tree == one.tree
    assert [p.patch_id for p in two.patches] == [p.patch_id for p in one.patches]


def test_patch_id_is_gits_own(repo: Path, registry: Path, tmp_path: Path) -> None:
    posted(repo, tmp_path / "p")
    loaded = series.load(str(tmp_path / "p"), registry=registry)
    shown = run_git(["log", "-p", "--reverse", "-3"], cwd=repo).stdout
    expected = run_git(["patch-id", "--stable"], stdin=shown).stdout.decode().splitlines()
    assert [p.patch_id for p in loaded.patches] == [line.split()[0] for line in expected]


def test_a_missing_number_is_named(repo: Path, registry: Path, tmp_path: Path) -> None:
    posted(repo, tmp_path / "p", "-n")[1].unlink()
    with pytest.raises(UserError, match="lacks patch 2 of 3"):
        series.load(str(tmp_path / "p"), registry=registry)


def test_a_gap_in_the_names_is_named(repo: Path, registry: Path, tmp_path: Path) -> None:
    posted(repo, tmp_path / "p", "-N")[1].unlink()
    with pytest.raises(UserError, match="lacks patch 0002"):
        series.load(str(tmp_path / "p"), registry=registry)


def test_two_contents_of_one_number(repo: Path, registry: Path, tmp_path: Path) -> None:
    mails = [p.read_bytes() for p in posted(repo, tmp_path / "p")]
    mails.append(mails[1].replace(b"+int fresh", b"+int rotten"))
    with pytest.raises(UserError, match="two different patches 2/3"):
        series.load(str(make_mbox(tmp_path / "t", mails)), registry=registry)


def test_two_revisions_in_one_mbox(repo: Path, registry: Path, tmp_path: Path) -> None:
    mails = [p.read_bytes() for p in posted(repo, tmp_path / "p")]
    mails += [p.read_bytes() for p in posted(repo, tmp_path / "q", "-v2")]
    with pytest.raises(UserError, match="v1 and v2"):
        series.load(str(make_mbox(tmp_path / "t", mails)), registry=registry)


def test_quilt_series_file_gives_the_order(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "quilt"
    paths = posted(repo, folder)
    for path, name in zip(paths, ("zebra.patch", "monkey.diff", "ape"), strict=True):
        diff = path.read_bytes().split(b"---\n", 1)[1]  # no mail headers at all
        (folder / name).write_bytes(b"Some words: nothing more.\n\n" + diff)
        path.unlink()
    (folder / "series").write_text("# first\nzebra.patch -p1\n\nmonkey.diff # why\nape\n")
    result = applied(folder, repo, store, registry)
    assert result.tree == git(repo, "rev-parse", "HEAD^{tree}").strip()
    assert [patch.number for patch in result.patches] == [1, 2, 3]
    (folder / "series").write_text("zebra.patch -p0\n")
    with pytest.raises(UserError, match="-p0"):
        series.load(str(folder), registry=registry)


def test_files_outside_the_folder_are_refused(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "0001-x.patch").symlink_to("../secret")
    with pytest.raises(UserError, match="outside"):
        series.load(str(folder), registry=registry)
    (folder / "0001-x.patch").unlink()
    (folder / "series").write_text("../secret\n")
    with pytest.raises(UserError, match="outside"):
        series.load(str(folder), registry=registry)


def test_failure_names_patch_file_and_line_and_leaves_nothing(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path
) -> None:
    posted(repo, tmp_path / "p")
    edit(repo, "line20_changed;", "line20_other;")
    commit(repo, "another base")
    git(repo, "checkout", "-q", "HEAD~4")
    edit(repo, "line20;", "line20_conflict;")
    commit(repo, "conflicting base")
    base = store.fetch(str(repo), git(repo, "rev-parse", "HEAD").strip())
    loaded = series.load(str(tmp_path / "p"), registry=registry)
    refs, scratch = store.refs("refs"), tmp_path / "scratch"
    with pytest.raises(series.ApplyFailed) as caught:
        series.apply(
            loaded,
            store=store,
            base_commit=base,
            base_name="mine",
            scratch=scratch,
            sandbox=OFF,
        )
    for word in ("patch 3/3", "mm: drop gone.c", "mm/swap.c:17: ", "mine", base[:12]):
        assert word in str(caught.value)
    assert store.refs("refs") == refs
    assert list(scratch.iterdir()) == []
    assert not list((store.path / "worktrees").glob("*"))


def test_failure_for_a_file_that_is_not_there(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path
) -> None:
    posted(repo, tmp_path / "p")
    git(repo, "checkout", "-q", "HEAD~3")
    (repo / "mm" / "new.c").write_text("in the way\n")
    commit(repo, "a base that has new.c")
    with pytest.raises(
        series.ApplyFailed, match=r"^patch 2/3 .*: mm/new\.c: already exists in the"
    ):
        applied(tmp_path / "p", repo, store, registry, rev="HEAD")
    git(repo, "rm", "-q", "mm/swap.c")
    commit(repo, "no swap.c")
    with pytest.raises(series.ApplyFailed, match=r"mm/swap\.c: does not exist in the base"):
        applied(tmp_path / "p", repo, store, registry, rev="HEAD")


def test_an_applied_series_is_reused(
    repo: Path, store: GitStore, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(repo, tmp_path / "p")
    first = applied(tmp_path / "p", repo, store, registry)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("applied again")

    monkeypatch.setattr(store, "add_worktree", never)
    assert applied(tmp_path / "p", repo, store, registry) == first
    (path,) = (tmp_path / "p").glob("0001*")
    path.write_bytes(
        path.read_bytes().replace(b"Subject: [PATCH 1/3] mm:", b"Subject: [PATCH 1/3] m:")
    )
    with pytest.raises(AssertionError, match="applied again"):
        applied(tmp_path / "p", repo, store, registry)


def test_registry_names_and_versions(
    repo: Path, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted(repo, registry / "cal" / "6.12")
    (registry / "cal.yaml").write_text(
        'title: Known effect\nfolder: "cal/{major_minor}"\napplies_to: ["6.12", ">=7.0,<7.2"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert names(registry) == ("cal",)
    loaded = series.load("cal", registry=registry, version="6.12.7")
    assert (loaded.name, loaded.title, loaded.locator) == ("cal", "Known effect", "registry:cal")
    entry = read("cal", registry=registry)
    assert all(entry.applies(version) for version in ("6.12", "6.12.7", "7.0-rc1", "7.1.3"))
    assert not any(entry.applies(version) for version in ("6.1.9", "6.19", "7.2"))
    with pytest.raises(UserError, match=r"6\.12, >=7\.0,<7\.2.*6\.19"):
        series.load("cal", registry=registry, version="6.19.0")
    with pytest.raises(UserError, match="give a base"):
        series.load("cal", registry=registry)
    with pytest.raises(UserError, match="did you mean 'cal'"):
        locator.find("call", registry=registry)
    (tmp_path / "cal").mkdir()
    with pytest.raises(UserError, match=r"\./cal or registry:cal"):
        locator.find("cal", registry=registry)
    assert series.load("registry:cal", registry=registry, version="6.12").patches == loaded.patches


def test_subjects_diffs_and_from_lines() -> None:
    raw = (
        b"From: a@b\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@x>\n"
        b"Subject: [RFC PATCH mm-unstable v4 02/11] [media] zswap: x\n\ntext\n---\n mm/x.c | 2 +-\n"
        b"--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,2 +1,2 @@\n-a\n+--- b\n c\n-- \n2.43\n--- not a diff\n"
    )
    mail = mbox.read(raw, name="n")
    assert (mail.number, mail.total, mail.revision, mail.message_id) == (2, 11, 4, "1@x")
    assert mail.subject == "[media] zswap: x"
    assert mail.diff == b"--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1,2 +1,2 @@\n-a\n+--- b\n c\n"
    with pytest.raises(UserError, match="Date"):
        mbox.read(raw.replace(b"Mon, 1 Jan 2024", b"some day"), name="n")
    raw += b"From here on\n>From there\n"
    assert mbox.split(mbox.join([raw, raw])) == (raw + b"\n", raw + b"\n")
