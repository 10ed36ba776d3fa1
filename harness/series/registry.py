# SPDX-License-Identifier: GPL-2.0-only
"""The registry of patch series: ``kernels/series/NAME.yaml``, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from harness.experiment.arms import Arms
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.versions import in_range, major_minor
from harness.util.yamlfile import (
    Amount,
    Check,
    Day,
    Items,
    Model,
    Named,
    Text,
    Wanted,
    matching,
    nearest,
    one_of,
)

_PLACEHOLDERS = ("{version}", "{major_minor}")


def _below(value: str) -> str:
    if value.startswith(("/", "~")) or ".." in Path(value).parts:
        raise Wanted("a place below the folder of this file")
    return value


def _range(value: str) -> str:
    _covers(value, "6.1")
    return value


_Relative = Annotated[Text, Check(_below)]
_MessageId = Annotated[
    Text,
    matching(r"[^<>\s/]+@[^<>\s/@]+", "a message-id like 2026.1-name@host, without < and >"),
]
_Commit = Annotated[Text, matching(r"[0-9a-f]{40}", "a whole commit id of 40 digits")]


@dataclass(frozen=True, slots=True)
class Revision(Model):
    """One posting of a series: ``name`` is like v3, ``message_id`` its cover letter's.

    ``base`` is the commit it is based on, as its base-commit line or its blob ids say.
    """

    name: Annotated[str, matching(r"v[1-9]\d*", "a v and a number, like v3")]
    message_id: _MessageId
    base: _Commit | None = None
    date: Day | None = None
    link: Text | None = None


@dataclass(frozen=True, slots=True)
class KnownEffect(Model):
    """What a calibration series adds to a metric by construction.

    amount: patched kernel minus base kernel, in ``unit``; tolerance: how far the truth may lie from
        it
    clock: "insn" if only the instruction clock sees it exactly; site: where it allocates
    """

    metric: Text
    amount: float
    tolerance: Amount
    clock: Annotated[str, one_of(("insn", "any"))] = "any"
    direction: str = ""
    unit: str = ""
    site: str = ""
    constant: Mapping[str, Any] | None = None
    derived: str = ""


@dataclass(frozen=True, slots=True)
class ProfiledEffect(Model):
    """Where a profile must show what a calibration series adds to each page swapped in.

    of: "insns" at a source line, "misses" there, or "held": instructions for which a lock is held
    function: that the line stands in, or that takes the lock; line: like mm/page_io.c:12
    data: the variable that misses are of, or that the lock is, in place of both
    amount: what must be found; tolerance: how much more may be
    """

    of: Annotated[str, one_of(("insns", "misses", "held"))]
    amount: float
    function: Text = ""
    tolerance: Amount = 0.0
    line: Text = ""
    data: Text = ""


@dataclass(frozen=True, slots=True)
class Entry(Model):
    """One series of the registry.

    ``folder`` or ``mbox`` says where its patches lie, relative to ``path``'s folder, with
    placeholders; both are None for a series that is known by its message-ids only.
    ``on_top`` is a folder of patches to apply after those of ``folder``, for any version.
    ``revisions`` are oldest first.  ``applies_to`` are versions like 6.12 or conditions like
    >=6.12,<7.0; empty means any.  ``arms`` say how a series that is off by default is switched.
    """

    name: str
    path: Path
    title: Text = ""
    description: Text = ""
    folder: _Relative | None = None
    mbox: _Relative | None = None
    on_top: _Relative | None = None
    applies_to: Items[Annotated[str, Check(_range)]] = ()
    revisions: Annotated[Named[Revision], Check(_oldest_first)] = ()
    link: Text | None = None
    known: Items[KnownEffect] = ()
    profiled: Items[ProfiledEffect] = ()
    arms: Arms | None = None

    def __post_init__(self) -> None:
        if self.folder and self.mbox:
            raise ValueError("has both folder and mbox: keep one")
        if self.on_top and not self.folder:
            raise ValueError("has on_top without folder: there is nothing for it to lie on")

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
        raise UserError(f"no series is called {name}{nearest(name, known)}")
    path = registry / f"{name}.yaml"
    return yamlfile.load(path, Entry, name=name, path=path)


def _oldest_first(revisions: tuple[Revision, ...]) -> tuple[Revision, ...]:
    return tuple(sorted(revisions, key=lambda one: int(one.name[1:])))


def _covers(condition: str, version: str) -> bool:
    if condition[:1] in ("<", ">"):
        return in_range(version, condition)
    return major_minor(condition) == major_minor(version)
