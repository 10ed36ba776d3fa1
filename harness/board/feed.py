# SPDX-License-Identifier: GPL-2.0-only
"""The Atom feed of new verdicts (RFC 4287)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from xml.etree import ElementTree

from harness.board import moved, tables
from harness.board.moved import Moved
from harness.board.record import BoardComparison
from harness.util.escape import harmless

MOST = 50
_SPACE = uuid.UUID("6f0f5b0e-8f6c-5d0b-9a57-0d6a5b1c2f11")
"""Names of entries are made in it; it never changes, or every reader would show all anew."""
_EPOCH = "1970-01-01T00:00:00+00:00"


def feed(newest_first: Sequence[BoardComparison], moves: Sequence[Moved] = ()) -> str:
    """An entry for each comparison, updated when boots are added; links are relative to the feed.

    And one for each move of a night, updated when somebody says why.

    The id of an entry goes by the comparison's address, not by the place where the board lies.
    """
    root = ElementTree.Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _child(root, "title", "Swap series: new verdicts")
    _child(root, "id", uuid.uuid5(_SPACE, "board").urn)
    times = [*map(_time, newest_first), *(one.updated for one in moves)]
    _child(root, "updated", max(times, default=_EPOCH))
    ElementTree.SubElement(root, "link", rel="self", href="feed.xml")
    author = ElementTree.SubElement(root, "author")
    _child(author, "name", "swap patch harness")
    for one in newest_first[:MOST]:
        entry = ElementTree.SubElement(root, "entry")
        _child(entry, "title", f"{one.patch.label} on {one.base.label}: {tables.verdicts(one)}")
        _child(entry, "id", uuid.uuid5(_SPACE, one.address).urn)
        _child(entry, "updated", _time(one))
        ElementTree.SubElement(entry, "link", href=f"comparison/{one.address}/")
        lines = [
            f"{row.cell} {row.metric}: {tables.change(row)} {tables.interval(row)}, {row.verdict}"
            for row in one.rows
        ]
        _child(entry, "summary", "; ".join(lines))
    for each in moves[:MOST]:
        entry = ElementTree.SubElement(root, "entry")
        _child(entry, "title", each.title)
        _child(entry, "id", uuid.uuid5(_SPACE, f"{each.name} {each.anchor}").urn)
        _child(entry, "updated", each.updated)
        ElementTree.SubElement(entry, "link", href=f"{moved.PAGE}#{each.anchor}")
        parts = (each.said, each.move.answer or each.move.command)
        _child(entry, "summary", ". ".join(part for part in parts if part))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _child(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = harmless(text)


def _time(one: BoardComparison) -> str:
    return one.ended or _EPOCH
