# SPDX-License-Identifier: GPL-2.0-only
"""Trees and patches from git: shallow, signed, with holes, as a tarball, as a range."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.series import series
from harness.series.mail import mbox
from harness.series.model import Series
from harness.source import promisor, sources
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.util.errors import UserError
from harness.util.sandbox import OFF
from tests.fakes import inbox, tree

FILES = tree.FILES | {"drivers/big.h": "a large header\n", "drivers/small.h": "a small one\n"}


class World:
    """A repository and a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repo = inbox.author(root / "linux", FILES)
        self.store = GitStore(root / "store.git")
        self.store.ensure()

    def get(
        self,
        rev: str,
        *,
        where: Path | str | None = None,
        missing: bool = False,
        key: Path | None = None,
    ) -> Source:
        return sources.resolve(
            rev,
            store=self.store,
            origins=Origins(
                self.root / "downloads", str(where or self.repo), keyring=key, missing_ok=missing
            ),
        )

    def id(self, rev: str) -> str:
        return inbox.git(self.repo, "rev-parse", rev).strip()

    def holed(self, *names: str) -> Path:
        """A copy of the repository that lacks the content of some files of v6.12."""
        copy = self.root / "holed.git"
        inbox.git(self.root, "clone", "-q", "--bare", "--no-hardlinks", str(self.repo), str(copy))
        pack = next((copy / "objects" / "pack").glob("*.pack"), None)
        if pack:
            data = pack.read_bytes()
            shutil.rmtree(copy / "objects" / "pack")
            inbox.git(copy, "unpack-objects", "-q", stdin=data)
        for name in names:
            blob = self.id(f"v6.12:{name}")
            (copy / "objects" / blob[:2] / blob[2:]).unlink()
        return copy


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# The same tree by every way


def test_tag_and_tarball_of_a_release_are_one_tree(world: World) -> None:
    tagged = world.get("v6.12")
    archive = world.root / "linux-6.12.3.tar.gz"
    prefix = "--prefix=linux-6.12.3/"
    inbox.git(world.repo, "archive", "--format=tar.gz", prefix, "-o", str(archive), "v6.12")
    digest = subprocess.run(["sha256sum", archive], capture_output=True, check=True, text=True)
    packed = world.get(f"{archive}#sha256={digest.stdout.split()[0]}")
    inbox.git(world.repo, "checkout", "-q", "v6.12")
    folder = world.get(f"dir:{world.repo}")
    assert tagged.tree == packed.tree == folder.tree == world.id("v6.12^{tree}")
    assert (packed.kind, packed.version) == ("tar", tagged.version)


def test_a_fetch_brings_one_commit_without_its_history(world: World) -> None:
    made = world.get("main", where=f"file://{world.repo}")
    assert made.commit == world.id("main")
    known = run_git(["rev-list", "--count", made.commit], cwd=world.store.path)
    assert known.stdout.strip() == b"1"
    assert run_git(["cat-file", "-e", world.id("v6.12")], cwd=world.store.path).returncode != 0


# Signatures


@pytest.mark.skipif(shutil.which("gpg-agent") is None, reason="gpg-agent is not installed")
def test_a_tags_signature_is_checked_where_there_is_one(
    world: World, heard: pytest.LogCaptureFixture
) -> None:
    home = world.root / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--pinentry-mode"]
    gpg += ["loopback"]
    keys = {}
    for who in ("signer", "stranger"):
        _run([*gpg, "--quick-gen-key", f"{who}@mail.example", "ed25519", "sign", "2d"])
        keys[who] = world.root / f"{who}.asc"
        keys[who].write_bytes(_run([*gpg, "--armor", "--export", f"{who}@mail.example"]))
    head = f"object {world.id('main')}\ntype commit\ntag v6.13\ntagger D <d@e> 9 +0000\n\nLinux\n"
    signed = _run([*gpg, "-u", "signer@mail.example", "--armor", "--detach-sign"], head.encode())
    for tag, text in (("v6.13", head), ("v6.14", head.replace("v6.13", "v6.14"))):
        made = inbox.git(world.repo, "mktag", "--no-strict", stdin=text.encode() + signed).strip()
        inbox.git(world.repo, "update-ref", f"refs/tags/{tag}", made)
    try:
        origin = dict(world.get("v6.13", key=keys["signer"]).origin)
        assert origin["signature"].startswith("good, by key ")
        # Also when it is in the store already, with no repository at hand.
        with pytest.raises(UserError, match=r"v6\.13 has no good signature by a key of .*stranger"):
            world.get("v6.13", key=keys["stranger"])
        with pytest.raises(UserError, match=r"v6\.14 has no good signature"):
            world.get("v6.14", key=keys["signer"])  # what was signed was another tag
        assert dict(world.get("v6.12", key=keys["signer"]).origin)["signature"] == "none"
        assert "v6.12" in heard.text and "is not signed" in heard.text
        assert "signature" not in dict(world.get("v6.13").origin)
        with pytest.raises(UserError, match="KERNEL_KEYRING names"):
            world.get("v6.13", key=world.root / "nothing")
    finally:
        _run(["gpgconf", "--homedir", str(home), "--kill", "all"])


def _run(argv: list[str], data: bytes = b"") -> bytes:
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


# Holes


