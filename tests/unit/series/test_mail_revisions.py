# SPDX-License-Identifier: GPL-2.0-only
"""@latest and @vN: the other postings of a series, and by what they are known to be of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.series.mail import lore
from harness.series.mail.archive import topic
from harness.series.mail.lore import Address, MailSource
from harness.series.patchset import PatchSet
from harness.util.errors import UserError
from tests.fakes import inbox

DEV = "Dev Eloper <dev@mail.example>"


@dataclass
class List:
    """Mails of a list, and questions to a mirror of it."""

    folder: Path
    mails: list[bytes] = field(default_factory=list)

    def post(
        self,
        day: int,
        tags: str,
        title: str,
        patches: Iterable[str],
        *,
        sender: str = DEV,
        to: str = "",
        text: str = "Hello.",
        cover: bool = True,
    ) -> str:
        """A posting of that day; ``tags`` has {} for n/m.  Returns the id of its first mail."""
        titles = list(patches)
        first = f"2026010{day}000000.{day}-1-dev@mail.example"
        if cover:
            self._mail(day, 0, tags.format(f"0/{len(titles)}"), title, sender, first, to, text)
        for number, one in enumerate(titles, 1):
            own = first if number == 1 and not cover else first.replace("-1-", f"-{number + 1}-")
            count = f"{number}/{len(titles)}" if cover or len(titles) > 1 else ""
            diff = f"--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n a\n+{day} {number}\n"
            above = first if own != first else to
            said = text if own == first else "x"
            body = f"{said}\n---\n{diff}"
            shown = tags.format(count).replace(" ]", "]")
            self._mail(day, number, shown, one, sender, own, above, body)
        return first

    def _mail(
        self,
        day: int,
        second: int,
        tags: str,
        title: str,
        sender: str,
        own: str,
        to: str,
        text: str,
    ) -> None:
        answered = f"In-Reply-To: <{to}>\nReferences: <{to}>\n" if to else ""
        self.mails.append(
            f"From: {sender}\nDate: Thu, 0{day} Jan 2026 00:00:{second:02d} +0000\n"
            f"Subject: {tags} {title}\nMessage-ID: <{own}>\n{answered}\n{text}\n".encode()
        )

    def ask(self, message_id: str, revision: str = "latest") -> PatchSet:
        repo = self.folder / "list.git"
        if not repo.exists():
            inbox.archive(repo, self.mails)
        source = MailSource(self.folder / "cache", "http://127.0.0.1:9/x", (repo,))
        return lore.fetch(Address(message_id, None, revision), source)


@pytest.fixture
def mails(tmp_path: Path) -> List:
    return List(tmp_path)


PATCHES = ("mm: a", "mm: b", "mm: c")


@pytest.mark.parametrize(
    ("title", "patches", "extra", "by"),
    [
        ("More swap", PATCHES, {}, "its title"),
        ("more  SWAP, v2", ("mm: d",), {}, "its title"),
        ("Another title", ("mm: a", "mm: b", "mm: d"), {}, "its patches"),
        ("Another title", ("mm: d",), {"text": "v1: https://x.example/all/{}/"},
         "a link in its cover letter"),
        ("Another title", ("mm: d",), {"text": "v1: https://x.example/r/{quoted}"},
         "a link in its cover letter"),
        ("Another title", ("mm: d",), {"to": "{}"}, "its thread"),
        ("More swap", PATCHES, {"sender": "Dev Eloper <home@other.example>"}, "its title"),
        ("Another title", PATCHES, {"sender": "Dev Eloper via A Relay <r@x.example>"},
         "its patches"),
    ],
)  # fmt: skip
def test_the_newest_posting_is_found_and_it_is_said_by_what(
    mails: List, title: str, patches: tuple[str, ...], extra: dict[str, str], by: str
) -> None:
    first = mails.post(1, "[PATCH {}]", "More swap", PATCHES)
    quoted = first.replace("@", "%40")
    told = {key: value.format(first, quoted=quoted) for key, value in extra.items()}
    second = mails.post(
        3,
        "[PATCH v2 {}]",
        title,
        patches,
        sender=told.get("sender", DEV),
        to=told.get("to", ""),
        text=told.get("text", "Hello."),
    )
    found = mails.ask(first)
    assert found.head == second
    assert found.notes[0] == f"@latest is v2 of 2026-01-03, found by {by}"
    assert mails.ask(second, "v1").head == first


def test_a_change_id_finds_what_nothing_else_does(mails: List) -> None:
    first = mails.post(1, "[PATCH {}]", "One", PATCHES, text="change-id: 2026-x-abc")
    second = mails.post(2, "[PATCH v2 {}]", "Two", ("mm: z",), text="change-id: 2026-x-abc")
    mails.post(
        3,
        "[PATCH v3 {}]",
        "Mine",
        ("a: b",),
        text="change-id: 2026-x-abc",
        sender="E <e@x.example>",
    )
    found = mails.ask(first)
    assert (found.head, found.doubts) == (
        second, ("@latest is v2 of 2026-01-02, found by its change-id",),
    )  # fmt: skip


def test_patches_without_a_cover_letter_and_alone(mails: List) -> None:
    one = mails.post(1, "[PATCH {}]", "", ("mm: alone",), cover=False)
    two = mails.post(2, "[PATCH v2 {}]", "", ("mm: alone",), cover=False)
    assert (mails.ask(one).head, mails.ask(two, "v1").head) == (two, one)


def test_a_series_without_a_cover_letter(mails: List) -> None:
    one = mails.post(1, "[PATCH {}]", "", PATCHES, cover=False)
    two = mails.post(2, "[PATCH v2 {}]", "Now with a letter", PATCHES)
    three = mails.post(3, "[PATCH v3 {}]", "", ("mm: a", "mm: c"), cover=False)
    assert mails.ask(one.replace("-1-", "-3-")).head == three
    assert (mails.ask(three, "v1").head, mails.ask(one, "v2").head) == (one, two)


def test_an_rfc_and_a_patch_of_one_number_are_two_postings(mails: List) -> None:
    rfc = mails.post(1, "[RFC PATCH {}]", "More swap", PATCHES)
    patch = mails.post(2, "[PATCH {}]", "More swap", PATCHES)
    assert mails.ask(rfc).head == patch
    assert (mails.ask(rfc, "v1").head, mails.ask(patch, "v1").head) == (rfc, patch)
    with pytest.raises(UserError, match=r"no revision v4 .*\(there is RFC-v1, v1\)"):
        mails.ask(rfc, "v4")


def test_what_is_no_revision_of_the_series(mails: List) -> None:
    first = mails.post(1, "[PATCH v2 {}]", "More swap", PATCHES)
    mails.post(
        2, "[PATCH {}]", "Another", ("x: y",), text=f"on top of https://x.example/all/{first}/"
    )
    mails.post(3, "[PATCH 6.1 {}]", "More swap", PATCHES)  # a backport
    mails.post(4, "[PATCH {}]", "", ("mm: fix",), cover=False, to=first)
    mails.post(5, "[PATCH v3 {}]", "More swap", ("other: z",), sender="E Else <e@x.example>")
    mails.post(6, "[PATCH {}]", "Later", ("l: 1", "l: 2"))
    mails.post(7, "[PATCH v2 {}]", "Later", ("l: 1", "l: 2", "mm: a"), text=f"see <{first}>")
    assert mails.ask(first).head == first


def test_one_patch_of_two_sent_alone_is_no_revision(mails: List) -> None:
    first = mails.post(1, "[PATCH {}]", "More swap", PATCHES[:2])
    mails.post(2, "[PATCH {}]", "", ("mm: a",), cover=False)
    assert mails.ask(first).head == first


def test_patches_sent_in_two_batches_are_found(mails: List) -> None:
    first = mails.post(1, "[PATCH v2 {}]", "More swap", PATCHES)
    mails.mails = [
        one.replace(b"In-Reply-To", b"X-A").replace(b"References", b"X-B") for one in mails.mails
    ]
    repo = mails.folder / "list.git"
    inbox.archive(repo, mails.mails)
    source = MailSource(mails.folder / "cache", "http://127.0.0.1:9/x", (repo,))
    for asked in (first, first.replace("-1-", "-3-")):
        found = lore.fetch(Address(asked, None, None), source)
        assert (len(found.patches), found.head) == (3, first)
        assert found.doubts == (
            "all 3 patches were sent beside the cover letter, not in answer to it",
        )


def test_titles_are_compared_without_case_punctuation_and_revision() -> None:
    assert topic("mm/swap: Add  it, v3") == topic("mm: swap: add it") == "mm swap add it"
    assert topic("v3") == "v3"
