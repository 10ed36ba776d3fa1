# SPDX-License-Identifier: GPL-2.0-only
"""What subjects say: n/m, the revision, the kernel of a backport, an answer; in any order."""

from __future__ import annotations

import pytest

from harness.series.mail import subject


@pytest.mark.parametrize(
    ("text", "number", "total", "label"),
    [
        ("[my-list] [PATCH v2 1/2] x", 1, 2, "v2"),
        ("[RESEND] [PATCH v2 1/2] x", 1, 2, "v2"),
        ("[v3][PATCH 1/2] x", 1, 2, "v3"),
        ("[PATCH][6.1][1/2] x", 1, 2, "v1"),
        ("[6.1][0/2] x", 0, 2, "v1"),
        ("[mm,v2,1/2] x", 1, 2, "v2"),
        ("[CONF TOPIC][RFC PATCH v4 00/27] x", 0, 27, "RFC-v4"),
        ("[PATCH 1/3][V2] x", 1, 3, "v2"),
        ("[PATCH] [v2] x", None, None, "v2"),
        ("[PATCH1/8] x", 1, 8, "v1"),
        ("[PATCH 1 of 2] x", 1, 2, "v1"),
        ("[PATCH 01/10, v3] x", 1, 10, "v3"),
        ("[PATCHv3 2/4] x", 2, 4, "v3"),
        ("[RFCv2] x", None, None, "RFC-v2"),
        ("[RFC PATCHv2 3/4] x", 3, 4, "RFC-v2"),
        ("[PATCH/RFC 3/4 v2] x", 3, 4, "RFC-v2"),
        ("[PATCH -v2 1/2] x", 1, 2, "v2"),
        ("[next -v3 1/2] x", 1, 2, "v3"),
        ("[PATCH_v2_1/2] x", 1, 2, "v2"),
        ("[PATCH v2 [1/2]] x", 1, 2, "v2"),
        ("[PATCH take 3 2/5] x", 2, 5, "v3"),
        ("[PATCH v4a 2/5] x", 2, 5, "v4"),
        ("[PATCH v5-resend 1/3] x", 1, 3, "v5"),
        ("[PATCH RESEND #2 v3 1/2] x", 1, 2, "v3"),
        ("[PATCH V2 0/1 x: nobody closed it", 0, 1, "v2"),
        ("(PATCH v2 1/2) x", 1, 2, "v2"),
        ("PATCH v2 1/2: x", 1, 2, "v2"),
        ("[PATCHSET v3 for-6.2] x", None, None, "v3"),
        ("[PATCHSET v2 0/4] x", 0, 4, "v2"),
        ("[PATCH v4l2-tools 1/2] x", 1, 2, "v1"),
        ("[PATCH alexv1 2/3] x", 2, 3, "v1"),
        ("[PATCH v6 7/6] x", 7, 6, "v6"),
    ],
)
def test_all_leading_brackets_are_read(
    text: str, number: int | None, total: int | None, label: str
) -> None:
    said = subject.read(text)
    assert (said.number, said.total) == (number, total)
    assert f"{'RFC-' if said.rfc else ''}v{said.revision}" == label
    assert said.title in ("x", "x: nobody closed it")


@pytest.mark.parametrize(
    ("text", "revision", "kernel"),
    [
        ("[PATCH v5.4] x", 1, "5.4"),
        ("[PATCH v5.10-v5.15] x", 1, "5.10 5.15"),
        ("[PATCH 5.10/5.15] x", 1, "5.10 5.15"),
        ("[PATCH v6.15 v2 1/4] x", 2, "6.15"),
        ("[PATCH stable linux-5.10.y 1/2] x", 1, "5.10"),
        ("[PATCH 6.1.y 1/2] x", 1, "6.1"),
        ("[PATCH AUTOSEL 6.6 1/9] x", 1, "6.6"),
        ("[PATCH v10 rebased on v6.4 1/25] x", 10, ""),
        ("[PATCH on v5.17-rc1 1/14] x", 1, ""),
        ("[PATCH for-6.1/block v3 2/4] x", 3, ""),
        ("[PATCH v10.1 5/15] x", 10, ""),
    ],
)
def test_the_version_of_a_kernel_is_no_revision(text: str, revision: int, kernel: str) -> None:
    said = subject.read(text)
    assert (said.revision, said.kernel, said.title) == (revision, kernel, "x")


@pytest.mark.parametrize(
    ("text", "number", "later"),
    [
        ("[PATCH v10.1 5/15] x", 5, ".1"),
        ("[PATCH 2.1/3] x", 2, ".1"),
        ("[PATCH v3-fix 2/5] x", 2, "fix"),
        ("[PATCH v3 2/5] x", 2, ""),
    ],
)
def test_what_was_put_in_later_is_marked(text: str, number: int, later: str) -> None:
    said = subject.read(text)
    assert (said.number, said.later) == (number, later)


@pytest.mark.parametrize(
    "text",
    ["Re: [PATCH 1/2] x", "SV: [PATCH 1/2] x", "\u7b54\u590d: [PATCH 1/2] x",
     "RE:(2) [PATCH 1/2] x", "Re: (part) [PATCH 1/2] x", "[a-list] AW: [PATCH 1/2] x",
     "[PATCH 1/2] Re: x", "\u56de\u590d\uff1a [PATCH 1/2] x"],
)  # fmt: skip
def test_answers_in_many_languages(text: str) -> None:
    said = subject.read(text)
    assert (said.reply, said.number, said.title) == (True, 1, "x")


def test_a_word_that_is_not_known_is_told_apart() -> None:
    said = subject.read("Wichtig: [PATCH 1/2] x")
    assert (said.reply, said.prefix, said.number) == (False, "Wichtig", 1)


@pytest.mark.parametrize("text", ["[media] x: y", "[tip: a/b] x", "mm: x", "[bot] [part?] y", ""])
def test_brackets_of_a_title_stay(text: str) -> None:
    said = subject.read(text)
    assert (said.title, said.tags, said.number) == (text, "", None)


def test_a_bracket_behind_those_of_the_posting_is_of_the_title() -> None:
    assert subject.read("[RFC PATCH mm-new v4 02/11] [media] x").title == "[media] x"


def test_brackets_count_at_the_beginning_of_a_long_subject() -> None:
    found = subject.read("[PATCH v2 1/3] " + "long " * 1000 + "[v9]")
    assert (found.revision, found.number, found.total) == (2, 1, 3)
    assert found.title == "long " * 1000 + "[v9]"
