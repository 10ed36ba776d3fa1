# SPDX-License-Identifier: GPL-2.0-only
"""Hashes of a result's files: what was recorded, and what is no longer so.

Two kinds of ``SHA256SUMS`` files, both in the format of sha256sum(1), sorted by path:

- ``boots/<cell>/<boot>/SHA256SUMS`` is written by ``boot`` as the last file of a boot, before the
  boot's folder gets its name.  There is no moment at which a boot has a name and no hashes.
- ``SHA256SUMS`` in the result's folder lists every file: the boots' lines, copied and not hashed
  again, the boots' own SHA256SUMS, manifest.json, experiment.json and the report.
  ``sha256sum -c SHA256SUMS`` there checks all of it without this program.  A study that is made
  of other results lists its own files; each result below it has its own SHA256SUMS.

Who may write which line is the point of it.  A boot's lines are written once: a comparison that
goes on keeps the lines that are there, adds those of new boots, and drops those of boots whose
folder or boot.json has been removed, because such a boot is run again.  Before it boots anything
it refuses if a boot that it would keep has changed (``resume``).  ``harness report`` renews the
report's lines only, and refuses before it writes if a raw file is not as recorded (``guard``).  A
warning would not do: the report is what gets mailed, and nobody would see the warning in it.
Whoever wants a report of changed files has to remove the SHA256SUMS files first, and then has a
result without hashes, which ``harness verify`` says.

These hashes find accidents and quiet edits.  They are no signature: who rewrites all files and
all hashes is not found.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness import __version__
from harness.experiment import defaults
from harness.results.manifest import ResultKind
from harness.util import atomic
from harness.util.errors import UserError
from harness.util.paths import PACKAGE, REPO

NAME = "SHA256SUMS"
REPORT = "report/"
_TEXTS = ("bench.txt", "bisect.txt", "calibration.txt", "revisions.csv", "revisions.txt")
"""Reports that lie beside that folder."""

_ROOT = (
    "manifest.json",
    "experiment.json",
    "spec.yaml",
    "series.mbox",
    "base.diff",
    "head.diff",
    "shared.json",
    "traces.json",
    "sizes.json",
    "places-base.json.gz",
    "places-patch.json.gz",
    "symbols-base.json.gz",
    "symbols-patch.json.gz",
    "base.config",
    "patch.config",
)
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MADE = "# report made with: "
# What the bytes of a report depend on, beside the raw files.
_PACKAGES = ("util", "stats", "experiment", "results", "report", "studies")
_LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib", "Jinja2")
_CODE = (".py", ".yaml", ".j2", ".css")


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A place below the results folder, and in what it differs from what was recorded."""

    place: str
    what: str


@dataclass(frozen=True, slots=True)
class Sums:
    """One SHA256SUMS file.

    lines: hash by path, relative to the file's folder
    made: what the report was made with, "" if not said
    faults: lines that are none, one sentence each
    """

    lines: Mapping[str, str]
    made: str = ""
    faults: tuple[str, ...] = ()


def boot(folder: Path) -> None:
    """Seal one boot's folder; call it when all other files are written."""
    _write(folder, Sums(_hashed(folder, _walk(folder))))


def resume(results: Path) -> None:
    """Before more boots: refuse if a boot that would be kept has changed, forget the others.

    Kept are boots with a boot.json, as ``plan`` has it.  UserError names the boot and the way out.
    """
    top = read(results)
    if top:
        kept = {
            path: value
            for path, value in top.lines.items()
            if not (home := _boot_of(path)) or (results / home / "boot.json").is_file()
        }
        top = Sums(kept, top.made)
    for item in _boot_differences(results, top):
        home = _boot_of(f"{item.place}/")
        if not home or (results / home / "boot.json").is_file():
            raise UserError(
                f"'{results / item.place}' {item.what}: a comparison goes on only with boots as "
                f"they were recorded; remove '{results / (home or item.place)}'"
                f"{' to run that boot again' if home else ''}"
            )
    if top:
        _write(results, top)


def raw(results: Path) -> None:
    """Seal the raw files of a comparison that has run all its boots, or of a study of results.

    A boot that has lines keeps them.  A boot without a SHA256SUMS of its own was made by a version
    without hashes; it is sealed as it is now.
    """
    top = read(results) or Sums({})
    lines = dict(top.lines)
    if not (results / "boots").is_dir():  # what a study records it writes anew at each call
        lines = {path: value for path, value in lines.items() if is_report(path)}
    sealed = {_boot_of(path) for path in lines}
    for home in _homes(results):
        if home not in sealed:
            own = read(results / home)
            lines |= {f"{home}/{path}": value for path, value in own.lines.items()} if own else {}
            lines |= _hashed(results, [f"{home}/{NAME}"] if own else _walk(results, home))
    lines |= _hashed(results, _own(results))
    _write(results, Sums(lines, top.made))


