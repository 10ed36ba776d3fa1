# SPDX-License-Identifier: GPL-2.0-only
"""What git calls things: refs, revisions, URLs fit to be shown, a tree's version.  Runs nothing."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from harness.util.errors import UserError

CLONE = "../linux"
"""Stands for anybody's clone of the kernel in a command."""

_VERSION_KEYS = ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION")


def ref_part(text: str) -> str:
    """`text` as one legal component of a ref name; ``%xx`` for what git does not allow there."""
    escaped = re.sub(
        r"[^A-Za-z0-9+_.-]", lambda m: "".join(f"%{b:02x}" for b in m[0].encode()), text
    )
    return re.sub(r"^\.|\.(?=\.)|\.$|\.(?=lock$)", "%2e", escaped) or "%"


def public_url(url: str) -> str:
    """`url` without user name and password, fit for a manifest."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that enclose no address: git will say that it is no URL
        return re.sub(r"//[^/]*@", "//", url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))


def for_others(url: str) -> str:
    """`url` as others can use it: a path of this machine is nothing to them, `CLONE` is."""
    return public_url(url) if "://" in url else CLONE


def is_full_id(rev: str) -> bool:
    """Whether `rev` is a whole commit id."""
    return re.fullmatch(r"[0-9a-f]{40}", rev) is not None


def is_short_id(rev: str) -> bool:
    """Whether `rev` could be a commit id or the beginning of one (7 digits or more)."""
    return re.fullmatch(r"[0-9a-f]{7,40}", rev) is not None


def check_revision(rev: str) -> None:
    """Raise UserError unless `rev` can be the plain name of a tag, branch or commit."""
    bad = ".." in rev or "//" in rev or rev.endswith((".lock", "/", "."))
    if bad or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*", rev):
        raise UserError(f"{rev!r} is not the name of a git tag, branch or commit")


def makefile_version(text: str, *, where: str) -> str:
    """What ``make kernelversion`` prints for this top Makefile, like 6.19.0-rc3.

    ``where`` names the tree in the UserError for a Makefile that is not a kernel's.
    """
    values = {}
    for key in _VERSION_KEYS:
        match = re.search(rf"^{key}[ \t]*=[ \t]*(\S*)[ \t]*$", text, re.MULTILINE)
        values[key] = match[1] if match else ""
    if not (values["VERSION"].isdigit() and values["PATCHLEVEL"].isdigit()):
        raise UserError(f"{where} is not a kernel tree: its Makefile states no VERSION")
    numbers = [values[key] for key in _VERSION_KEYS[:3] if values[key]]
    return ".".join(numbers) + values["EXTRAVERSION"]
