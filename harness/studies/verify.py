# SPDX-License-Identifier: GPL-2.0-only
"""Is a result still what was recorded, and does its report follow from its raw files?

Two questions, answered apart, because either can fail alone.  Hashes find a file that changed.
Deriving the report again finds a number that never was what the raw files say, even if somebody
renewed the hashes afterwards.  Nothing is written into the result: it may lie on a read-only disk.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

from harness.results import checksums, frames
from harness.results.checksums import FileDifference
from harness.studies import kinds
from harness.studies.kinds import StudyKind
from harness.studies.reply import draft
from harness.util.errors import HarnessError, UserError

# Differences named in one file; a page or plot differs in many places for one cause.
_NAMED = {".txt": 20, ".csv": 20, ".html": 1, ".svg": 1}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_AROUND = 30  # characters shown before a difference, and twice as many from it on


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    recorded: files that are not as recorded in SHA256SUMS
    derived: places of the report that are not what the raw files give
    files, reported: how many files are listed; how many of the report's were compared
    whole: text, pages and plots were compared, too; else the tables of figures alone
    notes: what may explain a difference, or was not checked; no difference itself
    parts: the same of each result that this one is made of
    """

    folder: Path
    recorded: tuple[FileDifference, ...]
    derived: tuple[FileDifference, ...]
    files: int
    reported: int
    notes: tuple[str, ...]
    whole: bool = True
    parts: tuple[Verification, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing differs, here and in the parts."""
        return not self._count and all(part.holds for part in self.parts)

    @property
    def _count(self) -> int:
        return len(self.recorded) + len(self.derived)

    def relative_to(self, root: Path) -> Verification:
        """The same with its folders as seen from ``root``."""
        parts = tuple(part.relative_to(root) for part in self.parts)
        return replace(self, folder=self.folder.resolve().relative_to(root), parts=parts)

    def text(self) -> str:
        """What to print: one line if all holds, else one line a difference; then the parts."""
        if not self._count:
            hashes = f"all {self.files} files are as recorded; " if self.files else ""
            what = (
                f"all {self.reported} files of the report follow from the raw files, byte for byte"
                if self.whole
                else f"every figure of its {self.reported} CSV tables follows from the raw files"
            )
            lines = [f"{self.folder}: {hashes}{what}"]
        else:
            lines = [f"{self.folder}: {self._count} difference{'s' if self._count != 1 else ''}"]
        for title, found in (
            (f"not as recorded in {checksums.NAME}:", self.recorded),
            ("not as the raw files give it:", self.derived),
        ):
            lines += [title] if found else []
            lines += [f"  {item.place} {item.what}" for item in found]
        own = "\n".join([*lines, *(f"note: {note}" for note in self.notes)]) + "\n"
        return own + "".join(part.text() for part in self.parts)


def verify(results: Path, *, beside: Sequence[Path] = ()) -> Verification:
    """Check results/<name>: its hashes, its report against one made anew, and its parts.

    ``beside`` are results of the same bundle: the draft of a mail may have their tables too.
    UserError if it is no results folder or has no hashes.
    """
    kind = kinds.of(results)
    has_boots = (results / "boots").is_dir()
    sums = checksums.read(results)
    if sums is None and has_boots:
        raise UserError(
            f"'{results}' has no {checksums.NAME}, so there is nothing to verify it against: its "
            "comparison has not finished, or a version without hashes made it; the same "
            "'make compare' again finishes it and records its files as they are then"
        )
    raw = checksums.raw_differences(results) if has_boots or sums else ()
    late = tuple(
        FileDifference(
            home, f"is not listed in {checksums.NAME}: a comparison under way, or interrupted"
        )
        for home in checksums.unlisted(results)
        if home not in {item.place for item in raw}
    )
    notes = [] if sums else [f"it has no {checksums.NAME} of its own: an older version wrote it"]
    made, here = sums.made if sums else "", checksums.made_with()
    whole = sums is not None and made == here
    if not whole:
        notes.append(
            f"the report was made with {made or 'unknown'}; this is {here}, whose text, pages and "
            "plots are others, so these were not compared"
        )
    listed = sums.lines if sums else {}
    parts, unsealed = _parts(kind, results)
    return Verification(
        folder=results,
        recorded=(*raw, *late, *checksums.report_differences(results)),
        derived=(
            *_derivation(results, damaged=bool(raw), whole=whole),
            *(_mailed(results, beside) if whole else ()),
        ),
        files=len(listed),
        reported=sum(whole or name.endswith(".csv") for name in _files(results)),
        notes=(*notes, *unsealed, *kind.notes(results)),
        whole=whole,
        parts=parts,
    )


def _parts(kind: StudyKind, results: Path) -> tuple[tuple[Verification, ...], list[str]]:
    """Each result that this one is made of; and a note for each that cannot be checked."""
    found, notes = [], []
    for part in kind.parts(results):
        if (part / checksums.NAME).is_file():
            found.append(verify(part))
        else:
            notes.append(f"'{part.name}' has no {checksums.NAME} and was not checked")
    return tuple(found), notes


def _derivation(results: Path, *, damaged: bool, whole: bool) -> tuple[FileDifference, ...]:
    try:
        with derived(results) as fresh:
            return compare(results, fresh, whole=whole)
    except HarnessError as error:
        return (FileDifference("report", f"cannot be derived: {error}"),)
    except Exception as error:
        # Out of sound files this is a bug and must look like one; damaged ones may hold anything.
        if not damaged:
            raise
        return (FileDifference("report", f"cannot be derived: {type(error).__name__}: {error}"),)


def _mailed(results: Path, beside: Sequence[Path]) -> Iterator[FileDifference]:
    """Lines with numbers that the draft of the mail should have and has not, in its own words."""
    path = results / draft.NAME
    if not path.is_file():
        return
    there = set(path.read_text("utf-8", "backslashreplace").splitlines())
    try:
        wanted = draft.numbers(results, beside)
    except HarnessError as error:
        yield FileDifference(draft.NAME, f"cannot be derived: {error}")
        return
    for line in wanted:
        if line not in there:
            yield FileDifference(draft.NAME, f"lacks a line that the raw files give: {line!a}")


@contextmanager
def derived(results: Path) -> Iterator[Path]:
    """``results`` with a report made from the raw files, in a folder that is removed afterwards."""
    whole = results.resolve()
    kind = kinds.of(results)
    with tempfile.TemporaryDirectory(prefix="harness-verify.") as scratch:
        # The same name, since a report names its result if the manifest does not.
        stage = Path(scratch) / (whole.name or "result")
        stage.mkdir()
        for item in whole.iterdir():
            is_report = checksums.is_report(item.name) or checksums.is_report(f"{item.name}/")
            if not is_report and item.name != checksums.NAME and not item.name.startswith("."):
                (stage / item.name).symlink_to(item)
        for part in kind.parts(whole):
            if not part.is_relative_to(whole):
                (stage.parent / part.name).symlink_to(part)
        kind.make(stage)
        yield stage


def compare(old: Path, new: Path, *, whole: bool = True) -> tuple[FileDifference, ...]:
    """Where the report of result ``old`` is not byte for byte that of ``new``; sorted by file.

    Not ``whole``: where figures differ in the tables that both have.
    """
    found: list[FileDifference] = []
    there, given = _files(old), _files(new)
    if not whole:
        for place in sorted(name for name in there & given if name.endswith(".csv")):
            found += _contents(
                place, _renamed((old / place).read_bytes()), (new / place).read_bytes()
            )
        return tuple(found)
    for place in sorted(there | given):
        if place not in given:
            found.append(FileDifference(place, "is there, but the raw files do not give it"))
        elif place not in there:
            found.append(FileDifference(place, "is not there, but the raw files give it"))
        else:
            found += _contents(place, (old / place).read_bytes(), (new / place).read_bytes())
    return tuple(found)


def _renamed(table: bytes) -> bytes:
    """A table with the names that arms have now."""
    for before, now in frames.FORMER.items():
        table = re.sub(rf"(?m),{before},".encode(), f",{now},".encode(), table)
    return table


def _files(root: Path) -> set[str]:
    paths = [path for path in root.iterdir() if path.is_file()]
    paths += [path for path in (root / "report").rglob("*") if path.is_file()]
    names = {path.relative_to(root).as_posix() for path in paths if path.name[0] != "."}
    return {name for name in names if checksums.is_report(name)}


def _contents(place: str, old: bytes, new: bytes) -> Iterator[FileDifference]:
    if old == new:
        return
    suffix = Path(place).suffix
    if suffix not in _NAMED:
        at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
        where = "in length" if at is None else f"from byte {at} on"
        yield FileDifference(place, f"differs {where} from what the raw files give")
        return
    texts = [data.decode("utf-8", "backslashreplace") for data in (old, new)]
    all_found = list(_cells(place, *texts)) if suffix == ".csv" else []
    # What makes no cell differ (a quote, a line end) still is a line that does.
    all_found = all_found or list(_lines(place, *(text.split("\n") for text in texts)))
    limit = _NAMED[suffix]
    yield from islice(all_found, limit)
    if len(all_found) > limit:
        yield FileDifference(place, f"differs in {len(all_found) - limit} more places")


def _cells(place: str, old: str, new: str) -> Iterator[FileDifference]:
    """Differing cells of two tables of the same shape; nothing if they are not."""
    try:
        was, now = _table(old), _table(new)
    except csv.Error:
        return
    if not now or was[0] != now[0] or [len(row) for _, row in was] != [len(row) for _, row in now]:
        return
    names = now[0][1]
    for (number, before), (_, after) in zip(was, now, strict=True):
        for i, name in enumerate(names[: len(after)]):
            if before[i] != after[i]:
                what = _says(_shown(before[i]), _shown(after[i]))
                yield FileDifference(f"{place} line {number}, column {name}:", what)


def _table(text: str) -> list[tuple[int, list[str]]]:
    """Number of its (last) line, and cells, of each row."""
    reader = csv.reader(io.StringIO(text, newline=""))
    return [(reader.line_num, row) for row in reader]


def _lines(place: str, old: Sequence[str], new: Sequence[str]) -> Iterator[FileDifference]:
    if len(old) != len(new):
        first = next(i for i, (a, b) in enumerate(zip_longest(old, new), 1) if a != b)
        yield FileDifference(
            f"{place} line {first}:",
            f"the first that differs; {len(old)} lines where the raw files give {len(new)}",
        )
        return
    for number, (was, now) in enumerate(zip(old, new, strict=True), 1):
        if was != now:
            yield FileDifference(f"{place} line {number}:", _line(was, now))


def _line(was: str, now: str) -> str:
    """What differs in one line: its numbers if only they do, else the text around."""
    if _NUMBER.sub("0", was) == _NUMBER.sub("0", now):
        pairs = zip(_NUMBER.findall(was), _NUMBER.findall(now), strict=True)
        return "; ".join(_says(a, b) for a, b in pairs if a != b)
    at = next(i for i, (a, b) in enumerate(zip_longest(was, now)) if a != b)
    shown = slice(max(at - _AROUND, 0), at + 2 * _AROUND)
    return _says(ascii(was[shown]), ascii(now[shown]))


def _shown(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else ascii(cell)


def _says(was: str, now: str) -> str:
    return f"{was} where the raw files give {now}"
