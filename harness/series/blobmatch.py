# SPDX-License-Identifier: GPL-2.0-only
"""What a series says of the tree it was made on: the blob ids in its index lines.  Pure.

A patch's ``index OLD..NEW`` names the content of a file before and after it.  What the first
patch that touches a file finds there belongs to the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_GIT = re.compile(rb"^diff --git (?:\"?a/(?P<old>.+?)\"?) (?:\"?b/(?P<new>.+?)\"?)$")
_INDEX = re.compile(rb"^index (?P<old>[0-9a-f]{7,64})\.\.(?P<new>[0-9a-f]{7,64})(?: \d+)?$")
_FROM = re.compile(rb"^(?:rename|copy) from (?P<name>.+)$")
_HUNK = re.compile(rb"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a tree fits a series: of ``files`` expectations, those that ``differ``."""

    files: int
    differ: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether something was expected and all of it is there."""
        return self.files > 0 and not self.differ


def expected(diffs: Iterable[bytes]) -> dict[str, str]:
    """{path: abbreviated blob id, "" for no file} that the patches, in order, expect of their base.

    Files that they make themselves are left out.
    Files without an index line (a pure rename, a patch not made by git) are left out too.
    """
    found: dict[str, str] = {}
    made: set[str] = set()
    for diff in diffs:
        for old_path, new_path, old, new in files(diff):
            if old_path not in made and old_path not in found:
                found[old_path] = "" if set(old) == {"0"} else old
            made.add(new_path)
            if set(new) == {"0"}:
                made.add(old_path)
    return dict(sorted(found.items()))


def agreement(wanted: Mapping[str, str], tree: Mapping[str, str]) -> Agreement:
    """Hold expectations against a tree, path -> full blob id."""
    differ = [
        path
        for path, blob in wanted.items()
        if (not tree.get(path, "").startswith(blob) if blob else path in tree)
    ]
    return Agreement(len(wanted), tuple(differ))


def files(diff: bytes) -> Iterable[tuple[str, str, str, str]]:
    """(old path, new path, old blob, new blob) of each file of a diff that has an index line."""
    paths: tuple[bytes, bytes] | None = None
    old = new = 0
    for line in diff.splitlines():
        if old > 0 or new > 0:  # text of a hunk can look like a header
            old -= line[:1] in (b" ", b"-", b"")
            new -= line[:1] in (b" ", b"+", b"")
        elif match := _GIT.match(line):
            half = _halves(line)
            paths = half or (match["old"], match["new"])
        elif paths and (match := _FROM.match(line)):
            paths = (match["name"], paths[1])
        elif paths and (match := _INDEX.match(line)):
            names = [path.decode(errors="surrogateescape") for path in paths]
            yield names[0], names[1], match["old"].decode(), match["new"].decode()
            paths = None
        elif match := _HUNK.match(line):
            old, new = (int(count) if count is not None else 1 for count in match.groups())


def _halves(line: bytes) -> tuple[bytes, bytes] | None:
    """``a/X b/X``, the usual case, exact also where X has blanks."""
    text = line.removeprefix(b"diff --git ")
    left, right = text[: len(text) // 2], text[len(text) // 2 + 1 :]
    return (left[2:], right[2:]) if left[2:] == right[2:] and left[:2] == b"a/" else None
