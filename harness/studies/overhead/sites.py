# SPDX-License-Identifier: GPL-2.0-only
"""Which memory belongs to which structure: the rules of kernels/models/sites.yaml."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Annotated, NamedTuple

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Check, Count, Items, Text, nearest, one_of, regex

RULES = REPO / "kernels" / "models" / "sites.yaml"
KINDS = ("metadata", "data", "process", "harness", "other")


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
class Structure(yamlfile.Model):
    """A structure of swapping. kind: one of `KINDS`; caveat: "" or what its figure includes."""

    kind: Annotated[str, one_of(KINDS)]
    title: Text
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class AllocinfoRule(yamlfile.Model):
    """Allocation sites. file: a glob; func: an expression; nth, of: 0 for any."""

    structure: Text
    file: Text
    func: Annotated[Text, Check(regex)]
    nth: Count = 0
    of: Count = 0
    beside: str = ""
    caveat: str = ""

    def matches(self, place: SitePosition, files: frozenset[str]) -> bool:
        """Whether it names that site of a kernel with these source files."""
        return (
            fnmatchcase(place.file, self.file)
            and re.fullmatch(self.func, place.func) is not None
            and self.nth in (0, place.nth)
            and self.of in (0, place.of)
            and (not self.beside or self.beside in files)
        )


@dataclass(frozen=True, slots=True)
class VmallocinfoRule(yamlfile.Model):
    """The pages behind a caller; ``caller`` is an expression."""

    structure: Text
    caller: Annotated[Text, Check(regex)]
    caveat: str = ""

    def matches(self, name: str) -> bool:
        """Whether it names that caller."""
        return re.fullmatch(self.caller, name) is not None


@dataclass(frozen=True, slots=True)
class SlabinfoRule(yamlfile.Model):
    """The objects of a slab cache; ``cache`` is a glob."""

    structure: Text
    cache: Text
    caveat: str = ""

    def matches(self, name: str) -> bool:
        """Whether it names that cache."""
        return fnmatchcase(name, self.cache)


@dataclass(frozen=True, slots=True)
class FieldRule(yamlfile.Model):
    """A field of meminfo or vmstat."""

    structure: Text
    field: Text
    caveat: str = ""

    def matches(self, name: str) -> bool:
        """Whether it is that field."""
        return name == self.field


@dataclass(frozen=True, slots=True)
class Rules(yamlfile.Model):
    """The file: all structures by name, and the rules by source, in order."""

    structures: Mapping[str, Structure]
    allocinfo: Items[AllocinfoRule] = ()
    vmallocinfo: Items[VmallocinfoRule] = ()
    slabinfo: Items[SlabinfoRule] = ()
    meminfo: Items[FieldRule] = ()
    vmstat: Items[FieldRule] = ()

    def kind(self, structure: str) -> str:
        """The kind of a structure; "other" for what no rule names."""
        found = self.structures.get(structure)
        return found.kind if found else "other"

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Names of all structures of a kind, in the file's order."""
        return tuple(name for name, one in self.structures.items() if one.kind == kind)

    def place(self, place: SitePosition, files: frozenset[str]) -> str | None:
        """The structure of an allocation site, None if no rule names it.

        files: all source files that have a site, for `beside`.
        """
        return next((one.structure for one in self.allocinfo if one.matches(place, files)), None)

    def named(self, source: str, name: str) -> str | None:
        """The structure of a slab cache, a vmalloc caller or a field; None if no rule has it."""
        rules: tuple[VmallocinfoRule | SlabinfoRule | FieldRule, ...] = getattr(self, source)
        return next((rule.structure for rule in rules if rule.matches(name)), None)


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
    rules = yamlfile.load(path, Rules)
    for source in ("allocinfo", "vmallocinfo", "slabinfo", "meminfo", "vmstat"):
        for number, rule in enumerate(getattr(rules, source), 1):
            if rule.structure not in rules.structures:
                raise UserError(
                    f"{path}: {source}, entry {number}: '{rule.structure}' is not under structures"
                    f"{nearest(rule.structure, rules.structures)}"
                )
    return rules
