# SPDX-License-Identifier: GPL-2.0-only
"""How a kernel is switched in the guest, beside its configuration, and what proves that it ran.

Of the second kernel alone: the base has nothing to switch.  What is set is read back, and a boot
whose setting does not take, or that lacks the proof, has failed: it is no measurement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.yamlfile import Check, Items, Model, Text, Wanted, matching, one_of

_SAMPLED = REPO / "vm-images" / "sampler" / "files.list"
RUNNING, DONE = "running", "done"
_PATH = r"/(proc|sys)(/[A-Za-z0-9._:+-]+)+"


def _path(value: str) -> str:
    if not re.fullmatch(_PATH, value) or ".." in value.split("/"):
        raise Wanted("a file below /proc or /sys")
    return value


def _value(value: Any) -> str:
    """As it is written and read back; YAML reads a bare y or on as true."""
    text = ("Y" if value else "N") if isinstance(value, bool) else str(value)
    if not re.fullmatch(r"[A-Za-z0-9._:,+/-]{1,127}", text):
        raise Wanted("a value without blanks")
    return text


_Path = Annotated[Text, Check(_path)]
_Value = Annotated[str, Check(_value, first=True)]
_Sysctl = Annotated[str, matching(r"[a-z]\w*([./][\w-]+)+", "a sysctl like vm.swappiness")]
_Parameter = Annotated[str, matching(r"\w+\.\w+", "a module and its parameter, like zswap.enabled")]
_Word = Annotated[Text, matching(r"[!-~]+", "one word of the kernel's command line")]


@dataclass(frozen=True, slots=True)
class Proof(Model):
    """A file of the guest, and what it says where the feature ran.

    key: the line of the file that counts, where it has one ``name value`` a line
    above: its number is larger; is: it is this text.  One of the two
    when: "running": in one sample of the sampler at least, which has to read the file
        (vm-images/sampler/files.list); "done": when the workload has ended
    """

    file: _Path
    key: Text | None = None
    above: float | None = None
    is_: _Value | None = None
    when: Annotated[str, one_of((RUNNING, DONE))] = RUNNING

    def __post_init__(self) -> None:
        if (self.above is None) == (self.is_ is None):
            raise ValueError("a proof has one condition: 'above' with a number, or 'is'")

    @property
    def wanted(self) -> str:
        """What the file is to say, as the end of a sentence."""
        what = f"above {self.above:g}" if self.above is not None else f"{self.is_}"
        return f"{self.key} {what}" if self.key else what

    @property
    def shown(self) -> str:
        """The file and what it is to say."""
        return f"{self.file}: {self.wanted}"

    def value(self, text: str) -> str | None:
        """What the file says that counts; None where it lacks the key."""
        if self.key is None:
            return text.strip()
        lines = (line.replace(":", " ").split() for line in text.splitlines())
        return next((line[1] for line in lines if len(line) > 1 and line[0] == self.key), None)

    def holds(self, value: str) -> bool:
        """Whether what the file says is a proof."""
        if self.is_ is not None:
            return same(self.is_, value)
        try:
            return float(value.split(maxsplit=1)[0]) > (self.above or 0.0)
        except (ValueError, IndexError):
            return False


@dataclass(frozen=True, slots=True)
class Switch(Model):
    """All of it.

    sysctls, files: written before swap is set up; params: of modules, on the command line of the
    kernel, and read back; words: more words for that command line
    """

    sysctls: dict[_Sysctl, _Value] = field(default_factory=dict)
    params: dict[_Parameter, _Value] = field(default_factory=dict)
    files: dict[_Path, _Value] = field(default_factory=dict)
    words: Items[_Word] = ()
    proof: Proof | None = None

    @property
    def writes(self) -> tuple[tuple[str, str], ...]:
        """(file, value) to write."""
        found = (
            (f"/proc/sys/{name.replace('.', '/')}", value) for name, value in self.sysctls.items()
        )
        return (*found, *self.files.items())

    @property
    def expected(self) -> tuple[tuple[str, str], ...]:
        """(file, value) to read back, of what the command line sets."""
        split = ((*name.split("."), value) for name, value in self.params.items())
        return tuple(
            (f"/sys/module/{module}/parameters/{own}", value) for module, own, value in split
        )

    @property
    def append(self) -> tuple[str, ...]:
        """Words for the kernel's command line."""
        return (*(f"{name}={value}" for name, value in self.params.items()), *self.words)

    @property
    def shown(self) -> str:
        """In one clause; "" where nothing is set."""
        pairs = (f"{name}={value}" for name, value in (self.sysctls | self.files).items())
        proof = (f"proof {self.proof.shown}",) if self.proof else ()
        return ", ".join((*pairs, *self.append, *proof))


NOTHING = Switch()


def of(data: Mapping[str, Any] | None, place: str = "head_guest") -> Switch:
    """A switch from plain data.  UserError naming ``place`` and key for what is wrong in it."""
    return yamlfile.check(dict(data), Switch, place) if data else NOTHING


def told(data: Mapping[str, Any]) -> str:
    """A switch that a result has on record, in one clause; "unknown" for a damaged one."""
    try:
        return of(data).shown
    except UserError:
        return "unknown"


def checked(data: dict[str, Any]) -> dict[str, Any]:
    """The same plain data, if it is a switch whose proof can be read; for a `Check`."""
    proof = yamlfile.check(dict(data), Switch, "").proof
    if proof and proof.when == RUNNING and not _is_sampled(proof.file):
        raise ValueError(
            f"proof: the sampler does not read {proof.file}: say 'when: done', or add it to "
            f"{_SAMPLED.relative_to(REPO)}"
        )
    return data


def _is_sampled(path: str) -> bool:
    lines = (line.removeprefix("mark: ") for line in _SAMPLED.read_text("utf-8").splitlines())
    return any(fnmatchcase(path, line) for line in lines if line.startswith("/"))


def same(wanted: str, text: str) -> bool:
    """Whether a file says what was written: Y is 1, 7 is 0x7, 1K is 1024.

    Of a choice, the one in brackets counts.
    """
    words = {"Y": "1", "N": "0"}
    found = re.search(r"\[([^\]]+)\]", text)
    said = found[1] if found else text.strip()
    return words.get(said, said) == words.get(wanted, wanted) or (
        _number(said) is not None and _number(said) == _number(wanted)
    )


def _number(text: str) -> int | None:
    """A number as the kernel reads it: 0x7, and 256M where a size is wanted; None if it is none."""
    match = re.fullmatch(r"(-?(?:0x[0-9a-fA-F]+|\d+))([KMGT]?)", text)
    if not match:
        return None
    number = int(match[1], 16 if match[1].lstrip("-").startswith("0x") else 10)
    return number << 10 * " KMGT".index(match[2] or " ")