def test_a_tree_with_holes_is_refused_unless_agreed_to(
    world: World, heard: pytest.LogCaptureFixture
) -> None:
    where = world.holed("drivers/big.h")
    with pytest.raises(UserError, match=r"1 files of .*\(drivers/big\.h\).*KERNEL_GIT_MISSING=ok"):
        world.get("v6.12", where=where)
    made = world.get("v6.12", where=where, missing=True)
    origin = dict(made.origin)
    assert origin["missing_files"] == "drivers/big.h"
    assert origin["commit"] == world.id("v6.12^{commit}") != made.commit
    assert made.name == f"git:{origin['commit']}"
    assert "taken without 1 files" in heard.text
    assert world.get("v6.12", where=where, missing=True) == made
    assert world.get(made.name, where=where, missing=True).commit == made.commit


def test_a_tree_with_holes_is_whole_but_for_them(world: World) -> None:
    where = world.holed("drivers/big.h", "drivers/small.h")
    made = world.get("v6.12", where=where, missing=True)
    shutil.rmtree(where)  # the store depends on nobody
    world.store.checkout(world.root / "out", made.commit)
    got = {
        str(path.relative_to(world.root / "out"))
        for path in (world.root / "out").rglob("*")
        if path.is_file() and path.name != ".git"
    }
    assert got == set(tree.FILES)


def test_a_whole_repository_has_no_holes_and_agreeing_changes_nothing(world: World) -> None:
    assert promisor.missing_files(world.repo, world.id("main")) == ()
    assert world.get("v6.12", missing=True) == world.get("v6.12")


def test_an_empty_partial_clone_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promisor, "_MOST", 1)
    where = world.holed("drivers/big.h", "drivers/small.h")
    with pytest.raises(UserError, match="it is a partial clone"):
        world.get("v6.12", where=where, missing=True)


def test_a_series_applies_to_a_tree_with_holes(world: World) -> None:
    made = world.get("v6.12", where=world.holed("drivers/big.h"), missing=True)
    path = world.root / "t.mbox"
    path.write_bytes(mbox.join(inbox.mailed(world.repo)))
    loaded = series.load(str(path), registry=world.root)
    applied = series.apply(
        loaded, store=world.store, base_commit=made.commit, scratch=world.root / "s", sandbox=OFF
    )
    shown = run_git(["show", f"{applied.commit}:mm/swap.c"], cwd=world.store.path).stdout
    assert b"more_swap" in shown


def test_a_tag_that_is_not_there_but_whose_tree_is_gets_a_hint(world: World) -> None:
    inbox.git(world.repo, "tag", "-d", "v6.12")
    root = world.id("main~2")
    with pytest.raises(
        UserError, match=rf"no tag or branch v6\.12\.3.*if you mean that, write {root}"
    ):
        world.get("v6.12.3")
    with pytest.raises(UserError) as caught:
        world.get("v6.13")
    assert "first commit" not in str(caught.value)


# Ranges


def ranged(world: World, name: str, *, kernel_git: bool = True) -> Series:
    (world.root / "registry").mkdir(exist_ok=True)
    git = str(world.repo) if kernel_git else None
    return series.load(name, registry=world.root / "registry", kernel_git=git)


def test_a_range_is_the_commits_as_patches(world: World) -> None:
    inbox.git(world.repo, "config", "diff.noprefix", "true")
    inbox.git(world.repo, "config", "format.attach", "yes")
    inbox.git(world.repo, "config", "format.signOff", "true")
    loaded = ranged(world, "v6.12..main")
    assert [patch.subject for patch in loaded.patches] == [
        "mm/swap.c: say more", "mm/page.c: say more"
    ]  # fmt: skip
    base = world.id("v6.12^{commit}")
    assert loaded.base_commit_hint == base
    assert dict(loaded.origin)["tip"] == world.id("main")
    made = world.get("v6.12")
    applied = series.apply(
        loaded, store=world.store, base_commit=made.commit, scratch=world.root / "s", sandbox=OFF
    )
    assert applied.tree == world.id("main^{tree}")
    other = ranged(world, f"{world.repo}:v6.12..main", kernel_git=False)
    assert other.digest == loaded.digest
    again = ranged(world, loaded.locator, kernel_git=False)
    assert again.digest == loaded.digest


def test_a_body_that_looks_like_an_mbox_does_not_split_a_patch(world: World) -> None:
    text = "odd\n\nFrom dev@mail.example Thu Jan  1 00:00:00 1970\nSubject: no mail\n\nreally"
    (world.repo / "mm/swap.c").write_text("int other;\n")
    inbox.git(world.repo, "commit", "-q", "-a", "-m", text)
    loaded = ranged(world, "main~1..main")
    assert [patch.subject for patch in loaded.patches] == ["odd"]
    assert b"really" in loaded.mbox


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("main..v6.12", "holds no commits"),
        ("v6.12..nowhere", "has no commit nowhere"),
        ("v6.12..--output=x", "not the name of a git tag"),
        ("/nowhere/at/all:v6.12..main", "is no folder"),
    ],
)
def test_ranges_that_are_none(world: World, name: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        ranged(world, name)


def test_a_bare_range_needs_a_repository_and_no_merges(world: World) -> None:
    with pytest.raises(UserError, match=r"set KERNEL_GIT=.*or write FOLDER:v6\.12\.\.main"):
        ranged(world, "v6.12..main", kernel_git=False)
    inbox.git(world.repo, "checkout", "-q", "-b", "side", "v6.12")
    (world.repo / "side.txt").write_text("x\n")
    inbox.git(world.repo, "add", "-A")
    inbox.git(world.repo, "commit", "-q", "-m", "side")
    inbox.git(world.repo, "merge", "-q", "-m", "merge", "main")
    with pytest.raises(UserError, match="has merges"):
        ranged(world, "v6.12..side")
