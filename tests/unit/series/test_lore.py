# SPDX-License-Identifier: GPL-2.0-only
"""A mailed series fetched by message-id: from a mirror, from a server, in any revision."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build import kbuild
from harness.build.kbuild import BuildRequest, KernelBuilder
from harness.build.kconfig import Option
from harness.series import series
from harness.series.mail import lore, mbox
from harness.series.mail.archive import Archive, repositories
from harness.series.mail.lore import Address, MailSource
from harness.series.model import Series
from harness.source.gitstore import GitStore
from harness.util import sandbox
from harness.util.errors import InfraError, UserError
from harness.util.paths import Cache
from tests.fakes import inbox, tree

COVER = "1-0@mail.example"
# Nobody listens there: what asks it anyway fails at once.
NOWHERE = "http://127.0.0.1:9/list"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return inbox.author(tmp_path / "linux", tree.FILES)


@pytest.fixture
def mails(repo: Path) -> list[bytes]:
    """Two revisions, the second longer, and what a thread has besides."""
    first = inbox.mailed(repo)
    praise = inbox.answer(
        "1-1@mail.example", "Re: [PATCH v1 1/2] x", "Reviewed-by: R <r@mail.example>"
    )
    fixup = "Try this.\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b"
    (repo / "Kconfig").write_text((repo / "Kconfig").read_text() + "\n# more\n")
    inbox.git(repo, "commit", "-q", "-a", "-m", "Kconfig: say more")
    second = inbox.mailed(repo, 2)
    again = first[0].replace(b"<1-0@mail.example>", b"<1-0again@mail.example>")
    others = [praise, inbox.answer("1-2@mail.example", "Re: [PATCH v1 2/2] y", fixup)]
    others.append(inbox.answer(COVER, "[PATCH] a fix", fixup, sender=inbox.DEV))
    return [
        *first,
        *others,
        again.replace(b"\n\n", b"\nIn-Reply-To: <1-1@mail.example>\n\n", 1),
        *second,
    ]


@pytest.fixture
def mail_source(tmp_path: Path) -> MailSource:
    return MailSource(cache=tmp_path / "mails", server=NOWHERE)


@pytest.fixture
def mirrored(tmp_path: Path, mails: list[bytes], mail_source: MailSource) -> MailSource:
    inbox.archive(tmp_path / "list" / "git" / "0.git", mails[:4])
    inbox.archive(tmp_path / "list" / "git" / "1.git", mails[4:])
    return replace(mail_source, mirrors=(tmp_path / "list",))


def load(name: str, mail_source: MailSource, folder: Path) -> Series:
    (folder / "registry").mkdir(exist_ok=True)
    return series.load(name, registry=folder / "registry", mails=mail_source)


# Names


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("a@b", Address("a@b", None, None)),
        ("<a@b>", Address("a@b", None, None)),
        ("mail:a@b@latest", Address("a@b", None, "latest")),
        ("a@v3", Address("a@v3", None, None)),
        ("a@b@v12", Address("a@b", None, "v12")),
        ("https://h/all/a%2Bx@b/T/#u", Address("a+x@b", "https://h/all", None)),
        ("https://h/all/a@b/@v2", Address("a@b", "https://h/all", "v2")),
        ("https://lore.kernel.org/r/a@b", Address("a@b", lore.SERVER, None)),
        ("https://patch.msgid.link/a@b", Address("a@b", lore.SERVER, None)),
        ("https://h/all/a%2Fb@c/T/", Address("a/b@c", "https://h/all", None)),
        ("https://h/all/a%40b/", Address("a@b", "https://h/all", None)),
        ("mail:a/b@c@v2", Address("a/b@c", None, "v2")),
    ],
)
def test_names_of_mails(name: str, address: Address) -> None:
    assert lore.parse(name) == address


@pytest.mark.parametrize(
    "name",
    ["-o@b", "a b@c", "a@b@c", "a/b@c", "mail:x/../a@b", "https://h/all/", "../a@b", "plain"],
)
def test_what_is_no_name_of_a_mail(name: str) -> None:
    assert lore.parse(name) is None


# A mirror


@pytest.mark.parametrize("asked", [COVER, "1-2@mail.example", "1-0again@mail.example"])
def test_any_mail_of_a_posting_finds_it(
    asked: str, mirrored: MailSource, repo: Path, tmp_path: Path
) -> None:
    found = load(asked, mirrored, tmp_path)
    assert [patch.subject for patch in found.patches] == [
        "mm/swap.c: say more", "mm/page.c: say more"
    ]  # fmt: skip
    assert (found.title, found.locator) == ("More", f"mail:{COVER}")
    assert found.base_commit_hint == inbox.git(repo, "rev-parse", "v6.12").strip()
    assert "the cover letter was posted 2 times, the first one counts" in found.notes
    assert "left out another patch of the thread: a fix" in found.notes


def test_an_answer_finds_the_patch_that_it_answers(
    mirrored: MailSource, mails: list[bytes], tmp_path: Path
) -> None:
    from_answer = load(mbox.read(mails[3], name="").message_id or "", mirrored, tmp_path)
    assert from_answer.digest == load(COVER, mirrored, tmp_path).digest


def test_other_revisions(mirrored: MailSource, tmp_path: Path) -> None:
    newest = load(f"{COVER}@latest", mirrored, tmp_path)
    assert (newest.locator, len(newest.patches)) == ("mail:2-0@mail.example", 3)
    assert load("2-3@mail.example", mirrored, tmp_path).digest == newest.digest
    assert (
        load("2-3@mail.example@v1", mirrored, tmp_path).digest
        == load(COVER, mirrored, tmp_path).digest
    )
    with pytest.raises(UserError, match=r"no revision v9 of 'More' was found \(there is v1, v2\)"):
        load(f"{COVER}@v9", mirrored, tmp_path)


def test_the_index_grows_with_the_mirror(mirrored: MailSource, repo: Path, tmp_path: Path) -> None:
    archive = Archive(mirrored.mirrors, index=mirrored.cache / "index")
    assert (archive.refresh(), archive.refresh()) == (11, 0)
    more = inbox.mailed(repo, 3)
    inbox.archive(tmp_path / "list" / "git" / "1.git", more)
    assert archive.refresh() == len(more)
    assert load(f"{COVER}@latest", mirrored, tmp_path).locator == "mail:3-0@mail.example"
    # A purge rewrites history: what is gone there is gone here.
    shutil.rmtree(tmp_path / "list" / "git" / "1.git")
    inbox.archive(tmp_path / "list" / "git" / "1.git", more)
    assert archive.refresh() == len(more)
    assert archive.mail("2-0@mail.example") is None


def test_mirrors_are_clones_or_inboxes_and_nothing_else(
    mirrored: MailSource, tmp_path: Path
) -> None:
    epochs = repositories(tmp_path / "list")
    assert [path.name for path in epochs] == ["0.git", "1.git"]
    inbox.git(tmp_path, "clone", "-q", str(epochs[0]), "clone")
    assert repositories(tmp_path / "clone") == (tmp_path / "clone",)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        with pytest.raises(UserError, match="MIRROR names"):
            repositories(tmp_path / name)


def test_a_missing_patch_is_named(
    mails: list[bytes], mail_source: MailSource, tmp_path: Path
) -> None:
    inbox.archive(tmp_path / "l.git", [mails[0], mails[2]])
    with pytest.raises(UserError, match=r"posting <1-0@mail\.example> lacks patch 1 of 2"):
        load(COVER, replace(mail_source, mirrors=(tmp_path / "l.git",)), tmp_path)


# A server, through b4


def test_b4_gives_what_the_mirror_gives(
    mirrored: MailSource,
    mails: list[bytes],
    mail_source: MailSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    heard: pytest.LogCaptureFixture,
) -> None:
    config = Path(os.environ["HOME"]) / ".gitconfig"
    config.write_text("[b4]\n midmask = http://127.0.0.1:9/wrong/%s\n")
    with inbox.served(mails) as (server, asked):
        served = replace(mail_source, server=server)
        for name in (COVER, f"{COVER}@latest", f"{server}/1-1@mail.example/T/"):
            before = len(asked)
            found = load(name, served, tmp_path)
            assert found.digest == load(name, mirrored, tmp_path).digest
            assert dict(found.origin)["server"] == server
            assert len(asked) > before
        count = len(asked)
        assert load(COVER, served, tmp_path).locator == f"mail:{COVER}"
        assert len(asked) == count, "what was fetched is kept"
        with pytest.raises(UserError, match="has no mail <nobody@x>"):
            load("nobody@x", served, tmp_path)
    # The server is gone: what is kept serves, and is said to be old.
    assert load(f"{COVER}@latest", served, tmp_path).locator == "mail:2-0@mail.example"
    assert "using what was fetched before" in heard.text
    with pytest.raises(InfraError, match=r"could not fetch <2-0@mail\.example>") as caught:
        load("2-0@mail.example", served, tmp_path)
    said = str(caught.value)
    assert f"{server} cannot be reached (Connection refused); set MIRROR=" in said
    assert "or LORE= to another server, or save the thread and give PATCH=FILE.mbox" in said
    assert "\n" not in said
    assert not list(config.parent.glob(".cache*")), "b4 has a home of its own"


def test_a_damaged_copy_is_fetched_again(
    mails: list[bytes], mail_source: MailSource, tmp_path: Path
) -> None:
    with inbox.served(mails) as (server, asked):
        served = replace(mail_source, server=server)
        good = load(COVER, served, tmp_path)
        (kept,) = mail_source.cache.glob("*.mbox")
        kept.write_bytes(kept.read_bytes().replace(b"say more", b"say less"))
        count = len(asked)
        assert load(COVER, served, tmp_path).digest == good.digest
        assert len(asked) > count


def test_trailers_change_messages_and_no_patch(mirrored: MailSource, tmp_path: Path) -> None:
    plain = load(COVER, mirrored, tmp_path)
    dressed = load(COVER, replace(mirrored, trailers=True), tmp_path)
    assert b"Reviewed-by: R <r@mail.example>" in dressed.mbox
    assert b"Reviewed-by: R <r@mail.example>" not in plain.mbox
    assert [p.patch_id for p in plain.patches] == [p.patch_id for p in dressed.patches]
    assert dict(dressed.origin)["trailers"] == "yes"


@pytest.mark.skipif(
    shutil.which("public-inbox-httpd") is None, reason="public-inbox is not installed"
)
def test_public_inbox_serves_a_series_that_is_applied_and_built(
    mails: list[bytes],
    mail_source: MailSource,
    repo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = inbox.public_inbox(tmp_path / "pi", mails)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["public-inbox-httpd", "-W0", "-l", f"http://127.0.0.1:{port}"]
    with subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            served = replace(mail_source, server=f"http://127.0.0.1:{port}/list")
            found = load(f"{COVER}@latest", served, tmp_path)
        finally:
            server.terminate()
    assert found.locator == "mail:2-0@mail.example"
    monkeypatch.setattr(kbuild, "SPACE", 1)
    cache, by = Cache(tmp_path / "cache"), sandbox.OFF
    store = GitStore(cache.git)
    store.ensure()
    base = store.fetch(str(repo), "v6.12")
    made = series.apply(found, store=store, base_commit=base, scratch=cache.build, sandbox=by)
    assert made.tree == inbox.git(repo, "rev-parse", "main^{tree}").strip()
    builder = KernelBuilder(cache=cache, store=store, jobs=1, sandbox=by)
    options = (Option("CONFIG_BLOCK", "y", "test", "toy.config:1"),)
    kernel = builder.build(BuildRequest("mailed", made.commit, made.tree, "6.12.3", options, "w"))
    assert b"more_swap" in (kernel.path / "System.map").read_bytes()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("public-inbox-httpd did not come up")
