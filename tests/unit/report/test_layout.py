# SPDX-License-Identifier: GPL-2.0-only
"""The text kit: what it prints is narrow ASCII, whatever it is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.report import layout


@given(st.text(max_size=300), st.sampled_from(["", "- ", "Base:  "]))
def test_wrapped_text_is_narrow_ascii_and_loses_no_word(text: str, first: str) -> None:
    lines = layout.wrap(text, first)
    assert all(len(line) <= layout.WIDTH and line.isascii() for line in lines)
    assert all(line.startswith(" " * len(first)) for line in lines[1:])
    assert all(line == line.rstrip() for line in lines)
    if text.isascii() and text.isprintable() and all(len(w) < 60 for w in text.split()):
        assert " ".join(lines).split() == (first + text).split() or not text.strip()


def test_lists_headings_and_blocks() -> None:
    assert list(layout.listed(["a " * 40, "b"])) == ["- " + "a " * 34 + "a", "  a a a a a", "- b"]
    assert layout.heading("T\u00e9\x1b", "-") == ["T\\xe9\\x1b", "-" * 9]
    assert len(layout.heading("x" * 90)[0]) == 72
    assert layout.page([["a", "b"], [], iter(()), ["c"]]) == "a\nb\n\nc\n"


def test_paragraphs_are_wrapped_and_indented() -> None:
    lines = list(layout.paragraphs(["word " * 30, "next\x1b"]))
    assert max(map(len, lines)) <= 72
    assert lines[0].startswith("word") and lines[1].startswith("  word")
    assert lines[-1] == "next\\x1b"


def test_what_is_left_out_is_counted() -> None:
    assert layout.capped(["a", "b", "c"], 2) == ["a", "b", "and 1 more"]
    assert layout.capped(["a", "b"], 2) == ["a", "b"]
    assert layout.capped(["a", "b"], 0, ": see below") == ["and 2 more: see below"]


def test_a_section_without_a_line_is_not_there() -> None:
    assert layout.section("Title", iter(())) == []
    assert layout.section("Title", ["x"]) == ["Title", "=====", "x"]
    assert layout.page([layout.section("A", []), ["b"], []]) == "b\n"
