# SPDX-License-Identifier: GPL-2.0-only
"""Which memory belongs to which structure: the rules of kernels/models/sites.yaml."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import choice, listing, mapping, old_read, text, whole

RULES = REPO / "kernels" / "models" / "sites.yaml"
KINDS = ("metadata", "data", "process", "harness", "other")
SOURCES = ("allocinfo", "vmallocinfo", "slabinfo", "meminfo", "vmstat")
_KEYS = {
    "allocinfo": {"file", "func", "nth", "of", "beside"},
    "vmallocinfo": {"caller"},
    "slabinfo": {"cache"},
    "meminfo": {"field"},
    "vmstat": {"field"},
}


class SitePosition(NamedTuple):
    """An allocation site without its line: the nth of `of` in its function, in source order."""

    file: str
    func: str
    nth: int
    of: int

    @property
    def name(self) -> str:
        """As /proc/allocinfo names it, but for the line: "mm/swapfile.c func:swapon #2"."""
        number = f" #{self.nth}" if self.of > 1 else ""
        return f"{self.file} func:{self.func}{number}"


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure of swapping. kind: one of `KINDS`; caveat: "" or what its figure includes."""

    name: str
    kind: str
    title: str
    caveat: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `first` is the glob or expression of its source, `func` only for allocinfo."""

    source: str
    structure: str
    first: str
    func: str = ""
    nth: int = 0
    of: int = 0
    beside: str = ""
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """All structures by name, and the rules by source, in order."""

    structures: Mapping[str, Structure]
    rules: Mapping[str, tuple[Rule, ...]]

    def kind(self, structure: str) -> str:
        """The kind of a structure; "other" for what no rule names."""
        found = self.structures.get(structure)
        return found.kind if found else "other"

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Names of all structures of a kind, in the file's order."""
        return tuple(one.name for one in self.structures.values() if one.kind == kind)

    def place(self, place: SitePosition, files: frozenset[str]) -> str | None:
        """The structure of an allocation site, None if no rule names it.

        files: all source files that have a site, for `beside`.
        """
        for rule in self.rules["allocinfo"]:
            if (
                fnmatchcase(place.file, rule.first)
                and _matches(rule.func, place.func)
                and rule.nth in (0, place.nth)
                and rule.of in (0, place.of)
                and (not rule.beside or rule.beside in files)
            ):
                return rule.structure
        return None

    def named(self, source: str, name: str) -> str | None:
        """The structure of a slab cache, a vmalloc caller or a field; None if no rule has it."""
        rule = self.rule(source, name)
        return rule.structure if rule else None

    def rule(self, source: str, name: str) -> Rule | None:
        """The first rule of a stand-in source that matches a name."""
        matches: Callable[[str, str], bool] = _matches
        if source == "slabinfo":
            matches = _globs
        return next((rule for rule in self.rules[source] if matches(rule.first, name)), None)


def places(keys: Iterable[tuple[str, str, int]]) -> Mapping[tuple[str, str, int], SitePosition]:
    """The place of each (file, func, line) of one kernel."""
    lines: dict[tuple[str, str], set[int]] = defaultdict(set)
    found = set(keys)
    for file, func, line in found:
        lines[file, func].add(line)
    ranks = {key: {line: n for n, line in enumerate(sorted(v), 1)} for key, v in lines.items()}
    return {
        (file, func, line): SitePosition(
            file, func, ranks[file, func][line], len(ranks[file, func])
        )
        for file, func, line in found
    }


@cache
def load(path: Path = RULES) -> Rules:
    """The rules of a file. UserError names the file and the key at fault."""
    data = old_read(path, keys={"structures", *SOURCES})
    structures = {
        str(name): _structure(path, str(name), value)
        for name, value in mapping(path, data, "structures").items()
    }
    rules = {
        source: tuple(_rule(path, source, item, structures) for item in listing(path, data, source))
        for source in SOURCES
    }
    return Rules(structures, rules)


def _structure(path: Path, name: str, value: Any) -> Structure:
    where = f"structures.{name}"
    if not isinstance(value, dict) or set(value) - {"kind", "title", "caveat"}:
        raise UserError(f"{path}: {where} must have kind and title, and at most caveat beside")
    return Structure(
        name,
        choice(path, value, "kind", KINDS, where),
        text(path, value, "title", where),
        text(path, value, "caveat", where, default=""),
    )


def _rule(path: Path, source: str, item: Any, structures: Mapping[str, Structure]) -> Rule:
    if not isinstance(item, dict) or set(item) - {"structure", "caveat"} - _KEYS[source]:
        allowed = ", ".join(sorted(_KEYS[source]))
        raise UserError(f"{path}: {source}: {item} may have only structure, caveat, {allowed}")
    structure = text(path, item, "structure", source)
    if structure not in structures:
        raise UserError(f"{path}: {source}: {structure} is not under structures: add it there")
    first = next(key for key in ("file", "caller", "cache", "field") if key in _KEYS[source])
    rule = Rule(
        source,
        structure,
        text(path, item, first, source),
        text(path, item, "func", source) if source == "allocinfo" else "",
        whole(path, item, "nth", source),
        whole(path, item, "of", source),
        text(path, item, "beside", source, default=""),
        text(path, item, "caveat", source, default=""),
    )
    for expression in (rule.func, rule.first if source == "vmallocinfo" else ""):
        try:
            re.compile(expression)
        except re.error as error:
            raise UserError(f"{path}: {source}: '{expression}' is no expression: {error}") from None
    return rule


@cache
def _expression(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def _matches(expression: str, name: str) -> bool:
    return _expression(expression).fullmatch(name) is not None


def _globs(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern)
