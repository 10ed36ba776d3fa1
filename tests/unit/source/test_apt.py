# SPDX-License-Identifier: GPL-2.0-only
"""The private apt: what is read off the host, and that nothing unverified gets through."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.source import apt
from harness.source.apt import (
    AptSource,
    Archives,
    Candidate,
    compare_versions,
    find_archives,
    parse_madison,
    parse_targets,
    sources_text,
)
from harness.util.command import Completed
from harness.util.errors import InfraError, UserError

TARGETS = """\
https://packages.vendor.example/node/\tnodistro\tmain\tVendor
http://mirror.example/debian/\tbookworm\tmain\tDebian
http://mirror.example/debian/\tbookworm-updates\tmain\tDebian
http://mirror.example/debian-security/\tbookworm-security\tmain\tDebian
"""
MADISON = """\
linux-source-6.12 | 6.12.9-1~deb12u1 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
linux-source-6.12 | 6.12.10-1 | http://mirror.example/debian trixie/main amd64 Packages
linux-source-6.12 | 6.12.10-1 | http://mirror.example/debian-security trixie-security/main amd64 Packages
linux-source-6.12 | 6.12.10-1 | http://mirror.example/debian trixie/main Sources
"""  # noqa: E501
CONTENT = b"package"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "linux-source-6.12"


class FakeApt:
    """Stands in for apt-get and apt-cache; counts what was asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.online = True
        self.madison = MADISON
        self.content = CONTENT

    def __call__(self, argv: Sequence[str], cwd: Path | None) -> Completed:
        words = [w for w in argv[1:] if not w.startswith("-")]
        if argv[1] == "-c":
            words = words[1:]
        verb = "uris" if "--print-uris" in argv else words[0]
        self.calls.append(verb)
        status, out, err = 0, "", ""
        if verb == "indextargets":
            out = TARGETS
        elif verb == "update" and not self.online:
            status, err = 100, "W: something\nE: Could not resolve 'mirror.example'\n"
        elif verb == "madison":
            out = self.madison
        elif verb == "pkgnames":
            out = "linux-source-6.12\nlinux-source-6.1\n"
        elif verb == "uris":
            out = f"'http://mirror.example/p/{NAME}_1_all.deb' {NAME}_1_all.deb 7 SHA256:{SHA256}\n"
        elif verb == "download":
            assert cwd is not None
            (cwd / f"{NAME}_1_all.deb").write_bytes(self.content)
        return Completed(tuple(argv), status, out, err)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApt:
    (tmp_path / "keyring.gpg").write_bytes(b"")
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "keyring.gpg")
    return FakeApt()


def source(fake: FakeApt, tmp_path: Path) -> AptSource:
    return AptSource(tmp_path / "downloads", runner=fake)


def test_archives_are_found_by_their_origin() -> None:
    found = find_archives(parse_targets(TARGETS))
    assert found == Archives(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )


def test_without_an_origin_the_releases_name_decides() -> None:
    text = "\n".join(line.rsplit("\t", 1)[0] + "\t" for line in TARGETS.splitlines())
    assert find_archives(parse_targets(text)) == find_archives(parse_targets(TARGETS))


def test_a_mirror_overrides_the_main_archive_only() -> None:
    found = find_archives(parse_targets(TARGETS), mirror="https://other.example/debian/")
    assert found.main == "https://other.example/debian"
    assert found.security == "http://mirror.example/debian-security"
    assert find_archives((), mirror="https://other.example/debian").security is None


def test_no_debian_archive_says_what_to_set() -> None:
    vendor = parse_targets(TARGETS.splitlines()[0])
    with pytest.raises(UserError, match="DEBIAN_MIRROR"):
        find_archives(vendor)


@pytest.mark.parametrize("mirror", ["other.example", "https://a b", "https://a\nSuites: x", ""])
def test_a_mirror_that_is_no_url_is_refused(mirror: str) -> None:
    with pytest.raises(UserError, match="DEBIAN_MIRROR"):
        find_archives(parse_targets(TARGETS), mirror=mirror)


def test_sources_have_no_security_stanza_without_an_archive() -> None:
    text = sources_text(Archives("http://mirror.example/debian", None))
    assert text.count("Types: deb\n") == text.count("Signed-By: ") == 1
    assert "security" not in text
    both = sources_text(find_archives(parse_targets(TARGETS)))
    assert both.count("\n\nTypes: deb\n") == 1
    assert "trusted" not in both.lower()


def test_madison_newest_first_each_once() -> None:
    assert parse_madison(MADISON) == (
        Candidate(NAME, "6.12.10-1", "trixie"),
        Candidate(NAME, "6.12.9-1~deb12u1", "bookworm-security"),
    )


