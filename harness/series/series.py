# SPDX-License-Identifier: GPL-2.0-only
"""Where a patch series comes from, and a branch with it applied to a base.

A folder, mbox, mail, range of commits or name of the registry becomes an ordered list of patches.
Applying is ``git am`` in a worktree without files, so it takes a second on a whole kernel, and
gives the same commit for the same patches on the same base, always.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from harness.results.manifest import BasisFacts, PatchFacts, SeriesFacts
from harness.series import gitrange, patchset
from harness.series.locator import GitRange, Listed, find
from harness.series.mail import cover, lore, mbox
from harness.series.mail.lore import Address, MailSource
from harness.series.model import AppliedSeries, Patch, Series
from harness.series.patchset import PatchSet
from harness.source.git import last_line, patch_ids
from harness.source.gitstore import IDENTITY, GitStore
from harness.util.errors import InfraError, KernelFailure, UserError
from harness.util.sandbox import Sandbox

_SCHEMA = 1  # counts up when the same mails would give other commits

# Every option that changes what becomes a commit is stated; "git am" has its own defaults only
# for the rest.  CR at line ends is dropped, also in encoded mails: no kernel file wants it.
_AM = (
    "am",
    "--patch-format=mboxrd",
    "--committer-date-is-author-date",
    "--keep-non-patch",
    "--no-keep-cr",
    "--quoted-cr=strip",
    "--no-3way",
    "--no-scissors",
    "--no-signoff",
    "--no-message-id",
    "--no-gpg-sign",
    "--whitespace=nowarn",
)
_FAILED_AT = re.compile(r"^Patch failed at (\d+) ", re.MULTILINE)
_FAILED_PLACE = re.compile(r"^error: patch failed: (?P<file>.+):(?P<line>\d+)$", re.MULTILINE)
_FAILED_FILE = re.compile(
    r"^error: (?P<file>.+): (?P<why>does not exist in index|already exists in index"
    r"|does not match index|patch does not apply|wrong type|already exists in working directory)",
    re.MULTILINE,
)


class ApplyFailed(KernelFailure):
    """A patch does not apply to the base; the message names the patch, file and line."""


def load(
    name: str,
    *,
    registry: Path,
    version: str | None = None,
    mails: MailSource | None = None,
    kernel_git: str | None = None,
    store: GitStore | None = None,
    base: str | None = None,
) -> Series:
    """The series called `name`: a folder, an mbox or patch file, a name of the registry, a
    message-id or URL of a mail, or a range of commits.

    ``registry`` is the folder of the yaml files; ``version`` is the base's kernel version, for
    series that have patches for each; ``mails`` says where mails are to be had, ``kernel_git``
    where the commits of a bare range are; ``store`` and ``base`` are as `gitrange.read` has them.
    Raises UserError for a name that means nothing or two
    things, and for patches that are missing, contradict each other or cannot be read.
    """
    place = find(name, registry=registry, kernel_git=kernel_git)
    if isinstance(place, Path):
        kind = "dir" if place.is_dir() else "mbox"
        return made(place.resolve().stem, f"{kind}:{name}", _from_path(place))
    if isinstance(place, GitRange):
        ranged = gitrange.read(place, store=store, base=base)
        origin = dict(ranged.origin)
        tip = "" if "uncommitted" in origin else origin["tip"]
        locator = f"{place.repository}:{ranged.base_commit}..{tip}"
        return made(origin["range"], locator, ranged)
    if isinstance(place, Address):
        fetched = lore.fetch(place, _needed(mails))
        message_id = dict(fetched.origin)["message_id"]
        return made(message_id, f"mail:{message_id}", fetched)
    return _from_registry(place, version, mails)


def _from_registry(place: Listed, version: str | None, mails: MailSource | None) -> Series:
    entry, revision = place.entry, place.revision
    locator = f"registry:{place.name}"
    if revision is None:
        path = entry.place(version)
        if not path.exists():
            raise UserError(f"{entry.path} names {path}, which does not exist")
        found = _from_path(path)
        if entry.on_top:
            more = _from_path(entry.path.parent / entry.on_top)
            found = replace(found, patches=(*found.patches, *more.patches))
        return made(entry.name, locator, replace(found, title=entry.title or found.title))
    found = lore.fetch(Address(revision.message_id, None, None), _needed(mails))
    stated, base = found.base_commit, revision.base
    if stated and base and stated != base:
        note = f"its mails name base-commit {stated}, {entry.path.name} names {base}"
        found = replace(found, notes=(*found.notes, note))
    title = f"{entry.title} {revision.name}"
    return made(place.name, locator, replace(found, title=title, base_commit=stated or base))


def _from_path(path: Path) -> PatchSet:
    """The patches in a folder or file, and the first headers of a posting saved there."""
    found = patchset.from_folder(path) if path.is_dir() else patchset.from_file(path)
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    raws = (raw for one in files for raw in mbox.split(one.read_bytes()))
    return replace(found, cover=cover.find(raws, found.head))


def made(name: str, locator: str, found: PatchSet) -> Series:
    """The patches as a series."""
    ids = patch_ids([mail.diff for mail in found.patches])
    return Series(
        name=name,
        title=found.title or name,
        locator=locator,
        patches=tuple(
            Patch(number, mail.subject, mail.message_id, patch_id, mail.sha256)
            for number, (mail, patch_id) in enumerate(zip(found.patches, ids, strict=True), 1)
        ),
        base_commit_hint=found.base_commit,
        mbox=mbox.join(mail.canonical for mail in found.patches),
        notes=found.notes,
        origin=found.origin,
        cover=found.cover,
        doubts=found.doubts,
        needs=found.needs,
    )


def first(series: Series, count: int) -> Series:
    """The series cut behind its patch number `count`.  UserError if it has not so many."""
    total = len(series.patches)
    if not 1 <= count <= total:
        raise UserError(f"{series.name} has {total} patches: there is no patch {count} to stop at")
    if count == total:
        return series
    note = f"only the first {count} of its {total} patches"
    return replace(
        series,
        title=f"{series.title}, {note}",
        patches=series.patches[:count],
        mbox=mbox.join(mbox.split(series.mbox)[:count]),
        whole=series.whole or series,
        notes=(*series.notes, note),
    )


def _needed(mails: MailSource | None) -> MailSource:
    if mails is None:
        raise InfraError("a series known by its message-id was asked for where no mail can be had")
    return mails


def facts(applied: AppliedSeries, basis: BasisFacts | None) -> SeriesFacts:
    """What a manifest says of an applied series and of the base that it was put on."""
    series = applied.series
    return SeriesFacts(
        name=series.name,
        title=series.title,
        locator=series.locator,
        digest=series.digest,
        base_commit_hint=series.base_commit_hint,
        notes=series.notes,
        doubts=series.doubts,
        origin=dict(series.origin),
        letter=cover.as_data(series.cover) if series.cover else None,
        commit=applied.commit,
        tree=applied.tree,
        patches=tuple(
            PatchFacts(**asdict(patch), commit=commit)
            for patch, commit in zip(applied.patches, applied.commits, strict=True)
        ),
        basis=basis,
    )


def apply(
    series: Series,
    *,
    store: GitStore,
    base_commit: str,
    scratch: Path,
    sandbox: Sandbox,
    base_name: str | None = None,
) -> AppliedSeries:
    """Apply the series to a commit of the store; at once if that was done before.

    ``scratch`` is a folder for a small worktree that is removed again; ``base_name`` is what the
    user calls the base.  Raises ApplyFailed; the store is then as
    it was before.
    """
    key = hashlib.sha256(f"{_SCHEMA} {base_commit} {series.digest}".encode()).hexdigest()
    ref = f"refs/harness/applied/{key}"
    tip = store.commit_of(ref)
    if tip is None:
        base = f"{base_name} ({base_commit[:12]})" if base_name else f"commit {base_commit[:12]}"
        with worktree(store, base_commit, scratch) as tree:
            tip = _am(series, store, tree, base_commit=base_commit, base=base, sandbox=sandbox)
        store.set_ref(ref, tip)
    commits = store.range(base_commit, tip)
    if len(commits) != len(series.patches):
        raise InfraError(f"{len(series.patches)} patches gave {len(commits)} commits on {tip}")
    return AppliedSeries(series, tip, store.tree_of(tip), commits)


@contextmanager
def worktree(store: GitStore, commit: str, scratch: Path) -> Iterator[Path]:
    """A worktree without files in a folder of its own, removed afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=scratch, prefix="apply-", ignore_cleanup_errors=True
    ) as folder:
        tree = Path(folder) / "tree"
        try:
            store.add_worktree(tree, commit, checkout=False)
            yield tree
        finally:
            store.remove_worktree(tree)


