# SPDX-License-Identifier: GPL-2.0-only
"""The subject of a mail: brackets in any order, with any separator, and a title.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_REPLY = re.compile(
    r"\s*(?:(?:re|aw|antw|sv|vs|vl|odp|ynt|res|rif|tr|r[eé]p|fwd?|wg|rv|enc|"
    r"\u56de\u590d|\u7b54\u590d|\u56de\u8986|\u7b54\u8986|\u8f6c\u53d1|\u8f49\u5bc4|"
    r"\u8fd4\u4fe1|\ud68c\uc2e0)\s*(?:[\[(]\d+[\])]\s*)*[:\uff1a]|re\s+(?=\[))"
    r"(?:\s*\([^()]{1,16}\)(?=\s*\[))*",
    re.IGNORECASE,
)
"""The words by which mailers begin an answer."""
_PREFIX = re.compile(r"\s*([^\[\]:\uff1a]{1,24})[:\uff1a]\s*(?=\[)")
_BRACKETS = re.compile(r"\s*(?:\[((?:[^\[\]]|\[[^\[\]]*\])*)\]|\(([^()]*\bPATCH\b[^()]*)\))")
_UNCLOSED = re.compile(r"\s*\[([^\[\]]*?\d+/\d+)\s+(?=[^\]]*$)")
_BARE = re.compile(r"\s*((?:(?:RFC|RESEND)\W{1,3})*PATCH(?:\W{1,3}v\d+)?\W{1,3}\d+/\d+)\b:?")
"""[PATCH v2 1/2] without its brackets."""
_POSTED = re.compile(
    r"(?<![a-z])(?:patch(?:es|sets?|series)?|rfc|rft|re-?(?:send|post))(?=v\d|[^a-z]|$)",
    re.IGNORECASE,
)
_RFC = re.compile(r"(?<![a-z])rfc(?=v\d|[^a-z]|$)", re.IGNORECASE)
_COUNT = re.compile(
    r"(?<![\d./])0*(\d{1,6})(\.\d{1,2}|[a-z])?\s{0,2}(?:/|(?<![a-z])-?of-?(?![a-z]))\s{0,2}"
    r"0*(\d{1,6})(?![\d.])",
    re.IGNORECASE,
)
_REVISION = re.compile(
    r"(?:(?<![a-z0-9.])|(?<=patch)|(?<=patches)|(?<=patchset)|(?<=rfc)|(?<=resend))"
    r"(?:v|ver|version|rev|revision|take|try|round)[.\s#-]{0,2}(\d{1,6})(\.\d[\w.]*)?([a-z]*\d*)",
    re.IGNORECASE,
)
_AT_END = re.compile(r"[\s,(\[-]+v(\d{1,4})[)\]]?$", re.IGNORECASE)
_SUFFIX = re.compile(r"(?:[a-z]|fix|final|re(?:send|post|base|based)|rfc)?$", re.IGNORECASE)
_OF_TREE = re.compile(r"\b(?:for|on|onto|to|against|since|until|from|atop|after)[\s-]$", re.I)
"""What stands before the version of a tree, not of the series."""
_KERNEL = re.compile(
    r"(?<![\d.])v?(2\.[46]|[3-7]\.\d{1,2})(?:\.\d+|\.[xy])?(?!\d|/\d+(?![\d.]))", re.IGNORECASE
)
_NO_BACKPORT = re.compile(
    r"(?:\bfor[\s-]|\bon(?:to)?\s|\bagainst\s|\bto\s|[a-z]/)v?$", re.IGNORECASE
)

_MOST = 1000


@dataclass(frozen=True, slots=True)
class SubjectLine:
    """What a subject says of its mail.

    title: without the leading [...] groups that belong to the posting
    tags: those groups
    number, total: n and m of [PATCH n/m]; None when not given
    later: what follows n where the mail was put in later ([PATCH 2.1/3], [PATCH v3.1 2/3])
    revision: 3 of [PATCH v3], 1 when not given; stated: whether it is
    rfc: whether it is marked so
    kernel: the kernels that a backport is for, as in [PATCH 6.1 1/2]
    reply: whether it begins as an answer does; prefix: a word with a colon before the groups,
    as mailers in other languages begin one
    """

    title: str
    tags: str = ""
    number: int | None = None
    total: int | None = None
    later: str = ""
    revision: int = 1
    stated: bool = False
    rfc: bool = False
    kernel: str = ""
    reply: bool = False
    prefix: str = ""


def read(text: str) -> SubjectLine:
    """Read a decoded subject of one line; brackets count in its first 1,000 characters."""
    if len(text) > _MOST:
        head = text[:_MOST].rstrip()
        short = read(head)
        return replace(short, title=short.title + text[len(head) :])
    reply, groups, rest = _groups(text)
    prefix = ""
    if not groups and (match := _PREFIX.match(rest)):
        prefix = match[1].strip()
        _, groups, rest = _groups(rest[match.end() :])
    mine = max((n for n, (group, _) in enumerate(groups, 1) if _belongs(group)), default=0)
    if not mine:
        found = _UNCLOSED.match(text) or _BARE.match(text)
        if not found:
            return SubjectLine(text, reply=reply)
        groups, mine = [(found[1], text[found.end() :])], 1
    title = groups[mine - 1][1].lstrip(" :")
    if again := _REPLY.match(title):  # as "[PATCH] Re: " has it
        reply, title = True, title[again.end() :].lstrip()
    return _read(" ".join(group for group, _ in groups[:mine]), title or text, reply, prefix)


def at_end(title: str) -> SubjectLine | None:
    """A revision at the end of a title, as in "some title v3"; None where there is none."""
    match = _AT_END.search(title)
    if match is None:
        return None
    return SubjectLine(title[: match.start()].rstrip(" ,-"), revision=int(match[1]), stated=True)


def _groups(text: str) -> tuple[bool, list[tuple[str, str]], str]:
    """Whether words of an answer lead, the leading groups, each with what follows it, the rest."""
    reply, groups, rest = False, [], text
    while True:
        if match := _REPLY.match(rest):
            reply = True
        elif match := _BRACKETS.match(rest):
            groups.append((match[1] if match[1] is not None else match[2], rest[match.end() :]))
        else:
            return reply, groups, rest
        rest = rest[match.end() :]


def _belongs(group: str) -> bool:
    """Whether a group is of the posting: it is no name of a list, and no [media] of the title."""
    if _POSTED.search(group) or _COUNT.search(group) or _KERNEL.fullmatch(group.strip()):
        return True
    return any(True for _ in _revisions(group))


def _revisions(tags: str) -> list[tuple[int, str]]:
    """Each revision that is named, and what follows it; not the versions of kernels."""
    found = []
    for match in _REVISION.finditer(tags):
        number, minor, more = match[1], match[2] or "", match[3]
        kernel = _KERNEL.fullmatch(f"{number}{minor}") if minor else None
        if kernel or not _SUFFIX.fullmatch(more) or _OF_TREE.search(tags[: match.start()]):
            continue
        after = tags[match.end() : match.end() + 4].lower()
        if not after.startswith("-rc"):
            found.append((int(number), minor + more + ("fix" if after == "-fix" else "")))
    return found


def _read(tags: str, title: str, reply: bool, prefix: str) -> SubjectLine:
    count = _COUNT.search(tags)
    rest = tags if count is None else f"{tags[: count.start()]} , {tags[count.end() :]}"
    revisions = _revisions(rest)
    # Of "v1 v2" the last one was typed; "v2.1 2/5" and "v2-fix 2/5" come after v2.
    revision, more = revisions[-1] if revisions else (1, "")
    later = (count[2] or "") if count else ""
    if not later and count and (more[:1] == "." or more.lower().endswith("fix")):
        later = more
    kernels = [
        match[1]
        for match in _KERNEL.finditer(rest)
        if not _NO_BACKPORT.search(rest[: match.start()])
    ]
    return SubjectLine(
        title=title.strip(),
        tags=tags,
        number=int(count[1]) if count else None,
        total=int(count[3]) if count else None,
        later=later,
        revision=revision,
        stated=bool(revisions),
        rfc=_RFC.search(tags) is not None,
        kernel=" ".join(dict.fromkeys(kernels)),
        reply=reply,
        prefix=prefix,
    )
