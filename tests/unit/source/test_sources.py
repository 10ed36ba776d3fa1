# SPDX-License-Identifier: GPL-2.0-only
"""Where kernel trees come from: each kind, and every name that could mean two things."""

from __future__ import annotations

import functools
import hashlib
import http.server
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from harness.source import sources
from harness.source.apt import AptSource, Candidate, Deb
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.util.errors import InfraError, UserError
from tests.fakes import loopback

ENV = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def kernel(folder: Path, minor: int = 19) -> Path:
    for number in range(16):
        file = folder / "mm" / f"file{number}.c"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"int f{number};\n")
    (folder / "Makefile").write_text(f"VERSION = 6\nPATCHLEVEL = {minor}\nSUBLEVEL = 0\n")
    (folder / "Kconfig").write_text('mainmenu "Fake"\n')
    (folder / ".gitignore").write_text("*.o\n")
    return folder


def git(folder: Path, *args: str) -> str:
    done = run_git(args, cwd=folder, env=ENV)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def checkout(folder: Path) -> Path:
    kernel(folder)
    git(folder, "init", "-q", "-b", "master")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    git(folder, "tag", "v6.19")
    return folder


class FakeArchive:
    """Stands in for AptSource: real .deb files, made here."""

    def __init__(self, root: Path) -> None:
        self.root, self.online, self.downloads = root, True, 0
        self.versions = ["6.12.10-1", "6.12.9-1~deb12u1"]

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        if not self.online:
            raise InfraError("no network")
        if name != "linux-source-6.12":
            return ()
        return tuple(Candidate(name, version, "trixie") for version in self.versions)

    def names(self, prefix: str) -> tuple[str, ...]:
        return (f"{prefix}6.1", f"{prefix}6.12", f"{prefix}all")

    def download(self, package: str, version: str) -> Deb:
        if not self.online:
            raise InfraError("no network")
        self.downloads += 1
        tree = kernel(self.root / "build" / package, minor=int(version.split(".")[1]))
        (tree / "debian-version").write_text(version)
        inner = self.root / "pkg" / "usr" / "src" / f"{package}.tar.xz"
        inner.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(inner, "w:xz") as tar:
            tar.add(tree, arcname=package)
        control = self.root / "pkg" / "DEBIAN" / "control"
        control.parent.mkdir(exist_ok=True)
        control.write_text(
            f"Package: {package}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: x <x@mail.example>\nDescription: x\n"
        )
        deb = self.root / "x.deb"
        argv = ["dpkg-deb", "--root-owner-group", "-b", str(self.root / "pkg"), str(deb)]
        subprocess.run(argv, check=True, capture_output=True)
        return Deb(deb, package, version, hashlib.sha256(deb.read_bytes()).hexdigest())


