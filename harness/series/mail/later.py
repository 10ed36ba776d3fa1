# SPDX-License-Identifier: GPL-2.0-only
"""Patches that were sent into a posting later: put where they belong.  Pure.

The blob ids in the index lines tell whether one replaces the patch of its number, or comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.series import blobmatch
from harness.series.mail.mbox import Mail
from harness.series.mail.thread import Sending, called


def taken(sending: Sending, beside: Sequence[Mail] = ()) -> Sending:
    """The sending with the later patches of its own count in it; ``notes`` tell each place.

    ``beside`` are patches without a number: behind the last one comes what changes its result.
    """
    patches = list(sending.patches)
    notes = list(sending.notes)
    left = []
    for mail in sorted(sending.others, key=lambda one: (one.date, one.number or 0)):
        if mail.total != sending.total or not mail.diff:
            left.append(mail)
            continue
        place = f"{mail.number}{mail.later}/{mail.total}"
        spot = next((n for n, one in enumerate(patches) if one.number == mail.number), None)
        if (
            spot is not None
            and not mail.later.startswith(".")
            and not on_top(mail, patches[spot : spot + 1])
        ):
            notes.append(f"{called(mail)} was taken in place of patch {place}")
            patches[spot] = mail
        else:
            behind = [n for n, one in enumerate(patches) if (one.number or 0) <= (mail.number or 0)]
            patches.insert(behind[-1] + 1 if behind else 0, mail)
            notes.append(f"{called(mail)} was taken as patch {place} too")
    for mail in sorted(beside, key=lambda one: one.date):
        if on_top(mail, patches):
            patches.append(mail)
            notes.append(f"{called(mail)} was taken on top of all patches")
    return replace(sending, patches=tuple(patches), others=tuple(left), notes=tuple(notes))


def on_top(mail: Mail, patches: Sequence[Mail]) -> bool:
    """Whether a mail changes what the patches have made, and does not make it anew."""
    made = {path: new for one in patches for _, path, _, new in blobmatch.files(one.diff)}
    found = {path: old for path, _, old, _ in blobmatch.files(mail.diff)}
    shared = [path for path in found if path in made]
    size = min((len(blob) for blob in (*made.values(), *found.values())), default=0)
    return bool(shared) and all(found[path][:size] == made[path][:size] for path in shared)