def guard(results: Path) -> None:
    """Before a report is written: refuse if a raw file is not as it was recorded.

    A result without hashes, and boots of a comparison still under way, pass.  UserError names the
    first file.
    """
    found = raw_differences(results)
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(
            f"'{results / first.place}' {first.what}{more}: no report is written over raw files "
            f"that changed; restore them ('harness verify {results}' names all), or remove "
            f"'{results / NAME}' and those in boots/ to have a report without hashes"
        )


def report(results: Path) -> None:
    """Renew the report's lines, and no other; nothing if the raw files have no hashes."""
    top = read(results)
    if top:
        lines = {path: value for path, value in top.lines.items() if not is_report(path)}
        lines |= _hashed(results, _reported(results))
        _write(results, Sums(lines, made_with()))


def raw_differences(results: Path) -> tuple[FileDifference, ...]:
    """Raw files that changed, are missing or not listed, and damage to SHA256SUMS; by path.

    A boot that the result's own file does not list yet is judged by its own hashes; ``unlisted``
    names such boots.
    """
    top = read(results)
    found = list(_boot_differences(results, top))
    if top:
        names = {
            path for path in top.lines if not path.startswith("boots/") and not is_report(path)
        }
        found += _compared(results, top.lines, names | set(_own(results)))
        found += [FileDifference(NAME, fault) for fault in top.faults]
    return tuple(sorted(found, key=lambda item: item.place))


def report_differences(results: Path) -> tuple[FileDifference, ...]:
    """The same for the files of the report; none if the result has no hashes."""
    top = read(results)
    if not top:
        return ()
    names = {path for path in top.lines if is_report(path)}
    return tuple(_compared(results, top.lines, names | set(_reported(results))))


def is_report(path: str) -> bool:
    """Whether a path of a results folder is a report: it follows from the other files."""
    return path.startswith(REPORT) or path in _TEXTS


