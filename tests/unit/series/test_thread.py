# SPDX-License-Identifier: GPL-2.0-only
"""Which mails of a thread are one posting: what answers the cover letter, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.series.mail import mbox, posting
from harness.series.patchset import PatchSet, assemble
from harness.util.errors import UserError

DEV = "Dev Eloper <dev@mail.example>"
COVER = "20260101000000.77-1-dev@mail.example"


def ident(number: int, stem: str = "20260101000000.77") -> str:
    return f"{stem}-{number}-dev@mail.example"


def mail(
    tags: str,
    title: str = "",
    *,
    id_: str,
    to: str = "",
    diff: str = "",
    sender: str = DEV,
    minute: int = 0,
    body: str = "Because.",
) -> bytes:
    """One mail; ``diff`` is the line that it adds, "" for none."""
    head = (
        f"From: {sender}\nDate: Thu, 01 Jan 2026 {minute // 60:02d}:{minute % 60:02d}:00 +0000\n"
        f"Subject: {tags} {title or 'mm: ' + (diff or 'more')}\nMessage-ID: <{id_}>\n"
    )
    if to:
        head += f"In-Reply-To: <{to}>\nReferences: <{to}>\n"
    text = f"{body}\n---\n"
    if diff:
        text += f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n a\n+{diff}\n"
    return f"{head}\n{text}".encode()


def series(tags: str = "[PATCH v2 {}/2]", stem: str = "20260101000000.77") -> list[bytes]:
    """A cover letter and two patches that answer it."""
    cover = ident(1, stem)
    return [
        mail(tags.format(0), "More", id_=cover),
        mail(tags.format(1), id_=ident(2, stem), to=cover, diff="one"),
        mail(tags.format(2), id_=ident(3, stem), to=cover, diff="two"),
    ]


def pick(mails: Sequence[bytes], asked: str = COVER, *, fixes: bool = False) -> PatchSet:
    return posting.pick(posting.read(mails), asked, fixes=fixes)


def titles(found: PatchSet) -> list[str]:
    return [one.subject for one in found.patches]


@pytest.mark.parametrize(
    "tags",
    ["[a-list] [PATCH v2 {}/2]", "[RESEND] [PATCH v2 {}/2]", "[v3][PATCH {}/2]",
     "[PATCH][6.1][{}/2]", "[mm,v2,{}/2]", "[TOPIC][RFC PATCH v4 {}/2]", "[PATCH {}/2][V2]",
     "[PATCH{}/2]", "[PATCH {} of 2]", "[PATCH v2,{}/2]"],
)  # fmt: skip
@pytest.mark.parametrize("asked", [COVER, ident(3)])
def test_a_posting_is_whole_however_its_subjects_are_written(tags: str, asked: str) -> None:
    found = pick(series(tags), asked)
    assert (titles(found), found.title, found.doubts) == (["mm: one", "mm: two"], "More", ())


def test_a_cover_letter_without_a_number_is_found_by_its_patches() -> None:
    mails = series("[PATCH {}/2]")
    mails[0] = mail("", "more of it v3", id_=COVER)
    for asked in (COVER, ident(2)):
        found = pick(mails, asked)
        assert (titles(found), found.head, found.doubts) == (["mm: one", "mm: two"], COVER, ())


@pytest.mark.parametrize(
    ("place", "tags", "said"),
    [(2, "[PATCH 2/2]", "the cover letter says v2, the patches v1, v2"),
     (0, "[PATCH v3 0/2]", "the cover letter says v3, the patches v2")],
)  # fmt: skip
def test_a_wrong_revision_in_one_mail_is_told(place: int, tags: str, said: str) -> None:
    mails = series()
    mails[place] = mails[place].replace(b"[PATCH v2 %d/2]" % place, tags.encode())
    found = pick(mails)
    assert (titles(found), found.doubts) == (["mm: one", "mm: two"], (said,))


def test_a_later_patch_of_the_same_number_is_left_out_and_told() -> None:
    mails = series()
    for to, tags in ((ident(3), "[PATCH v2 2/2]"), (COVER, "[PATCH v2.1 2/2]")):
        later = mail(tags, "mm: two (fix)", id_="late@x", to=to, diff="two fixed", minute=600)
        found = pick([*mails, later])
        assert titles(found) == ["mm: one", "mm: two"]
        assert "left out a later patch 2" in found.doubts[0] and "<late@x>" in found.doubts[0]
        asked = pick([*mails, later], "late@x")
        assert titles(asked) == ["mm: one", "mm: two"]
        assert "the mail that was asked for is not among the patches" in asked.doubts[-1]
        taken = pick([*mails, later], fixes=True)
        assert "mm: two (fix)" in titles(taken)


def test_blob_ids_tell_whether_a_later_patch_replaces_or_comes_on_top() -> None:
    mails = series()
    mails[2] = mails[2].replace(b"--- a/x", b"index 1111111..2222222 100644\n--- a/x")
    late = mail("[PATCH v2 2/2]", "mm: late", id_="late@x", to=ident(3), diff="z", minute=90)
    on_top = late.replace(b"--- a/x", b"index 2222222..3333333 100644\n--- a/x")
    anew = late.replace(b"--- a/x", b"index 1111111..3333333 100644\n--- a/x")
    assert titles(pick([*mails, on_top], fixes=True)) == ["mm: one", "mm: two", "mm: late"]
    assert titles(pick([*mails, anew], fixes=True)) == ["mm: one", "mm: late"]


def test_a_patch_without_a_number_on_top_of_all_is_taken_with_fixes() -> None:
    mails = series()
    for at, ids in ((1, b"1111111..2222222"), (2, b"2222222..3333333")):
        mails[at] = mails[at].replace(b"--- a/x", b"index " + ids + b" 100644\n--- a/x")
    # The answer between is not at hand.
    fix = mail("[PATCH]", "mm: fix", id_="fix@x", to="gone@x", diff="f", minute=90)
    on_top = fix.replace(b"--- a/x", b"index 3333333..4444444 100644\n--- a/x")
    elsewhere = fix.replace(b"--- a/x", b"index 2222222..4444444 100644\n--- a/x")
    found = pick([*mails, on_top])
    assert titles(found) == ["mm: one", "mm: two"]
    assert "left out another patch of the thread: mm: fix" in found.notes
    taken = pick([*mails, on_top], fixes=True)
    assert titles(taken) == ["mm: one", "mm: two", "mm: fix"]
    assert "'mm: fix' <fix@x> was taken on top of all patches" in taken.notes
    assert not any("left out" in note for note in taken.notes)
    # One that fits another place, or is somebody else's, is not of the series.
    stranger = on_top.replace(DEV.encode(), b"Else <else@mail.example>", 1)
    for other in (elsewhere, stranger):
        assert titles(pick([*mails, other], fixes=True)) == ["mm: one", "mm: two"]


def test_a_patch_beyond_the_count_is_left_out_and_told() -> None:
    extra = mail("[PATCH v2 3/2]", id_="more@x", to=COVER, diff="three", minute=300)
    found = pick([*series(), extra])
    assert titles(found) == ["mm: one", "mm: two"]
    assert found.doubts == ("left out a later patch 3/2: 'mm: three' <more@x>",)
    assert titles(pick([*series(), extra], fixes=True)) == ["mm: one", "mm: two", "mm: three"]


def test_a_count_that_is_not_what_the_numbers_say_is_an_error() -> None:
    mails = series()
    mails[2] = mails[2].replace(b"2/2", b"2/3")
    with pytest.raises(UserError, match="patches of 2 and of 3"):
        pick(mails)
    mails = series("[PATCH {}/3]")
    with pytest.raises(UserError, match="lacks patch 3 of 3"):
        pick(mails)


def test_two_sendings_of_one_thread_are_kept_apart() -> None:
    """The same sender, revision and count: backports and resends in answer to each other."""
    first = series()
    second = [one.replace(b"+one", b"+ONE") for one in series(stem="20260102000000.99")]
    second[0] = mail("[PATCH v2 0/2]", "More", id_=ident(1, "20260102000000.99"), to=ident(3))
    for mails in ([*first, *second], [*second, *first]):
        assert b"+one" in pick(mails).patches[0].diff
        assert b"+ONE" in pick(mails, ident(3, "20260102000000.99")).patches[0].diff


def test_backports_without_a_cover_letter_are_kept_apart() -> None:
    old, new = "20260101000000.11", "20260101000000.22"
    mails = [
        mail("[PATCH 1/2]", id_=ident(1, old), to="fix@x", diff="one"),
        mail("[PATCH 2/2]", id_=ident(2, old), to="fix@x", diff="two"),
        mail("[PATCH 1/2]", id_=ident(1, new), to="fix@x", diff="one for 6.1", minute=5),
        mail("[PATCH 2/2]", id_=ident(2, new), to="fix@x", diff="two for 6.1", minute=5),
    ]
    assert titles(pick(mails, ident(1, old))) == ["mm: one", "mm: two"]
    assert titles(pick(mails, ident(1, new))) == ["mm: one for 6.1", "mm: two for 6.1"]


def test_where_nothing_decides_between_two_mails_both_are_named() -> None:
    mails = [
        mail("[PATCH 0/1]", "More", id_="c@x"),
        mail("[PATCH 1/1]", id_="a@x", to="c@x", diff="one"),
        mail("[PATCH 1/1]", id_="b@x", to="c@x", diff="other", minute=1),
    ]
    with pytest.raises(UserError, match=r"two different patches 1/1: .*<a@x> and .*<b@x>"):
        pick(mails, "c@x")


def test_patches_that_do_not_answer_their_cover_letter() -> None:
    mails = [one.replace(b"In-Reply-To", b"X-Was").replace(b"References", b"X-Too")
             for one in series()]  # fmt: skip
    for asked in (COVER, ident(2)):
        found = pick(mails, asked)
        assert titles(found) == ["mm: one", "mm: two"]
        told = ("all 2 patches were sent beside the cover letter, not in answer to it",)
        assert found.doubts == told


def test_a_patch_from_another_address_counts_and_is_told() -> None:
    mails = series()
    mails[2] = mails[2].replace(DEV.encode(), b"Dev Eloper <home@mail.example>")
    found = pick(mails)
    assert titles(found) == ["mm: one", "mm: two"]
    assert found.doubts == ("patch 2 of 2 was from another address, home@mail.example",)


def test_the_next_revision_in_answer_to_a_cover_letter_is_not_of_it() -> None:
    mails = series("[PATCH {}/2]")
    for number, text in ((1, "new one"), (2, "new two")):
        tags = f"[PATCH v2 {number}/2]"
        mails.append(mail(tags, id_=f"v2-{number}@x", to=COVER, diff=text, minute=900))
    assert titles(pick(mails)) == ["mm: one", "mm: two"]
    assert titles(pick(mails, "v2-2@x")) == ["mm: new one", "mm: new two"]


@pytest.mark.parametrize("word", ["Risposta", "\u56de\u4fe1", "Wg", "Onderwerp"])
def test_an_answer_with_a_word_of_any_language_is_no_patch(word: str) -> None:
    answer = mail(f"{word}: [PATCH v2 2/2]", "mm: two", id_="r@x", to=ident(3), diff="mine")
    found = pick([*series(), answer])
    assert (titles(found), found.doubts) == (["mm: one", "mm: two"], ())
    bare = [mail("", "mm: two", id_="p@x", diff="two"),
            mail(f"{word}:", "mm: two", id_="r@x", to="p@x", diff="mine")]  # fmt: skip
    assert len(assemble(posting.read(bare), where="x").patches) == 1


def test_a_patch_alone_in_the_thread_of_a_series_is_told() -> None:
    fix = mail("[PATCH]", "mm: fix", id_="f@x", to=ident(2), diff="fix")
    assert pick([*series(), fix], "f@x").doubts == (
        f"only the one patch that was sent into the thread of 'More' <{COVER}>",
    )


# Mailboxes


def test_two_revisions_of_one_patch_are_no_series_of_two() -> None:
    mails = [mail("[PATCH]", "mm: a", id_="1@x", diff="a"),
             mail("[PATCH v2]", "mm: a", id_="2@x", diff="b")]  # fmt: skip
    with pytest.raises(UserError, match="holds v1 and v2 of 'mm: a': keep one"):
        assemble(posting.read(mails), where="x")
    mails[1] = mail("[PATCH]", "mm: a", id_="2@x", diff="b")
    with pytest.raises(UserError, match=r"two different patches: .*<1@x> and .*<2@x>"):
        assemble(posting.read(mails), where="x")


def test_an_rfc_and_a_patch_of_one_number_are_not_merged() -> None:
    mails = [mail("[RFC PATCH 1/2]", id_="1@x", diff="a"),
             mail("[PATCH 2/2]", id_="2@x", diff="b")]  # fmt: skip
    with pytest.raises(UserError, match="holds RFC-v1 and v1 of the series"):
        assemble(posting.read(mails), where="x")


@pytest.mark.parametrize("zone", ["", " +0100", " CET"])
def test_a_mailbox_without_empty_lines_between_its_mails(zone: str) -> None:
    line = f"From {'a' * 40} Mon Sep 17 00:00:00 2001{zone}\n".encode()
    mails = [mail("[PATCH 1/2]", id_="1@x", diff="a"), mail("[PATCH 2/2]", id_="2@x", diff="b")]
    parts = mbox.split(b"".join(line + one for one in mails))
    assert [mbox.read(one, name="").number for one in parts] == [1, 2]
    found = assemble([mbox.read(one, name="") for one in parts], where="x")
    assert [one.diff.count(b"diff --git") for one in found.patches] == [1, 1]


def test_a_sentence_that_begins_like_a_from_line_is_of_its_mail() -> None:
    body = "It began.\n\nFrom noon, 12:30 on 3 May 2024, it was worse.\nThe end."
    assert (
        len(mbox.split(b"From a@b Thu Jan  1 00:00:00 1970\n" + mail("", id_="1@x", body=body)))
        == 1
    )


# What a mail is


def test_eight_bits_in_headers_are_utf_8_or_latin_1() -> None:
    for name in ("Zoë Müller".encode(), "Zoë Müller".encode("latin-1")):
        raw = mail("[PATCH]", id_="1@x", diff="a").replace(b"Dev Eloper", name)
        from harness.series.mail import cover  # noqa: PLC0415

        found = cover.read(raw)
        assert found is not None and found.sender == "Zoë Müller <dev@mail.example>"


def test_a_subject_in_the_text_is_the_title_and_a_folded_one_is_whole() -> None:
    raw = mail("[PATCH v2 1/2]", "short", id_="1@x", diff="a", body="x")
    raw = raw.replace(b"\n\nx\n", b"\n\nFrom: A <a@mail.example>\nSubject: mm: the\n title\n\nx\n")
    found = mbox.read(raw, name="")
    assert (found.subject, found.number, found.total, found.revision) == ("mm: the title", 1, 2, 2)
    bare = b"Subject: mm: a title\n on two lines\n\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    assert mbox.read(bare, name="q").subject == "mm: a title on two lines"
