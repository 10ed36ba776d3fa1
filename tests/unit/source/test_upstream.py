# SPDX-License-Identifier: GPL-2.0-only
"""Tags and commits that are not at hand, from servers that have kernel.org's paths."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import context as cli_context
from harness.experiment.settings import Host
from harness.series import basis, series
from harness.series.mail import mbox
from harness.source import git, sources, sparing, upstream
from harness.source.git import run_git
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.source.upstream import Elsewhere
from harness.util.errors import InfraError, UserError
from harness.util.paths import REPO
from tests.fakes import inbox, kernelorg, loopback, tree

TREES = REPO / "kernels" / "trees.yaml"
MANY = {f"drivers/file{number}.c": f"int f{number};\n" for number in range(40)}


class World:
    """kernel.org in small, and a store.

    v6.12 is in stable and mainline, v6.13-rc1 in mainline only, mm-unstable in mm; of two commits
    on no branch, ``rebased`` is in mm and ``older`` in next.
    """

    def __init__(self, root: Path, made: Path) -> None:
        self.root = root
        shutil.copytree(made, root, dirs_exist_ok=True)
        self.repo = root / "linux"
        self.store = GitStore(root / "store.git")
        self.store.ensure()

    @staticmethod
    def make(root: Path) -> None:
        """The repository and the servers' trees."""
        repo = inbox.author(root / "linux", tree.FILES | MANY)
        inbox.git(repo, "tag", "v6.13-rc1", "main~1")
        for number, name in enumerate(("mm-unstable", "rebased", "older")):
            inbox.git(repo, "checkout", "-q", "-b", name, "v6.12")
            (repo / "mm/swap.c").write_text(f"int mm{number};\n")
            inbox.git(repo, "commit", "-q", "-a", "-m", name)
        inbox.git(repo, "checkout", "-q", "main")
        kernelorg.publish(
            root / "server",
            repo,
            {
                "stable": ["refs/tags/v6.12"],
                "mainline": ["refs/tags/v6.12", "refs/tags/v6.13-rc1"],
                "mm": ["refs/heads/mm-unstable", "refs/heads/rebased~"],
                "next": ["refs/heads/older~"],
            },
        )

    def id(self, rev: str) -> str:
        return inbox.git(self.repo, "rev-parse", rev).strip()

    def get(
        self, rev: str, server: str, *, clone: Path | None = None, kernel_git: str | None = None
    ) -> Source:
        elsewhere = Elsewhere(str(clone) if clone else None, upstream.read(TREES, mirror=server))
        origins = Origins(self.root / "downloads", kernel_git, elsewhere=elsewhere)
        return sources.resolve(rev, store=self.store, origins=origins)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kernel.org")
    World.make(root)
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return World(tmp_path, made)