def _am(
    series: Series,
    store: GitStore,
    worktree: Path,
    *,
    base_commit: str,
    base: str,
    sandbox: Sandbox,
) -> str:
    mails = worktree.parent / "series.mbox"
    mails.write_bytes(series.mbox)
    done = store.git_in(worktree, *_AM, "--", str(mails), env=IDENTITY, sandbox=sandbox)
    if done.returncode != 0:
        if series.base_commit_hint not in (None, base_commit):
            base += f", and the series names base-commit {series.base_commit_hint}"
        if series.needs:
            base += f"; it names {_few(series.needs)}"
        raise failure(series, done.stdout + b"\n" + done.stderr, base=base)
    head = store.git_in(worktree, "rev-parse", "--verify", "HEAD", sandbox=sandbox)
    if head.returncode != 0:
        raise InfraError(f"git rev-parse failed: {last_line(head.stderr)}")
    return head.stdout.decode().strip()


def _few(lines: Sequence[str]) -> str:
    """The first lines, and how many more there are."""
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return f"{'; '.join(lines[:3])}{more}"


def failure(series: Series, output: bytes, *, base: str) -> ApplyFailed | InfraError:
    """The error that the output of a failed git am amounts to."""
    text = output.decode(errors="replace")
    at = _FAILED_AT.search(text)
    if not at or not 1 <= int(at[1]) <= len(series.patches):
        return InfraError(f"git am failed: {last_line(output)}")
    patch = series.patches[int(at[1]) - 1]
    return ApplyFailed(
        f'patch {patch.number}/{len(series.patches)} of {series.name}, "{patch.subject}", '
        f"does not apply: {_complaint(text)}; the base is {base}"
    )


def _complaint(text: str) -> str:
    """File, line and reason of the first complaint in git am's output."""
    place, file = _FAILED_PLACE.search(text), _FAILED_FILE.search(text)
    if place and (not file or place.start() < file.start()):
        return f"{place['file']}:{place['line']}: the hunk does not match"
    if file:
        why = file["why"].replace("in index", "in the base").replace("in working directory", "")
        return f"{file['file']}: {why.strip()}"
    other = re.search(r"^error: (.+)$", text, re.MULTILINE)
    return other[1] if other else "git does not say why"
