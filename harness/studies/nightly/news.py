# SPDX-License-Identifier: GPL-2.0-only
"""What is there to be measured: revisions of followed series, heads of followed branches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.series import registry
from harness.series.mail import lore
from harness.series.mail.lore import MailSource, Posted
from harness.source.git import last_line, run_git
from harness.source.gitnames import public_url
from harness.studies.nightly.config import Branch, Config, FollowedSeries
from harness.studies.nightly.job import Subject
from harness.util.errors import HarnessError, InfraError, UserError


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that could not be looked at: where, and the error."""

    place: str
    error: HarnessError


@dataclass(frozen=True, slots=True)
class News:
    """All points that are known now, whether they were measured before or not."""

    points: tuple[Subject, ...]
    troubles: tuple[Trouble, ...]


def look(config: Config, mails: MailSource, *, registry_folder: Path, now: str) -> News:
    """Ask the registry, the mails and the repositories.  What cannot be asked is a trouble."""
    points: list[Subject] = []
    troubles: list[Trouble] = []
    for series in config.series:
        try:
            points += _of_series(series, mails, registry_folder, troubles)
        except HarnessError as error:
            troubles.append(Trouble(series.name, error))
    for branch in config.branches:
        try:
            commit = head(branch)
        except HarnessError as error:
            troubles.append(Trouble(branch.name, error))
            continue
        points += [
            Subject(branch.name, "branch", commit[:12], now, "", commit, base, branch.git)
            for base in branch.bases
        ]
    return News(tuple(points), tuple(troubles))


def head(branch: Branch) -> str:
    """The commit of a branch now: a path or URL is asked.  UserError, InfraError."""
    ref = branch.ref if branch.ref.startswith("refs/") else f"refs/heads/{branch.ref}"
    place = branch.git
    if Path(place).expanduser().is_dir():
        place = str(Path(place).expanduser().resolve())
    elif "://" not in place and ":" not in place:
        raise UserError(f"{branch.name}: {place} is neither a folder nor a URL")
    done = run_git(["ls-remote", "--", place, ref])
    shown = public_url(branch.git)
    if done.returncode != 0:
        raise InfraError(f"{branch.name}: {shown} cannot be asked: {last_line(done.stderr)}")
    for line in done.stdout.decode(errors="replace").splitlines():
        commit, _, name = line.partition("\t")
        if name == ref and re.fullmatch(r"[0-9a-f]{40}", commit):
            return commit
    raise UserError(f"{branch.name}: {shown} has no branch {branch.ref}")


def _of_series(
    series: FollowedSeries, mails: MailSource, folder: Path, troubles: list[Trouble]
) -> Iterator[Subject]:
    """Newest first.  What the registry has is known even where mails cannot be asked."""
    known: list[tuple[str, str, str]] = []  # label, date, PATCH=
    if series.series:
        entry = registry.read(series.series, registry=folder)
        known = [
            (one.name, one.date or "", f"{entry.name}-{one.name}") for one in entry.revisions
        ] or [("", "", entry.name)]
        message_id = entry.revisions[-1].message_id if entry.revisions else ""
    else:
        message_id = series.message_id
    if message_id or series.change_id:
        try:
            posted = _posted(message_id, series.change_id, mails)
        except HarnessError as error:
            if not known:
                raise
            troubles.append(Trouble(series.name, error))
            posted = ()
        known += _newer(known, posted)
    for base in series.bases:
        for age, (label, date, patch) in enumerate(reversed(_since(series, known))):
            yield Subject(series.name, "series", label, date, patch, "", base, age=age)


def _posted(message_id: str, change_id: str, mails: MailSource) -> tuple[Posted, ...]:
    address = lore.parse(message_id) if message_id else lore.by_change_id(change_id, mails)
    assert address is not None  # nightly.yaml was checked
    return lore.postings(address, mails)


def _newer(
    known: Sequence[tuple[str, str, str]], posted: Sequence[Posted]
) -> list[tuple[str, str, str]]:
    """The postings after the last one that the registry has."""
    labels = {label for label, _, _ in known}
    last = max((date for _, date, _ in known), default="")
    return [
        (one.label, one.date, f"mail:{one.message_id}")
        for one in posted
        if one.label not in labels and one.date[: len(last)] >= last
    ]


def _since(series: FollowedSeries, known: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    if not series.from_:
        return known
    labels = [label for label, _, _ in known]
    if series.from_ not in labels:
        raise UserError(
            f"{series.name}: there is no revision {series.from_} to begin from "
            f"(known: {', '.join(filter(None, labels)) or 'none'})"
        )
    return known[labels.index(series.from_) :]
