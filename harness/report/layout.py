# SPDX-License-Identifier: GPL-2.0-only
"""The text kit of every report: one width, one way to wrap, headings and lists."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from harness.util.escape import visible

WIDTH = 72
"""Columns of a text report: it fits a mail as it is, quoted once more."""

SCREEN = 24
"""Lines of a terminal: what the end of a run prints has no more."""

Block = Iterable[str]
"""Lines that stand together; `page` puts an empty line between blocks."""


def wrap(text: str, first: str = "", rest: str | None = None, *, width: int = WIDTH) -> list[str]:
    """Printable ASCII in lines of at most ``width`` columns.

    ``first`` begins the first line, ``rest`` the others; None stands for blanks of that width.
    """
    lines = textwrap.wrap(
        visible(text),
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first) if rest is None else rest,
        break_on_hyphens=False,
    )
    # Before a word that it breaks, textwrap leaves a blank.
    return [line.rstrip() for line in lines]


def listed(items: Iterable[str], *, width: int = WIDTH) -> Iterator[str]:
    """Each item behind a dash."""
    for item in items:
        yield from wrap(item, "- ", width=width)


def paragraphs(items: Iterable[str], *, width: int = WIDTH) -> Iterator[str]:
    """Each item from the start of a line, its further lines indented by two blanks."""
    for item in items:
        yield from wrap(item, rest="  ", width=width)


def capped(items: Sequence[str], most: int, where: str = "") -> list[str]:
    """The first ``most`` items; where there are more, a last one counts them.

    where: what the last one says behind the count, as ": see ..."
    """
    more = len(items) - most
    return [*items[:most], *([f"and {more} more{where}"] if more > 0 else [])]


def heading(title: str, mark: str = "=") -> list[str]:
    """A title and the line below it."""
    text = visible(title)[:WIDTH]
    return [text, mark * len(text)]


def section(title: str, lines: Iterable[str], mark: str = "=") -> list[str]:
    """Lines below a heading; nothing where there is no line."""
    found = list(lines)
    return [*heading(title, mark), *found] if found else []


def page(blocks: Iterable[Block]) -> str:
    """The whole text: blocks with an empty line between; blocks without a line are left out."""
    return "\n\n".join(filter(None, ("\n".join(block) for block in blocks))) + "\n"