@contextmanager
def served(kind: str, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    root = world.root / "server"
    if kind == "https":
        certificate = world.root / "server.pem"
        trusted = (*git._SETTINGS, f"http.sslCAInfo={certificate}")
        monkeypatch.setattr(git, "_SETTINGS", trusted)
        with kernelorg.https(root, certificate) as url:
            yield url
    else:
        with {"git": kernelorg.daemon, "dumb": kernelorg.dumb}[kind](root) as url:
            yield url


SMART = ["git", "https"]


def test_the_trees_are_those_of_kernel_org() -> None:
    found = {one.name: one.url for one in upstream.read(TREES)}
    wanted = {name: f"https://git.kernel.org/{path}" for name, path in kernelorg.PATHS.items()}
    assert list(found.items()) == list(wanted.items()), "also in that order"


@pytest.mark.parametrize(
    ("rev", "asked"),
    [
        ("v6.19", "stable mainline"),
        ("v6.19-rc3", "stable mainline"),
        ("linux-6.12.y", "stable"),
        ("mm-unstable", "mm"),
        ("next-20260910", "next"),
        ("a" * 40, "stable mainline mm next"),
        ("abcdef0", ""),
        ("v6.19-mine", ""),
        ("master", ""),
    ],
)
def test_a_tree_is_asked_for_what_it_may_have(rev: str, asked: str) -> None:
    assert [one.name for one in upstream.read(TREES) if one.may_have(rev)] == asked.split()


@pytest.mark.parametrize("kind", [*SMART, "dumb"])
def test_a_tag_is_fetched_from_the_first_tree_that_has_it(
    kind: str, world: World, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    with served(kind, world, monkeypatch) as server:
        one = world.get("v6.12", server)
        other = world.get("v6.13-rc1", server)
    stable, mainline = (f"{server}/{kernelorg.PATHS[name]}" for name in ("stable", "mainline"))
    assert (one.name, one.commit) == ("git:v6.12", world.id("v6.12"))
    assert dict(one.origin) == {
        "repository": stable, "upstream": "stable", "revision": "v6.12", "commit": one.commit
    }  # fmt: skip
    assert (other.name, other.commit) == ("git:v6.13-rc1", world.id("v6.13-rc1"))
    assert dict(other.origin)["repository"] == mainline
    said = [text for text in heard.messages if text.startswith("looking")]
    assert said == [
        f"looking for v6.12 in stable, {stable}",
        f"looking for v6.13-rc1 in stable, {stable}",
        f"looking for v6.13-rc1 in mainline, {mainline}",
    ]
    # Nobody is there any more: it is in the store.
    assert world.get("v6.12", server) == one
    if kind != "dumb":
        known = run_git(["rev-list", "--count", other.commit], cwd=world.store.path)
        assert known.stdout.strip() == b"1", "without the history"


@pytest.mark.parametrize("kind", SMART)
@pytest.mark.parametrize(("name", "where"), [("rebased", "mm"), ("older", "next")])
def test_a_base_commit_that_is_on_no_branch_any_more_is_found(
    kind: str, name: str, where: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.id(name)
    with served(kind, world, monkeypatch) as server:
        made = world.get(commit, server)
        assert (made.name, made.commit) == (f"git:{commit}", commit)
        assert dict(made.origin)["upstream"] == where
        branch = world.get("mm-unstable", server)
        assert branch.name == f"git:{world.id('mm-unstable')}", "a branch moves"
        assert world.get(commit, server) == made
        with pytest.raises(UserError, match=r"^1{40} .*stable, mainline, mm, next lack it, too: "):
            world.get("1" * 40, server)


def blobs(store: GitStore) -> int:
    """The files in the packs of a store, equal ones in two packs counted twice."""
    count = 0
    for pack in (store.path / "objects" / "pack").glob("*.idx"):
        listed = run_git(["verify-pack", "-v", str(pack)], cwd=store.path).stdout
        count += sum(line.split()[1:2] == [b"blob"] for line in listed.splitlines())
    return count


@pytest.mark.parametrize("kind", SMART)
def test_only_files_that_the_store_lacks_are_fetched(
    kind: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(kind, world, monkeypatch) as server:
        world.get("v6.12", server)
        before = blobs(world.store)
        made = world.get("mm-unstable", server)
    assert blobs(world.store) == before + 1
    env = {"GIT_DIR": str(world.store.path)}
    listed = run_git(["rev-list", "--objects", "--missing=print", made.commit], env=env)
    assert b"?" not in listed.stdout and listed.returncode == 0
    assert run_git(["fsck", "--full"], env=env).returncode == 0
    world.store.checkout(world.root / "out", made.commit)
    assert (world.root / "out/mm/swap.c").read_text() == "int mm0;\n"
    assert (world.root / "out/drivers/file7.c").read_text() == "int f7;\n"
    config = (world.store.path / "config").read_text()
    assert "promisor" not in config and not list(world.store.path.glob("fetch-*"))


def test_a_fetch_that_dies_in_between_leaves_no_commit_without_its_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Path) -> None:
        raise KeyboardInterrupt

    with served("git", world, monkeypatch) as server:
        world.get("v6.12", server)
        with monkeypatch.context() as patch:
            patch.setattr(sparing, "_move", die)
            with pytest.raises(KeyboardInterrupt):
                world.get("mm-unstable", server)
        assert world.store.commit_of(world.id("mm-unstable")) is None
        assert world.get("mm-unstable", server).commit == world.id("mm-unstable")


def test_a_server_that_leaves_out_nothing_gives_the_whole_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in kernelorg.PATHS.values():
        inbox.git(world.root / "server" / path, "config", "uploadpack.allowFilter", "false")
    with served("git", world, monkeypatch) as server:
        world.get("v6.12", server)
        made = world.get("mm-unstable", server)
    assert made.commit == world.id("mm-unstable")
    world.store.checkout(world.root / "out", made.commit)


# No network


def closed() -> str:
    """A server that does not listen any more."""
    with loopback.listener() as one:
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_without_a_network_one_sentence_names_the_ways_out(world: World) -> None:
    server = closed()
    with pytest.raises(InfraError) as caught:
        world.get("v6.19", server)
    said = str(caught.value)
    assert said.startswith(f"v6.19 is in no clone at hand and cannot be fetched ({server}: Conn")
    assert "\n" not in said
    for way in ("KERNEL_GIT=", "KERNEL_MIRROR=", "BASE=debian/X.Y"):
        assert way in said


def test_a_server_that_does_not_answer_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_PATIENCE", 0.2)

    def nobody(*_: object, timeout: float) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", nobody)
    with pytest.raises(InfraError, match=r"\(https://git\.kernel\.org: no answer in 0 s\)"):
        world.get("v6.19", "https://git.kernel.org")


def test_what_no_tree_may_have_asks_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", None)
    for name in ("mian", "abcdef0"):
        with pytest.raises(
            UserError, match=rf"^{name} is neither a folder here nor a .*KERNEL_GIT"
        ):
            world.get(name, closed())


def test_a_tree_that_the_server_does_not_have_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.root / "server" / kernelorg.PATHS["stable"]).rename(world.root / "gone")
    with served("git", world, monkeypatch) as server:
        assert dict(world.get("v6.12", server).origin)["upstream"] == "mainline"


# What is at hand comes first


def test_kernel_git_comes_first_then_the_clone_where_the_user_stands(
    world: World, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    for name, tag in (("mine", "v6.20"), ("here", "v6.21")):
        clone = world.root / name
        inbox.git(world.root, "clone", "-q", "--no-tags", str(world.repo), name)
        inbox.git(clone, "tag", tag)
    mine, here = world.root / "mine", world.root / "here"
    with served("git", world, monkeypatch) as server:
        made = world.get("v6.20", closed(), kernel_git=str(mine), clone=here)
        assert dict(made.origin)["repository"] == str(mine)
        made = world.get("v6.21", closed(), kernel_git=str(mine), clone=here)
        assert dict(made.origin)["repository"] == str(here)
        made = world.get("v6.13-rc1", server, kernel_git=str(mine), clone=here)
        assert dict(made.origin)["upstream"] == "mainline"
    said = [text for text in heard.messages if text.startswith("looking for v6.13")]
    assert [text.split(" in ")[1].split(",")[0] for text in said] == [
        str(mine), str(here), "stable", "mainline"
    ]  # fmt: skip


def test_a_clone_that_lacks_files_is_passed_over_unless_it_was_named(
    world: World, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    clone = world.root / "partial"
    inbox.git(world.root, "clone", "-q", "--no-hardlinks", str(world.repo), "partial")
    for pack in (clone / ".git/objects/pack").glob("*.pack"):
        data = pack.read_bytes()
        shutil.rmtree(pack.parent)
        inbox.git(clone, "unpack-objects", "-q", stdin=data)
    blob = world.id("v6.12:drivers/file3.c")
    (clone / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with served("git", world, monkeypatch) as server:
        made = world.get("v6.12", server, clone=clone)
        assert dict(made.origin)["upstream"] == "stable"
        assert "lacks the content of 1 files" in heard.text
        with pytest.raises(UserError, match=r"lacks the content of 1 files.*KERNEL_GIT_MISSING=ok"):
            world.get("v6.13-rc1", server, kernel_git=str(clone))


def test_the_nearest_tags_are_those_of_kernel_git(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        served("git", world, monkeypatch) as server,
        pytest.raises(UserError, match=r"nearest tags: v6\.12.*stable, mainline lack it, too$"),
    ):
        world.get("v6.14", server, kernel_git=str(world.repo))


def test_a_clone_is_found_from_its_folders(tmp_path: Path) -> None:
    clone = inbox.author(tmp_path / "linux", tree.FILES)
    for folder in (clone, clone / "mm"):
        assert upstream.clone_around(folder) == str(clone)
    assert upstream.clone_around(tmp_path) is None


def test_the_command_line_knows_where_its_caller_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = inbox.author(tmp_path / "linux", tree.FILES)
    monkeypatch.setenv("CALLED_FROM", str(clone / "mm"))  # of make
    assert cli_context.context(Host(), tmp_path).elsewhere.clone == str(clone)
    monkeypatch.delenv("CALLED_FROM")
    monkeypatch.chdir(clone)
    found = cli_context.context(Host(), tmp_path).elsewhere
    assert found.clone == str(clone)
    assert [one.server for one in found.upstreams] == [os.environ["KERNEL_MIRROR"]] * 4
    monkeypatch.setenv("KERNEL_MIRROR", "kernel.example")
    with pytest.raises(
        UserError, match=r"^KERNEL_MIRROR is 'kernel\.example', which is not the URL"
    ):
        cli_context.context(Host(), tmp_path)


# BASE=auto


def test_the_base_commit_of_a_series_is_fetched(
    world: World, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    path = world.root / "t.mbox"
    path.write_bytes(mbox.join(inbox.mailed(world.repo, base=False)))
    commit = world.id("rebased")
    loaded = replace(series.load(str(path), registry=world.root), base_commit_hint=commit)
    with served("git", world, monkeypatch) as server:
        elsewhere = Elsewhere(None, upstream.read(TREES, mirror=server))
        found = basis.resolve(loaded, store=world.store, kernel_git=None, elsewhere=elsewhere)
        assert found == (f"git:{commit}", "base-commit")
        assert dict(world.get(found[0], server).origin)["upstream"] == "mm"
        nowhere = replace(loaded, base_commit_hint="1" * 40)
        with pytest.raises(
            UserError, match=r"KERNEL_GIT nor in kernel\.org's stable, mainline, mm,"
        ):
            basis.resolve(nowhere, store=world.store, kernel_git=None, elsewhere=elsewhere)
    # Nobody can be asked: the files decide, where they can.
    elsewhere = Elsewhere(None, upstream.read(TREES, mirror=closed()))
    away = replace(loaded, base_commit_hint="2" * 40)
    with pytest.raises(InfraError, match=r"^2{40} is in no clone at hand.*KERNEL_MIRROR="):
        basis.resolve(away, store=world.store, kernel_git=None, elsewhere=elsewhere)
    elsewhere = replace(elsewhere, clone=str(world.repo))
    _, by = basis.resolve(away, store=world.store, kernel_git=None, elsewhere=elsewhere)
    assert by == "blobs"
    assert "cannot be fetched" in heard.text
