# SPDX-License-Identifier: GPL-2.0-only
"""What the names in a result's spec.yaml meant: trees, commits, and files kept beside it.

A branch, a folder or the newest package is another kernel tomorrow.  So the spec file of a result
keeps, under the key "meant", what each name stood for, and a run of that file takes this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from harness.util.errors import UserError
from harness.util.yamlfile import Check, Items, Model, Text, matching

KEY = "meant"
DIFF = "diff"
"""The kind of a source that is a tree with a kept diff applied to it."""

_Id = Annotated[str, matching(r"[0-9a-f]{40}", "an id of 40 digits")]
_File = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a file beside it")]


def _named(value: Any) -> Any:
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True)
class MeantTree(Model):
    """One kernel tree.  name: for `sources.resolve`, where others can get it.

    diff: a file with what the tree has on top of the commit ``on_commit`` of the source ``on``;
    None where ``name`` is enough
    """

    name: Text
    commit: _Id
    tree: _Id
    diff: _File | None = None
    on: Text | None = None
    on_commit: _Id | None = None

    def __post_init__(self) -> None:
        if self.diff and not (self.on and self.on_commit):
            raise ValueError("has a diff: give 'on' and 'on_commit', what it is on")


@dataclass(frozen=True, slots=True)
class MeantSeries(Model):
    """One series as it was applied: the facts of `Series`, and a file with its patches.

    tree: that it gave on the base; "" where it is put on another one
    """

    name: Text
    title: Text
    locator: Text
    patches: _File
    tree: _Id | None = None
    base_commit: _Id | None = None
    notes: Items[str] = ()
    doubts: Items[str] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    letter: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Meant(Model):
    """All of it.

    folder: where the files lie; fragments: by the name that was given, a config fragment
    revisions: the same for each of a series
    """

    folder: Path = Path()
    base: MeantTree | None = None
    head: MeantTree | None = None
    patch: MeantSeries | None = None
    fragments: Mapping[str, _File] = field(default_factory=dict)
    revisions: Annotated[Mapping[str, Meant], Check(_named, first=True)] = field(
        default_factory=dict
    )

    def file(self, name: str) -> Path:
        """A file that is kept.  UserError if it is gone."""
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            raise UserError(
                f"'{path}' is missing: the spec file of a result needs the files beside it; "
                f"without its key '{KEY}' it takes what its names mean now"
            )
        return path

    def fragment(self, name: str) -> str:
        """A config fragment by what finds it now: the file that is kept of it, if one is."""
        kept = self.fragments.get(name)
        return str(self.file(kept)) if kept else name

    def without(self, given: Collection[str]) -> Meant:
        """What still holds when these settings have other values."""
        made = replace(
            self,
            base=None if "base" in given else self.base,
            head=None if "head" in given else self.head,
            patch=None if "patch" in given else self.patch,
            fragments={} if "fragments" in given else self.fragments,
        )
        if made.patch and {"base", "upto"} & set(given):
            made = replace(made, patch=replace(made.patch, tree=None))
        return made

    def of(self, revision: str) -> Meant:
        """What one revision meant; nothing if that is not known."""
        found = self.revisions.get(revision, Meant())
        return replace(found, folder=self.folder, fragments=self.fragments)
