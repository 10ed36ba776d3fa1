# SPDX-License-Identifier: GPL-2.0-only
"""The folder of all results: what lies in it, which is the newest, and what a name means."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.util.errors import UserError
from harness.util.hostspace import below
from harness.util.yamlfile import near

LATEST, PREVIOUS = "latest", "previous"
"""Names that stand for the newest finished result and the one before it."""

_EXPERIMENT = "experiment.json"
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class ListedResult:
    """One result.  kind: None if nothing says it yet; when: seconds since 1970.

    finished: a run of it came to its end
    """

    path: Path
    kind: ResultKind | None
    when: float
    finished: bool

    @property
    def size(self) -> int:
        """Bytes on the disk; a boot that another result has, too, counts in both."""
        return sum(one.st_blocks * _BLOCK for one in below(self.path))


def entries(root: Path) -> tuple[ListedResult, ...]:
    """The results in a folder, newest first; what is no result is left out."""
    found = (_entry(path) for path in _folders(root))
    return tuple(sorted(filter(None, found), key=lambda one: (-one.when, one.path.name)))


def with_boots(root: Path) -> tuple[Path, ...]:
    """Every folder below ``root`` that has boots and an identity, newest first.

    Results, and those that a walk, a bisection or a nightly is made of.
    """
    found = [
        path.parent
        for depth in ("*", "*/*", "*/*/*")
        for path in root.glob(f"{depth}/{_EXPERIMENT}")
        if not _is_hidden(path.relative_to(root)) and (path.parent / "boots").is_dir()
    ]
    real = [path for path in found if not _through_link(root, path)]
    return tuple(sorted(real, key=lambda path: (-path.stat().st_mtime, str(path))))


def find(word: str, root: Path) -> Path:
    """What RESULT= names: a path, the name of a result below ``root``, "latest" or "previous".

    UserError says what there is.
    """
    if word in (LATEST, PREVIOUS):
        return named(word, root)
    places = (Path(word), root / word)
    for path in places if "/" in word else reversed(places):
        if word and (path.is_symlink() or path.exists()):
            return path.parent / path.readlink() if path.is_symlink() else path
    known = [one.path.name for one in entries(root)]
    what = f"there is no result '{word}'{near(word, known)}" if word else "no result is named"
    raise UserError(f"{what}: RESULT= takes {LATEST}, {PREVIOUS}, a path or {_names(known, root)}")


def named(word: str, root: Path, kind: ResultKind | None = None) -> Path:
    """The newest finished result ("latest") or the one before it, of any kind or of one."""
    found = [one for one in entries(root) if one.finished and kind in (None, one.kind)]
    place = (LATEST, PREVIOUS).index(word)
    if len(found) <= place:
        what = f" of 'make {kind}'" if kind else ""
        raise UserError(
            f"there is no '{word}' result{what}: '{root}' has {len(found)} finished "
            f"result{'' if len(found) == 1 else 's'}{what}"
        )
    return found[place].path


def before(folder: Path, root: Path) -> Path:
    """The newest finished comparison but ``folder``.  UserError if there is none."""
    for one in entries(root):
        is_done = one.finished and one.kind is ResultKind.COMPARE
        if is_done and one.path.resolve() != folder.resolve():
            return one.path
    raise UserError(f"'{root}' has no other comparison")


def point(root: Path) -> None:
    """Make the link ``latest`` name the newest finished result; none where there is no result."""
    link = root / LATEST
    if link.exists() and not link.is_symlink():
        return  # somebody's own
    done = [one for one in entries(root) if one.finished]
    with contextlib.suppress(OSError):  # a file system without links does without
        if not done:
            link.unlink(missing_ok=True)
            return
        scratch = root / f".{LATEST}.{os.getpid()}"
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(done[0].path.name)
        scratch.replace(link)


def own(word: str, root: Path) -> ListedResult:
    """The result of that name in ``root`` itself: the only kind that may be removed.

    UserError for a path that leads elsewhere, and for what is no result.
    """
    name = named(word, root).name if word in (LATEST, PREVIOUS) else word
    inside = Path(name)
    if inside.parent.absolute() == root.absolute():
        name = inside.name
    path = root / name
    if not name or name != Path(name).name or name in (".", ".."):
        raise UserError(f"'{word}' does not name a result in '{root}': give its name alone")
    found = None if path.is_symlink() or not path.is_dir() else _entry(path)
    if found is None:
        known = [one.path.name for one in entries(root)]
        raise UserError(f"there is no result '{name}' in '{root}'{near(name, known)}")
    return found


def remove(one: ListedResult) -> None:
    """Remove a result; no other result loses anything by it, since boots are hard-linked."""
    # Out of sight first: a killed removal must not leave a folder that looks whole.
    away = one.path.with_name(f".gone.{one.path.name}.{os.getpid()}")
    one.path.rename(away)
    shutil.rmtree(away)


def _folders(root: Path) -> Iterator[Path]:
    for path in sorted(root.glob("[!.]*")):
        if path.is_dir() and not path.is_symlink():
            yield path


def _entry(path: Path) -> ListedResult | None:
    try:
        kind = kind_of(path)
    except UserError:
        # Nothing says what it is to be.
        begun = [*path.glob(_EXPERIMENT), *sorted(path.glob(f"*/{_EXPERIMENT}"))]
        if begun:
            return ListedResult(path, None, begun[0].stat().st_mtime, finished=False)
        return None
    record = path / kind.record
    finished = record.is_file()
    return ListedResult(path, kind, (record if finished else path).stat().st_mtime, finished)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _through_link(root: Path, path: Path) -> bool:
    """Whether a path below ``root`` goes through a link, like ``latest``."""
    steps = path.relative_to(root).parts
    return any(root.joinpath(*steps[:count]).is_symlink() for count in range(1, len(steps) + 1))


def _names(known: Sequence[str], root: Path) -> str:
    shown = ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
    return f"a name in '{root}' ({shown})" if known else f"a name in '{root}', which has none yet"
