# SPDX-License-Identifier: GPL-2.0-only
"""Which series of the registry were posted again since: asked of local mirrors of lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.series import registry
from harness.series.mail import lore, revisions
from harness.series.mail.archive import Archive
from harness.series.mail.lore import MailSource, Posted
from harness.series.registry import Entry
from harness.util.errors import UserError


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry, and the postings of its series after the last one that it lists, oldest first.

    found: whether the mirrors have any of the postings that it lists
    """

    entry: Entry
    newer: tuple[Posted, ...]
    found: bool

    @property
    def sentence(self) -> str:
        """What the entry lacks, "" where it lists all there is."""
        if not self.found:
            return f"{self.entry.path.name}: the mirrors have none of the postings that it lists"
        if not self.newer:
            return ""
        named = (f"{one.label} of {one.date[:10]} <{one.message_id}>" for one in self.newer)
        last = self.entry.revisions[-1].name
        return f"{self.entry.path.name} lists nothing after {last}: {', '.join(named)}"


def check(folder: Path, mails: MailSource) -> tuple[Checked, ...]:
    """All entries of the registry in a folder that are known by their mails.

    UserError where there is no mirror to look into.
    """
    if not mails.mirrors:
        raise UserError("newer revisions are looked for in local mirrors: name them by MIRROR=")
    archive = Archive(mails.mirrors, index=mails.cache / "index")
    archive.refresh()
    entries = [registry.read(name, registry=folder) for name in registry.names(folder)]
    with archive.reading():
        return tuple(_checked(one, archive) for one in entries if one.revisions)


def _checked(entry: Entry, archive: Archive) -> Checked:
    listed = {one.message_id for one in entry.revisions}
    known = [one.message_id for one in reversed(entry.revisions) if archive.mail(one.message_id)]
    if not known:
        return Checked(entry, (), found=False)
    found = revisions.family(archive, known[0])
    ours = [one for one in found if listed & one.ids]
    last = max((one.head.date for one in ours), default=0)
    labels = {one.label for one in ours}  # a cover letter may be mailed more than once
    newer = {
        one.label: Posted(one.label, one.head.message_id, one.head.title, lore.iso(one.head.date))
        for one in reversed(found)
        if one.head.date > last and one.label not in labels
    }
    return Checked(entry, tuple(newer.values())[::-1], found=True)
