# SPDX-License-Identifier: GPL-2.0-only
"""Which part of the kernel a function belongs to: the rules of kernels/subsystems.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from harness.util import yamlfile
from harness.util.paths import REPO
from harness.util.yamlfile import Items, Text

RULES = REPO / "kernels" / "subsystems.yaml"
USER = "user space"
OTHER = "other"


@dataclass(frozen=True, slots=True)
class PartRule(yamlfile.Model):
    """A glob over the file, or over the name, of functions that belong to ``part``."""

    part: Text
    file: str = ""
    name: str = ""

    def matches(self, name: str, file: str) -> bool:
        """Whether it is about a function."""
        if self.file:
            return fnmatchcase(file, self.file)
        return fnmatchcase(name, self.name)


@dataclass(frozen=True, slots=True)
class PartRules(yamlfile.Model):
    """All rules, the first that matches first; ``compression`` is the part that has it."""

    compression: Text
    rules: Items[PartRule]

    def part(self, name: str, file: str) -> str:
        """Of a function with its source file, "" where nobody knows that."""
        return next((one.part for one in self.rules if one.matches(name, file)), OTHER)


@cache
def load(path: Path = RULES) -> PartRules:
    """The rules.  UserError for a file that is none."""
    return yamlfile.load(path, PartRules)