class World:
    """A store, a cache and a working folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, GitStore(root / "linux.git")
        self.archive = FakeArchive(root / "archive")
        self.store.ensure()

    def resolve(self, name: str, **more: Any) -> Source:
        return sources.resolve(
            name,
            store=self.store,
            origins=Origins(self.root / "downloads", **more),
            apt=cast(AptSource, self.archive),
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return World(tmp_path)


needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")


@needs_dpkg
def test_debian_newest_is_imported_once(world: World) -> None:
    source = world.resolve("debian/6.12")
    assert (source.name, source.kind, source.version) == (
        "debian/6.12=6.12.10-1",
        "debian",
        "6.12.0",
    )
    origin = dict(source.origin)
    assert origin["version"] == "6.12.10-1"
    assert origin["suite"] == "trixie"
    assert len(origin["sha256"]) == 64
    assert world.resolve("debian/6.12") == source
    assert world.archive.downloads == 1
    assert [p for p in (world.root / "downloads").iterdir() if p.name.startswith("unpack")] == []


@needs_dpkg
def test_debian_pin_and_offline(world: World, heard: pytest.LogCaptureFixture) -> None:
    pinned = world.resolve("debian/6.12=6.12.9-1~deb12u1")
    newest = world.resolve("debian/6.12")
    assert pinned.commit != newest.commit
    world.archive.online = False
    assert world.resolve(pinned.name) == pinned
    assert world.resolve("debian/6.12") == newest
    assert "no network" in heard.text
    with pytest.raises(InfraError):
        world.resolve("debian/6.12=6.12.8-1")


def test_debian_unknown_names_what_there_is(world: World) -> None:
    with pytest.raises(UserError, match=r"debian/6\.1, debian/6\.12$"):
        world.resolve("debian/9.9")
    with pytest.raises(UserError, match=r"6\.12\.10-1, 6\.12\.9-1~deb12u1"):
        world.resolve("debian/6.12=1")
    with pytest.raises(UserError, match="write debian"):
        world.resolve("debian/bookworm")


def test_git_tag_commit_and_what_was_fetched_before(world: World) -> None:
    repo = checkout(world.root / "repo")
    head = git(repo, "rev-parse", "HEAD")
    with pytest.raises(UserError, match=r"KERNEL_GIT=.*https://git\.kernel\.org/.*linux\.git"):
        world.resolve("v6.19")
    source = world.resolve("v6.19", kernel_git=str(repo))
    assert (source.name, source.commit, source.version) == ("git:v6.19", head, "6.19.0")
    assert source.tree == git(repo, "rev-parse", "HEAD^{tree}")
    assert dict(source.origin)["repository"] == str(repo)
    assert world.resolve("v6.19") == source  # from the store, without the repository
    assert world.resolve(head[:9]).commit == head
    with pytest.raises(UserError, match=r"v6\.20.*nearest tags: v6\.19"):
        world.resolve("v6.20", kernel_git=str(repo))
    # A branch moves: what repeats it is the commit.
    assert world.resolve("git:master", kernel_git=str(repo)).name == f"git:{head}"


def test_two_repositories_with_different_tags_of_one_name(world: World) -> None:
    for name in ("one", "two"):
        repo = checkout(world.root / name)
        (repo / "Kconfig").write_text(name)
        git(repo, "commit", "-q", "-a", "-m", name)
        git(repo, "tag", "-f", "v6.19")
        world.resolve("v6.19", kernel_git=str(repo))
    with pytest.raises(UserError, match=r"one and from .*two.*KERNEL_GIT"):
        world.resolve("v6.19")


TWO_MEANINGS = {
    "6.12": ["debian/6.12", "v6.12"],
    "6.12.9": ["debian/6.12", "v6.12.9"],
    "v6.19": ["dir:v6.19", "git:v6.19"],
    "abcdef0123": ["dir:abcdef0123", "git:abcdef0123"],
    "master": ["dir:master", "git:master"],
}


@pytest.mark.parametrize("name", TWO_MEANINGS)
def test_a_name_with_two_meanings_lists_both(world: World, name: str) -> None:
    repo = checkout(world.root / "repo")
    if not name.startswith("6"):
        kernel(Path(name))
    with pytest.raises(UserError) as caught:
        world.resolve(name, kernel_git=str(repo))
    assert all(way in str(caught.value) for way in TWO_MEANINGS[name])


def test_prefixes_settle_it(world: World) -> None:
    repo = checkout(world.root / "repo")
    kernel(Path("v6.19"), minor=77)
    assert world.resolve("git:v6.19", kernel_git=str(repo)).version == "6.19.0"
    assert world.resolve("dir:v6.19", kernel_git=str(repo)).version == "6.77.0"
    assert world.resolve("./v6.19", kernel_git=str(repo)).version == "6.77.0"


def test_plain_folder_takes_all_checkout_takes_what_its_owner_sees(
    world: World, heard: pytest.LogCaptureFixture
) -> None:
    plain, repo = kernel(world.root / "plain"), checkout(world.root / "repo")
    clean = world.resolve(str(repo))
    head = git(repo, "rev-parse", "HEAD")
    assert clean.origin == (("folder", str(repo)), ("head", head), ("dirty", "no"))
    assert world.resolve(str(plain)).tree == clean.tree
    for folder in (plain, repo):
        (folder / "mm" / "file1.o").write_text("built")
    assert world.resolve(str(repo)) == clean
    assert world.resolve(str(plain)).tree != clean.tree
    assert "differs" not in heard.text


@pytest.mark.parametrize("how", ["edit", "new", "delete", "stage"])
def test_a_dirty_checkout_is_taken_as_it_is_and_said(
    world: World, how: str, heard: pytest.LogCaptureFixture
) -> None:
    repo = checkout(world.root / "repo")
    if how == "delete":
        (repo / "mm" / "file1.c").unlink()
    else:
        (repo / "mm" / ("new.c" if how == "new" else "file1.c")).write_text("changed\n")
    if how == "stage":
        git(repo, "add", "-A")
    source = world.resolve(str(repo))
    assert dict(source.origin)["dirty"] == "yes"
    assert "differs from its HEAD" in heard.text
    out = world.root / "out"
    world.store.add_worktree(out, source.commit)
    names = {str(p.relative_to(repo)) for p in (repo / "mm").iterdir()}
    assert {str(p.relative_to(out)) for p in (out / "mm").iterdir()} == names


def test_a_folder_that_is_no_kernel(world: World) -> None:
    (world.root / "x").mkdir()
    with pytest.raises(UserError, match="Makefile and Kconfig"):
        world.resolve(str(world.root / "x"))
    with pytest.raises(UserError, match="not a folder"):
        world.resolve("./nothing")


# Tarballs


def pack(world: World, suffix: str = "xz") -> Path:
    tree = kernel(world.root / "tree")
    folder = world.root / "www"
    folder.mkdir(exist_ok=True)
    path = folder / f"linux-6.19.tar.{suffix}"
    with tarfile.open(path, cast(Any, f"w:{suffix}")) as tar:
        tar.add(tree, arcname="linux-6.19")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_sums(path: Path) -> None:
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{'0' * 64}  other.tar.xz\n"
    sums = path.parent / "sha256sums.asc"
    sums.write_text(f"{text}{sha256(path)}  {path.name}\n-----BEGIN PGP SIGNATURE-----\n")


class Quiet(http.server.SimpleHTTPRequestHandler):
    seen: list[str] = []  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        self.seen.append(self.path)


@pytest.fixture
def site(world: World) -> Iterator[str]:
    Quiet.seen.clear()
    handler = functools.partial(Quiet, directory=str(world.root / "www"))
    with loopback.serving(handler) as port:
        yield f"http://127.0.0.1:{port}"


def test_tarball_by_url_with_kernel_orgs_list(world: World, site: str) -> None:
    path = pack(world)
    write_sums(path)
    source = world.resolve(f"{site}/{path.name}")
    assert source.kind == "tar"
    assert source.name == f"tar:{site}/{path.name}#sha256={sha256(path)}"
    assert source.tree == world.resolve(str(kernel(world.root / "plain"))).tree
    assert "sha256sums.asc" in dict(source.origin)["verified_by"]
    before = len(Quiet.seen)
    assert world.resolve(source.name).commit == source.commit
    assert len(Quiet.seen) == before  # the name with the hash needs no network


def test_tarball_that_nothing_vouches_for(world: World, site: str) -> None:
    path = pack(world, "gz")
    for name in (f"{site}/{path.name}", str(path)):
        with pytest.raises(UserError) as caught:
            world.resolve(name)
        for way in ("#sha256=", "sha256sums.asc", "linux-6.19.tar.sign", "KERNEL_KEYRING"):
            assert way in str(caught.value)
    assert f"/{path.name}" not in Quiet.seen  # not even downloaded
    assert world.resolve(f"{path}#sha256={sha256(path)}").version == "6.19.0"
