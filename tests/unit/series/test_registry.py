# SPDX-License-Identifier: GPL-2.0-only
"""Entries of the registry: revisions by name, mistakes named."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.series import locator, series
from harness.series.registry import read
from harness.util.errors import UserError
from harness.util.paths import REPO


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path


MAILED = """\
title: Known by mail
revisions:
  v3: {message_id: 1-c@mail.example, base: 05f7e89ab9731565d8a62e3b5d1ec206485eeb0b}
  v10: {message_id: 2-c@mail.example, date: "2026-05-05"}
"""


def test_revisions_of_the_registry_have_names(registry: Path) -> None:
    (registry / "vs.yaml").write_text(MAILED)
    entry = read("vs", registry=registry)
    assert [one.name for one in entry.revisions] == ["v3", "v10"]
    for name, meant in (
        ("vs", "vs-v10"), ("vs-v3", "vs-v3"), ("vs@v3", "vs-v3"), ("registry:vs-v10", "vs-v10"),
        ("vs@latest", "vs-v10"),
    ):  # fmt: skip
        place = locator.find(name, registry=registry)
        assert isinstance(place, locator.Listed)
        assert place.name == meant
    with pytest.raises(UserError, match=r"no revision v4 of vs \(known: v3, v10\)"):
        locator.find("vs-v4", registry=registry)
    with pytest.raises(UserError, match="did you mean 'vs'"):
        locator.find("vss", registry=registry)


def test_a_name_of_its_own_comes_before_a_revision(registry: Path) -> None:
    (registry / "vs.yaml").write_text(MAILED)
    (registry / "vs-v3.yaml").write_text("title: Not the revision\nfolder: x\n")
    place = locator.find("vs-v3", registry=registry)
    assert isinstance(place, locator.Listed)
    assert place.entry.name == "vs-v3"


def test_the_shipped_revisions_are_whole() -> None:
    entry = read("vswap", registry=REPO / "kernels" / "series")
    assert [one.name for one in entry.revisions][2:4] == ["v3", "v4"]
    for one in entry.revisions:
        assert one.base and one.date and one.link and one.message_id in one.link


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tittle: x\n", "did you mean 'title'"),
        ("applies_to: [6.10]\n", "in quotes"),
        ("applies_to: ['>6']\n", "applies_to"),
        ("folder: ../x\n", "below"),
        ("folder: a\nmbox: b\n", "both"),
        ("- a\n", "is a list; it must be a mapping"),
        ("title: [\n", "is not YAML"),
        ("title: x\n", "no folder or mbox"),
        ("revisions: [a@b]\n", "'revisions' is a list; it must be a mapping of names"),
        ("revisions: {rfc: {message_id: a@b}}\n", "a v and a number"),
        ("revisions: {v1: {id: a@b}}\n", "revisions.v1: unknown key 'id'"),
        ("revisions: {v1: {message_id: <a@b>}}\n", "without < and >"),
        ("revisions: {v1: {message_id: a@b, base: 05f7e89}}\n", "40 digits"),
    ],
)
def test_registry_mistakes_are_named(registry: Path, text: str, complaint: str) -> None:
    (registry / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        series.load("registry:bad", registry=registry, version="6.12")
