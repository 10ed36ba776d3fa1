# SPDX-License-Identifier: GPL-2.0-only
"""What of an input may be shown: nothing of it steers a terminal, a page or a mail."""

from __future__ import annotations

import email.parser
import io
import logging
from html.parser import HTMLParser
from unittest import mock

from rich.console import Console

from harness.report.page import environment
from harness.series.mail.cover import Cover
from harness.studies.reply import draft
from harness.util import escape, progress

_FIELDS = {
    "To", "Cc", "In-Reply-To", "References", "Subject", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding",
}  # fmt: skip
_PAGES = environment()
_TEMPLATE = '<p title="{{ x }}">{{ x }}</p>'


def harmless_line(text: str) -> None:
    """Nothing in a line can move a cursor or turn the direction of the letters."""
    assert all(char.isprintable() for char in text), repr(text)


def terminal(data: bytes) -> None:
    """A line that is shown, with whatever a mail or guest put into it."""
    words = io.StringIO()
    text = data.decode("utf-8", "surrogateescape")
    console = Console(file=words, force_terminal=False, width=10_000, soft_wrap=True)
    with mock.patch.object(progress, "console", console):
        progress.Lines().emit(logging.makeLogRecord({"msg": text, "levelno": logging.WARNING}))
    for line in words.getvalue().split("\n"):
        harmless_line(line)
    words.getvalue().encode()


class _Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def page(data: bytes) -> None:
    """Text from outside on a page: one tag, one attribute, the same text."""
    text = data.decode("utf-8", "backslashreplace")
    made = _PAGES.from_string(_TEMPLATE).render(x=text)
    tags = _Tags()
    tags.feed(made)
    tags.close()
    expected = escape.harmless(text)
    assert tags.tags == ["p"], made
    assert tags.attributes == [("title", expected)]
    assert tags.text == expected
    for line in made.split("\n"):
        harmless_line(line)
    harmless_line(escape.visible(text))
    assert escape.visible(text).isascii()


def written(answered: Cover) -> None:
    """The headers of an answer: ours alone, however the mail's were made."""
    made = draft.headers(answered, "swap")
    assert made.isascii() and "\r" not in made
    read = email.parser.Parser().parsestr(made + "\n")
    assert not read.defects and set(read.keys()) <= _FIELDS, read.keys()
    assert len(read.keys()) == len(set(read.keys()))
    for line in draft.quotation(answered.subject, answered):
        harmless_line(line)
        assert line.isascii()
