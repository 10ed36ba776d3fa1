"""Where a patch series comes from, and a branch with it applied to a base.

A folder, an mbox or a name of the registry becomes an ordered list of patches.  Applying is
``git am`` in a worktree without files, so it takes a second on a whole kernel, and gives the same
commit for the same patches on the same base, always.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness import mbox, patchset
from harness.errors import InfraError, KernelFailure, UserError
from harness.git import last_line, patch_ids
from harness.gitstore import IDENTITY, GitStore
from harness.registry import Entry
from harness.registry import names as entry_names
from harness.registry import read as read_entry
from harness.sandbox import Sandbox

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


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch; ``patch_id`` is git's stable one, ``sha256`` covers author, date and text too."""

    number: int
    subject: str
    message_id: str | None
    patch_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Series:
    """Ordered patches, and all of them as one mbox (of the mboxrd kind).

    ``locator`` finds it again (registry:NAME, dir:PATH, mbox:PATH); ``base_commit_hint`` is what
    a ``base-commit:`` line says; ``notes`` tell what was left out and why.
    """

    name: str
    title: str
    locator: str
    patches: tuple[Patch, ...]
    base_commit_hint: str | None
    mbox: bytes = field(repr=False)
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The hash of all patches in order."""
        return hashlib.sha256(" ".join(p.sha256 for p in self.patches).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AppliedSeries:
    """A series on its base: the last commit, its tree, and one commit for each patch in order."""

    series: Series
    commit: str
    tree: str
    commits: tuple[str, ...]

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The patches, in the order of ``commits``."""
        return self.series.patches


class ApplyFailed(KernelFailure):
    """A patch does not apply to the base; ``file`` and ``line`` are None when git names none."""

    def __init__(
        self, message: str, *, patch: Patch, file: str | None, line: int | None, base: str
    ) -> None:
        super().__init__(message)
        self.patch = patch
        self.file = file
        self.line = line
        self.base = base


def load(name: str, *, registry: Path, version: str | None = None) -> Series:
    """The series called `name`: a folder, an mbox or patch file, or a name of the registry.

    ``registry`` is the folder of the yaml files; ``version`` is the base's kernel version, for
    series that have patches for each.  Raises UserError for a name that means nothing or two
    things, and for patches that are missing, contradict each other or cannot be read.
    """
    place = find(name, registry=registry)
    if place.entry is None:
        path, default = place.path, place.path.resolve().stem
        locator = f"{_kind(path)}:{name}"
    else:
        path, default = place.entry.place(version), place.entry.name
        locator = f"registry:{place.entry.name}"
        if not path.exists():
            raise UserError(f"{place.entry.path} names {path}, which does not exist")
    mails = patchset.from_folder(path) if path.is_dir() else patchset.from_file(path)
    title = place.entry.title if place.entry else (mails.title or default)
    ids = patch_ids([mail.diff for mail in mails.patches])
    return Series(
        name=default,
        title=title,
        locator=locator,
        patches=tuple(
            Patch(number, mail.subject, mail.message_id, patch_id, mail.sha256)
            for number, (mail, patch_id) in enumerate(zip(mails.patches, ids, strict=True), 1)
        ),
        base_commit_hint=mails.base_commit,
        mbox=mbox.join(mail.canonical for mail in mails.patches),
        notes=mails.notes,
    )


def check(name: str, *, registry: Path) -> None:
    """Raise UserError now if `load` cannot find a series called `name`."""
    find(name, registry=registry)


@dataclass(frozen=True, slots=True)
class Place:
    """What a name means: a path, or an entry of the registry."""

    path: Path
    entry: Entry | None


def find(name: str, *, registry: Path) -> Place:
    """Settle what `name` means; UserError when that is nothing or two things."""
    if name.startswith("registry:"):
        entry = read_entry(name.removeprefix("registry:"), registry=registry)
        return Place(entry.path, entry)
    path = Path(name).expanduser()
    if "/" in name or name.startswith((".", "~")):
        if not path.exists():
            raise UserError(f"{name} is neither a folder with patches nor an mbox")
        return Place(path, None)
    if name in entry_names(registry):
        if path.exists():
            raise UserError(
                f"{name} is a path here and a series of the registry: "
                f"write ./{name} or registry:{name}"
            )
    elif path.exists():
        return Place(path, None)
    elif "@" in name:
        raise UserError(
            f"{name} looks like a message-id: save its thread as an mbox and give the path of that"
        )
    entry = read_entry(name, registry=registry)
    return Place(entry.path, entry)


