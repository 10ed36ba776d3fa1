# SPDX-License-Identifier: GPL-2.0-only
"""The registry of patch series: ``kernels/series/NAME.yaml``, read and checked."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.versions import in_range, major_minor

_REVISION_KEYS = frozenset(("message_id", "base", "date", "link"))
# "known" belongs to the calibration: it is read there.
_KEYS = frozenset(
    ("title", "description", "folder", "mbox", "applies_to", "revisions", "link", "known")
)
_PLACEHOLDERS = ("{version}", "{major_minor}")


@dataclass(frozen=True, slots=True)
class Revision:
    """One posting of a series: ``name`` is like v3, ``message_id`` its cover letter's.

    ``base`` is the commit it is based on, as its base-commit line or its blob ids say.
    """

    name: str
    message_id: str
    base: str | None
    date: str | None
    link: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One series of the registry.

    ``folder`` or ``mbox`` says where its patches lie, relative to ``path``'s folder, with
    placeholders; both are None for a series that is known by its message-ids only.
    ``revisions`` are oldest first.  ``applies_to`` are versions like 6.12 or conditions like
    >=6.12,<7.0; empty means any.
    """

    name: str
    path: Path
    title: str
    description: str
    folder: str | None
    mbox: str | None
    applies_to: tuple[str, ...]
    revisions: tuple[Revision, ...]
    link: str | None

    def revision(self, name: str) -> Revision:
        """The revision called `name`, or the last one for "latest"; UserError if not there."""
        if name == "latest" and self.revisions:
            return self.revisions[-1]
        for one in self.revisions:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.revisions) or "none"
        raise UserError(f"{self.path} has no revision {name} of {self.name} (known: {known})")

    def applies(self, version: str) -> bool:
        """Whether the series is meant for a base of this kernel version."""
        return not self.applies_to or any(_covers(one, version) for one in self.applies_to)

    def place(self, version: str | None) -> Path:
        """The folder or mbox with the patches for a base of `version`.

        Raises UserError when the series is not for that version, when the version is needed and
        not given, or when the entry names no patches.
        """
        if version is not None and not self.applies(version):
            ranges = ", ".join(self.applies_to)
            raise UserError(f"series {self.name} is for {ranges}, not for a base of {version}")
        template = self.folder or self.mbox
        if template is None:
            raise UserError(
                f"{self.path} names no folder or mbox: save the thread as an mbox and give its path"
            )
        if version is None and any(word in template for word in _PLACEHOLDERS):
            raise UserError(f"series {self.name} has patches for each base version: give a base")
        if version is not None:
            template = template.replace("{version}", version)
            major, minor = major_minor(version)
            template = template.replace("{major_minor}", f"{major}.{minor}")
        return self.path.parent / template


def names(registry: Path) -> tuple[str, ...]:
    """The names of all series in the registry folder, sorted."""
    return tuple(sorted(path.stem for path in registry.glob("*.yaml")))


def read(name: str, *, registry: Path) -> Entry:
    """The entry called `name`.

    Raises UserError when there is none (with the names there are), or for a wrong key or value.
    """
    known = names(registry)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(f"no series is called {name}{hint} (known: {', '.join(known) or 'none'})")
    path = registry / f"{name}.yaml"
    try:
        data = yamlfile.parse(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values, like title: and folder:")
    _check_keys(path, data)
    return Entry(
        name=name,
        path=path,
        title=_text(path, data, "title") or name,
        description=_text(path, data, "description") or "",
        folder=_relative(path, data, "folder"),
        mbox=_relative(path, data, "mbox"),
        applies_to=_ranges(path, data),
        revisions=_revisions(path, data),
        link=_text(path, data, "link"),
    )


def _check_keys(path: Path, data: dict[Any, Any]) -> None:
    for key in data:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"{path}: unknown key {key}{hint}")
    if "folder" in data and "mbox" in data:
        raise UserError(f"{path}: has both folder and mbox: keep one")


def _text(path: Path, data: dict[Any, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{path}: {key} must be a text")
    return value.strip()


def _texts(path: Path, data: dict[Any, Any], key: str) -> tuple[str, ...]:
    values = data.get(key, [])
    if not isinstance(values, list):
        raise UserError(f"{path}: {key} must be a list")
    for value in values:
        if not isinstance(value, str):
            # YAML reads 6.10 as the number 6.1.
            raise UserError(f'{path}: {key} has {value}, which must be in quotes: "{value}"')
    return tuple(values)


def _revisions(path: Path, data: dict[Any, Any]) -> tuple[Revision, ...]:
    values = data.get("revisions", {})
    if not isinstance(values, dict):
        raise UserError(f"{path}: revisions must be keys like v3: with a message_id: each")
    found = []
    for name, value in values.items():
        place = f"{path}: revisions: {name}"
        if not re.fullmatch(r"v[1-9]\d*", str(name)):
            raise UserError(f"{place} must be a v and a number, like v3")
        if not isinstance(value, dict) or set(value) - _REVISION_KEYS:
            raise UserError(f"{place} may have {', '.join(sorted(_REVISION_KEYS))} and no more")
        texts = {key: str(one).strip() for key, one in value.items() if one is not None}
        if not re.fullmatch(r"[^<>\s/]+@[^<>\s/@]+", texts.get("message_id", "")):
            raise UserError(f"{place} needs a message_id like 2026.1-name@host, without < and >")
        if not re.fullmatch(r"[0-9a-f]{40}", texts.get("base", "0" * 40)):
            raise UserError(f"{place}: base must be a whole commit id of 40 digits")
        fields = {key: texts.get(key) for key in ("base", "date", "link")}
        found.append(Revision(str(name), texts["message_id"], **fields))
    return tuple(sorted(found, key=lambda one: int(one.name[1:])))


def _relative(path: Path, data: dict[Any, Any], key: str) -> str | None:
    value = _text(path, data, key)
    if value is not None and (value.startswith(("/", "~")) or ".." in Path(value).parts):
        raise UserError(f"{path}: {key} must lie below the folder of this file, not {value}")
    return value


def _ranges(path: Path, data: dict[Any, Any]) -> tuple[str, ...]:
    ranges = _texts(path, data, "applies_to")
    for one in ranges:
        try:
            _covers(one, "6.1")
        except UserError as error:
            raise UserError(f"{path}: applies_to: {error}") from error
    return ranges


def _covers(condition: str, version: str) -> bool:
    if condition[:1] in ("<", ">"):
        return in_range(version, condition)
    return major_minor(condition) == major_minor(version)