# As dpkg --compare-versions has them, oldest first.
ORDERED = [
    "0~~", "0~", "0", "0-1", "1.0~rc1", "1.0~rc1-1", "1.0", "1.0-1~bpo13+1", "1.0-1", "1.0-1+b1",
    "1.0a", "1.0+x", "1.0.1", "1.2", "1.10", "7.3.4-1~bpo13+1", "7.3.4-1", "1:0.1",
]  # fmt: skip


def test_order_of_versions() -> None:
    for place, older in enumerate(ORDERED):
        assert compare_versions(older, older) == 0
        for newer in ORDERED[place + 1 :]:
            assert compare_versions(older, newer) < 0, (older, newer)
            assert compare_versions(newer, older) > 0, (older, newer)


@given(*[st.from_regex(r"\A[0-9][0-9a-c.+~]{0,5}(-[0-9a-c.+~]{1,4})?\Z")] * 2)
def test_order_is_antisymmetric(a: str, b: str) -> None:
    assert compare_versions(a, b) == -compare_versions(b, a)


@pytest.mark.skipif(not Path("/usr/bin/dpkg").exists(), reason="needs dpkg")
def test_order_is_dpkgs() -> None:
    for a, b in pairwise(ORDERED):
        assert (
            subprocess.run(["dpkg", "--compare-versions", a, "lt", b], check=False).returncode == 0
        )


def test_lists_are_fetched_once_a_day(fake: FakeApt, tmp_path: Path) -> None:
    assert len(source(fake, tmp_path).candidates(NAME)) == 2
    assert len(source(fake, tmp_path).candidates(NAME)) == 2
    assert fake.calls.count("update") == 1
    stamp = tmp_path / "downloads" / "apt" / "refreshed"
    old = stamp.stat().st_mtime - 25 * 3600
    os.utime(stamp, (old, old))
    source(fake, tmp_path).candidates(NAME)
    assert fake.calls.count("update") == 2


def test_an_unknown_package_fetches_the_lists_anew(fake: FakeApt, tmp_path: Path) -> None:
    source(fake, tmp_path).candidates(NAME)
    fake.madison = ""
    again = source(fake, tmp_path)
    assert again.candidates("linux-source-9.9") == ()
    assert again.candidates("linux-source-9.9") == ()
    assert fake.calls.count("update") == 2


def test_offline_the_old_lists_serve_with_a_warning(
    fake: FakeApt, tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    fake.online = False
    with pytest.raises(InfraError, match="Could not resolve"):
        source(fake, tmp_path).candidates(NAME)
    fake.online = True
    source(fake, tmp_path).candidates(NAME)
    os.utime(tmp_path / "downloads" / "apt" / "refreshed", (0, 0))
    fake.online = False
    heard.clear()
    assert source(fake, tmp_path).candidates(NAME)
    assert [one.levelname for one in heard.records][-1] == "WARNING"
    assert "using old package lists" in heard.text


def test_a_download_is_checked_and_kept(fake: FakeApt, tmp_path: Path) -> None:
    deb = source(fake, tmp_path).download(NAME, "1")
    assert (deb.sha256, deb.path.read_bytes()) == (SHA256, CONTENT)
    assert source(fake, tmp_path).download(NAME, "1") == deb
    assert fake.calls.count("download") == 1
    deb.path.write_bytes(b"damaged")
    assert source(fake, tmp_path).download(NAME, "1") == deb
    assert deb.path.read_bytes() == CONTENT


def test_a_wrong_hash_is_never_kept(fake: FakeApt, tmp_path: Path) -> None:
    fake.content = b"forged"
    with pytest.raises(InfraError, match=SHA256):
        source(fake, tmp_path).download(NAME, "1")
    assert not list((tmp_path / "downloads" / "apt" / "archives").iterdir())


def test_names_of_packages_cannot_be_options(fake: FakeApt, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        source(fake, tmp_path).candidates("-o=Debug=1")


def test_nothing_switches_off_the_signature_checks(fake: FakeApt, tmp_path: Path) -> None:
    source(fake, tmp_path).candidates(NAME)
    root = tmp_path / "downloads" / "apt"
    lines = (root / "apt.conf").read_text().splitlines()
    risky = [line for line in lines if "Insecure" in line or "Unauthenticated" in line]
    assert len(risky) == 3
    assert all(line.endswith('"false";') for line in risky)
    assert f'Dir::Etc::sourcelist "{root}/debian.sources";' in lines
    assert 'Dir::Etc::sourceparts "-";' in lines