def as_data(applied: AppliedSeries) -> dict[str, Any]:
    """What a manifest says of an applied series: plain values for JSON."""
    series = applied.series
    return {
        "name": series.name,
        "title": series.title,
        "locator": series.locator,
        "digest": series.digest,
        "base_commit_hint": series.base_commit_hint,
        "notes": list(series.notes),
        "commit": applied.commit,
        "tree": applied.tree,
        "patches": [
            asdict(patch) | {"commit": commit}
            for patch, commit in zip(applied.patches, applied.commits, strict=True)
        ],
    }


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
    user calls the base.  Raises ApplyFailed with the patch, file and line; the store is then as
    it was before.
    """
    key = hashlib.sha256(f"{_SCHEMA} {base_commit} {series.digest}".encode()).hexdigest()
    ref = f"refs/harness/applied/{key}"
    tip = store.commit_of(ref)
    if tip is None:
        base = f"{base_name} ({base_commit[:12]})" if base_name else f"commit {base_commit[:12]}"
        with _worktree(store, base_commit, scratch) as tree:
            tip = _am(series, store, tree, base_commit=base_commit, base=base, sandbox=sandbox)
        store.set_ref(ref, tip)
    commits = store.range(base_commit, tip)
    if len(commits) != len(series.patches):
        raise InfraError(f"{len(series.patches)} patches gave {len(commits)} commits on {tip}")
    return AppliedSeries(series, tip, store.tree_of(tip), commits)


@contextmanager
def _worktree(store: GitStore, commit: str, scratch: Path) -> Iterator[Path]:
    """A worktree without files in a folder of its own, removed afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="apply-"))
    worktree = folder / "tree"
    try:
        store.add_worktree(worktree, commit, checkout=False)
        yield worktree
    finally:
        store.remove_worktree(worktree)
        shutil.rmtree(folder, ignore_errors=True)


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
        raise failure(series, done.stdout + b"\n" + done.stderr, base=base)
    head = store.git_in(worktree, "rev-parse", "--verify", "HEAD", sandbox=sandbox)
    if head.returncode != 0:
        raise InfraError(f"git rev-parse failed: {last_line(head.stderr)}")
    return head.stdout.decode().strip()


def failure(series: Series, output: bytes, *, base: str) -> ApplyFailed | InfraError:
    """The error that the output of a failed git am amounts to."""
    text = output.decode(errors="replace")
    at = _FAILED_AT.search(text)
    if not at or not 1 <= int(at[1]) <= len(series.patches):
        return InfraError(f"git am failed: {last_line(output)}")
    patch = series.patches[int(at[1]) - 1]
    file, line, why = _failed_place(text)
    where = f": {file}" if file else ""
    where += f":{line}" if line else ""
    message = (
        f'patch {patch.number}/{len(series.patches)} of {series.name}, "{patch.subject}", '
        f"does not apply{where}: {why}; the base is {base}"
    )
    return ApplyFailed(message, patch=patch, file=file, line=line, base=base)


def _failed_place(text: str) -> tuple[str | None, int | None, str]:
    """File, line and reason of the first complaint in git am's output."""
    place, file = _FAILED_PLACE.search(text), _FAILED_FILE.search(text)
    if place and (not file or place.start() < file.start()):
        return place["file"], int(place["line"]), "the hunk does not match"
    if file:
        why = file["why"].replace("in index", "in the base").replace("in working directory", "")
        return file["file"], None, why.strip()
    other = re.search(r"^error: (.+)$", text, re.MULTILINE)
    return None, None, other[1] if other else "git does not say why"


def _kind(path: Path) -> str:
    return "dir" if path.is_dir() else "mbox"
