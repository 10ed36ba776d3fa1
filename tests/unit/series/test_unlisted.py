# SPDX-License-Identifier: GPL-2.0-only
"""Postings that the registry does not list: found in a mirror, whatever changed about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import commands, main, variables
from harness.series import unlisted
from harness.series.mail.lore import MailSource
from harness.util.errors import Exit, UserError
from tests.fakes import inbox, tree

ENTRY = """\
title: "More"
revisions:
  v1: {message_id: 1-0@mail.example, date: "2026-01-01"}
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return inbox.author(tmp_path / "linux", tree.FILES)


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "more.yaml").write_text(ENTRY)
    (tmp_path / "series" / "own.yaml").write_text("title: Own\nfolder: own\n")
    return tmp_path / "series"


def checked(registry: Path, mirror: Path) -> list[str]:
    """The sentences on all entries that are known by their mails."""
    mails = MailSource(cache=mirror.parent / "mails", mirrors=(mirror,))
    return [one.sentence for one in unlisted.check(registry, mails)]


def named(raws: list[bytes]) -> list[bytes]:
    """The mails with the same whole name in all of them."""
    return [raw.replace(b"From: Dev <", b"From: Dev Eloper <") for raw in raws]


def test_what_came_after_the_last_one_listed_is_named(
    repo: Path, registry: Path, tmp_path: Path
) -> None:
    first = named(inbox.mailed(repo))
    again = first[0].replace(b"<1-0@mail.example>", b"<1-0again@mail.example>")
    again = again.replace(
        b"Date: Thu, 01 Jan 2026", b"Date: Thu, 01 Jan 2026 12:00:00 +0000\nX-Was:"
    )
    mirror = inbox.archive(tmp_path / "list.git", [*first, again])
    assert checked(registry, mirror) == [""], "a cover letter that was mailed again is no revision"
    retitled = inbox.mailed(repo, 2, cover="Another title")
    moved = named(inbox.mailed(repo, 3))
    moved = [raw.replace(b"dev@mail.example", b"dev@elsewhere.example") for raw in moved]
    inbox.archive(mirror, [*retitled, *moved])
    assert checked(registry, mirror) == [
        "more.yaml lists nothing after v1: v2 of 2026-01-02 <2-0@mail.example>, "
        "v3 of 2026-01-03 <3-0@mail.example>"
    ]
    more = "  v2: {message_id: 2-0@mail.example}\n  v3: {message_id: 3-0@mail.example}\n"
    (registry / "more.yaml").write_text(ENTRY + more)
    assert checked(registry, mirror) == [""]


def test_an_entry_of_another_list_is_said_so(repo: Path, registry: Path, tmp_path: Path) -> None:
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo, 2))
    (one,) = checked(registry, mirror)
    assert one == "more.yaml: the mirrors have none of the postings that it lists"


def test_without_a_mirror_there_is_one_sentence(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"local mirrors: name them by MIRROR=$"):
        unlisted.check(registry, MailSource(cache=tmp_path))


def test_the_command_lists_and_checks_the_registry(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["series"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert "swap-tiers             Swap tiers (v3 v5 v6 v7 v8 v9 v10)" in said
    mirror = inbox.archive(tmp_path / "list.git", inbox.mailed(repo))
    assert main.main(["series", "check", f"--mirror={mirror}"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert "vswap.yaml: the mirrors have none of the postings that it lists" in said
    assert said[-1].endswith(" series are known by their mails, 0 of them were posted since")
    words = variables.arguments(commands.build(), "series-check", {"MIRROR": "/m"})
    assert words == ["series", "--mirror=/m", "--", "check"]
    with pytest.raises(UserError, match="make series takes no RESULT="):
        variables.arguments(commands.build(), "series-check", {"RESULT": "x"})
