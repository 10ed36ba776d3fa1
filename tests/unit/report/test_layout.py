# SPDX-License-Identifier: GPL-2.0-only
"""The text kit: lines of 72 columns, and nothing printed where there is nothing to say."""

from __future__ import annotations

from harness.report import layout


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
