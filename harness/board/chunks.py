# SPDX-License-Identifier: GPL-2.0-only
"""Long lists as pages: the newest on the front, whole pages of older ones that never change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

SIZE = 150
"""Rows of a page: with a figure in each it stays below 300 KB."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    """One page of a list, newest first.  name: of its file, without suffix"""

    name: str
    items: tuple[T, ...]


def chunks(oldest_first: Sequence[T]) -> Iterator[Chunk[T]]:
    """The front page with the newest, then each whole page, counted from the oldest.

    A page is whole when ``SIZE`` items are on it, and what is added later goes on the next.
    """
    yield Chunk("index", tuple(reversed(oldest_first[-SIZE:])))
    if len(oldest_first) <= SIZE:
        return
    for number in range(len(oldest_first) // SIZE):
        items = oldest_first[number * SIZE : (number + 1) * SIZE]
        yield Chunk(f"page-{number + 1}", tuple(reversed(items)))


def links(count: int) -> list[tuple[str, str]]:
    """(file, text) of all pages of a list of ``count`` items; none where one page has all."""
    if count <= SIZE:
        return []
    older = range(count // SIZE, 0, -1)
    return [("./", "newest"), *((f"page-{one}.html", f"page {one}") for one in older)]
