# SPDX-License-Identifier: GPL-2.0-only
"""What a result keeps of the places that its profiles name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from harness.results import places
from harness.results.places import Places, SourceLine

OUTER, INNER = SourceLine("outer", "mm/a.c", 3), SourceLine("inner", "mm/a.h", 7)
FOUND = Places({16: ("outer", "mm/a.c")}, [16, 20, 30], [(OUTER,), (INNER, OUTER), ()])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    places.write(tmp_path, "base", FOUND)
    first = (tmp_path / places.name_of("base")).read_bytes()
    read = places.read(tmp_path, "base")
    assert read == FOUND
    assert read is not None
    assert [read.stack(place) for place in (15, 16, 19, 20, 29, 31)] == [
        (), (OUTER,), (OUTER,), (INNER, OUTER), (INNER, OUTER), ()
    ]  # fmt: skip
    places.write(tmp_path, "base", FOUND)
    assert (tmp_path / places.name_of("base")).read_bytes() == first
    assert places.read(tmp_path, "patch") is None


@pytest.mark.parametrize(
    "text",
    [
        b"no gzip",
        gzip.compress(b"{}", mtime=0),
        gzip.compress(b"[1]", mtime=0),
        gzip.compress(b'{"functions":{"zz":["a","b"]},"stacks":[],"starts":[]}', mtime=0),
        gzip.compress(b'{"functions":{},"stacks":[[["a","b","c"]]],"starts":[["1",0]]}', mtime=0),
        gzip.compress(b'{"functions":{},"stacks":[],"starts":[["1",7]]}', mtime=0),
        gzip.compress(b"{}", mtime=0)[:-9],
    ],
    ids=["no gzip", "no keys", "a list", "no address", "no line", "a stack too few", "cut"],
)
def test_a_damaged_file_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / places.name_of("base")).write_bytes(text)
    assert places.read(tmp_path, "base") is None