def results_below(folder: Path) -> tuple[Path, ...]:
    """The results that a study is made of, as far as they lie in its folder.

    Each has boots, or is a walk with results of its own, which are not named then.
    """
    walks = [path.parent for path in folder.glob(f"*/{ResultKind.WALK.record}")]
    found = [path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/boots")]
    outer = (path for path in found if path.parent not in walks)
    shown = (path for path in (*walks, *outer) if not any(part[0] == "." for part in path.parts))
    return tuple(sorted(shown))


def unlisted(results: Path) -> tuple[str, ...]:
    """Folders of boots that the result's own SHA256SUMS does not list, though it may yet."""
    top = read(results)
    listed = {_boot_of(path) for path in top.lines} if top else set()
    return tuple(home for home in _homes(results) if home not in listed)


def read(folder: Path) -> Sums | None:
    """The SHA256SUMS file of a folder, None if it has none.  Never fails on its content."""
    path = folder / NAME
    if not path.is_file():
        return None
    text = path.read_text("utf-8", "backslashreplace")
    lines: dict[str, str] = {}
    made, faults = "", []
    *rows, rest = text.split("\n")
    if rest:
        faults.append("does not end with a whole line")
        rows.append(rest)
    for number, row in enumerate(rows, 1):
        if row.startswith("#"):
            made = row.removeprefix(_MADE) if row.startswith(_MADE) else made
            continue
        match = _LINE.fullmatch(row)
        if not match or not _is_inside(match[2]) or match[2] in lines:
            faults.append(f"line {number} is no line of hash and path, or names a path twice")
        else:
            lines[match[2]] = match[1]
    return Sums(lines, made, tuple(faults))


@cache
def made_with() -> str:
    """What a report's bytes depend on beside the raw files: this code and its libraries.

    One line: version and hash of the harness, versions of Python and the libraries that compute
    and draw.
    """
    words = [f"harness {__version__} (code {code_hash()})", f"Python {platform.python_version()}"]
    for name in _LIBRARIES:
        try:
            words.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            words.append(f"{name} unknown")
    return ", ".join(words)


def code_hash() -> str:
    """Twelve digits of a hash over the code and the data that make the figures of a report.

    It covers the packages that read and judge a result, and those that they use.  A report keeps
    its identity when the command line, the builds or the guests change: what these did is in the
    raw files, which have hashes of their own.  ``kernels`` holds the models, claims and known
    weights that reports print.  ``studies`` also holds code that measures: a list of the modules
    that do not would go stale.
    """
    roots = (*(PACKAGE / name for name in _PACKAGES), REPO / "kernels")
    files = (path for root in roots for path in root.rglob("*") if path.suffix in _CODE)
    code = "".join(f"{atomic.sha256_file(path)}\n" for path in sorted(files))
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _boot_differences(results: Path, top: Sums | None) -> Iterator[FileDifference]:
    """Boots by the result's lines where it has any for them, by their own file where not."""
    lines = top.lines if top else {}
    listed = {path for path in lines if path.startswith("boots/")}
    homes = {_boot_of(path) for path in listed}
    stray = {path for path in _walk(results, "boots") if not _boot_of(path)} if top else set()
    yield from _compared(results, lines, stray)
    for home in sorted({*_homes(results), *homes} - {""}):
        if home in homes:
            here = {path for path in listed if _boot_of(path) == home}
            yield from _compared(results, lines, here | set(_walk(results, home)))
        elif own := read(results / home):
            yield from (FileDifference(f"{home}/{NAME}", fault) for fault in own.faults)
            paths = {path.removeprefix(f"{home}/") for path in _walk(results, home)}
            names = (paths | own.lines.keys()) - {NAME}
            for item in _compared(results / home, own.lines, names):
                yield FileDifference(f"{home}/{item.place}", item.what)
        elif top:
            yield FileDifference(home, f"has no {NAME} and is not listed in that of the result")


def _compared(
    root: Path, lines: Mapping[str, str], paths: Iterable[str]
) -> Iterator[FileDifference]:
    for path in sorted(paths):
        if path not in lines:
            yield FileDifference(path, f"is not listed in {NAME}")
            continue
        try:
            now = atomic.sha256_file(root / path)
        except FileNotFoundError:
            yield FileDifference(path, "is missing")
        except OSError as error:
            yield FileDifference(path, f"cannot be read ({error.strerror})")
        else:
            if now != lines[path]:
                yield FileDifference(path, "changed: its hash is not the recorded one")


def _hashed(root: Path, paths: Iterable[str]) -> dict[str, str]:
    return {path: atomic.sha256_file(root / path) for path in paths}


def _walk(root: Path, below: str = "") -> list[str]:
    """Paths, relative to ``root``, of all files below a folder of it.

    Names that begin with a dot are work under way.  A link to a folder counts as a file: readers
    would follow it, and no seal was ever made of one.
    """
    found = []
    for folder, names, files in os.walk(root / below):
        here = Path(folder)
        links = [name for name in names if (here / name).is_symlink()]
        names[:] = [name for name in names if not name.startswith(".")]
        for name in (*files, *links):
            if not name.startswith("."):
                found.append((here / name).relative_to(root).as_posix())
    return sorted(found)


def _own(results: Path) -> list[str]:
    """The raw files of a results folder beside those of its boots."""
    if (results / "boots").is_dir():
        fragments = sorted(path.name for path in results.glob("fragment-*.config"))
        own = _walk(results, defaults.PROGRAMS)
        return [*(name for name in _ROOT if (results / name).is_file()), *fragments, *own]
    below = tuple(path.relative_to(results).as_posix() + "/" for path in results_below(results))
    return [
        path
        for path in _walk(results)
        if path not in (NAME, defaults.DRAFT) and not is_report(path) and not path.startswith(below)
    ]


def _reported(results: Path) -> list[str]:
    return [*_walk(results, "report"), *(name for name in _TEXTS if (results / name).is_file())]


def _homes(results: Path) -> list[str]:
    """The boots' folders, e.g. "boots/zram.pageio/00-base"."""
    found = (results / "boots").glob("[!.]*/[!.]*")
    return sorted(path.relative_to(results).as_posix() for path in found if path.is_dir())


def _boot_of(path: str) -> str:
    """The boot's folder that a path lies in, "" if in none."""
    parts = path.split("/")
    return "/".join(parts[:3]) if len(parts) > 3 and parts[0] == "boots" else ""


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and not {"", ".", ".."} & set(path.split("/"))


def _write(folder: Path, sums: Sums) -> None:
    head = f"{_MADE}{sums.made}\n" if sums.made else ""
    rows = (f"{value}  {path}\n" for path, value in sorted(sums.lines.items()))
    atomic.text(folder / NAME, head + "".join(rows))
