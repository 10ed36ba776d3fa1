# SPDX-License-Identifier: GPL-2.0-only
"""The files of the board: each is written again only when what it is made of has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from harness.report import page
from harness.util.paths import PACKAGE

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(slots=True)
class BoardSite:
    """A build under way.

    before: by path below ``root``, the hash of what the last build made it of
    after: the same of this build; written: how many files this build wrote
    """

    root: Path
    before: dict[str, str]
    after: dict[str, str] = field(default_factory=dict)
    written: int = 0

    def file(self, path: str, inputs: Any, make: Callable[[], str]) -> None:
        """A file made by ``make`` of ``inputs``, which are plain values that tell all of it."""
        text = json.dumps([_code(), inputs], sort_keys=True, default=str)
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.after[path] = key
        target = self.root / path
        if self.before.get(path) == key and target.is_file():
            return
        _write(target, make().encode())
        self.written += 1

    def html(self, path: str, template: str, inputs: Any, values: Callable[[], Any]) -> None:
        """A page by one of our templates; ``values`` are made only if it is written."""
        up = "../" * path.count("/")
        self.file(path, inputs, lambda: rendered(template, up=up, **values()))

    def json(self, path: str, inputs: Any, values: Callable[[], Any]) -> None:
        """A JSON file, without blanks."""
        self.file(path, inputs, lambda: compact(values()))

    def linked(self, path: str, source: Path, key: str) -> None:
        """A file of a result, as it is: a hard link where the file system has them."""
        self.after[path] = key
        target = self.root / path
        if self.before.get(path) == key and target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            shutil.copyfile(source, target)
        self.written += 1

    def keep(self, folders: Collection[str]) -> None:
        """Take over what the last build wrote in some folders."""
        kept = {
            path: key for path, key in self.before.items() if path.rpartition("/")[0] in folders
        }
        self.after |= kept

    def prune(self) -> int:
        """Remove what the last build wrote and this one has no more."""
        stale = self.before.keys() - self.after.keys()
        for path in stale:
            (self.root / path).unlink(missing_ok=True)
        return len(stale)


def rendered(template: str, **values: Any) -> str:
    """One of our templates with its values."""
    return _environment().get_template(template).render(values)


def compact(value: Any) -> str:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=True)


def style() -> str:
    """The report's sheet and what the board adds."""
    return str(_environment().globals["style"]) + (_TEMPLATES / "board.css").read_text("utf-8")


def script() -> str:
    """What chooses, searches and compares, where scripts run."""
    return (_TEMPLATES / "board.js").read_text("utf-8")


@cache
def _environment() -> Environment:
    made = page.environment()
    assert made.loader
    made.loader = ChoiceLoader([FileSystemLoader(_TEMPLATES), made.loader])
    return made


@cache
def _code() -> str:
    """A hash of all that turns data into pages."""
    total = hashlib.sha256()
    for path in _sources():
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for folder in ("board", "report"):
        yield from sorted((PACKAGE / folder).glob("*.py"))
        yield from sorted((PACKAGE / folder / "templates").iterdir())


def _write(target: Path, data: bytes) -> None:
    """A reader sees the old file or the new one.  Not synced: everything can be made again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".board.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
