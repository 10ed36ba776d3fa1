# SPDX-License-Identifier: GPL-2.0-only
"""Arms: the kernels that one run compares with one base, by name.

An arm is a kernel (a series, a revision of one, a second kernel; options of it alone) and how that
is switched in the guest.  ``ARMS=off,on`` names arms that somebody declared: a spec file, or the
entry of the series in the registry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

from harness.experiment import switch
from harness.experiment.switch import Switch
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import Check, Items, Model, Slug, Text, Wanted, words

CONTROL = "control"
"""Base once more, which every block boots: it may be named, and is declared nowhere."""
RESERVED = ("base", CONTROL)
"""Names of the boots of every pair that are of no arm."""
_COMPILER = r"(gcc|clang)(-\d{1,2})?"


def is_compiler(name: str) -> bool:
    """Whether a name is that of a compiler: gcc, clang, or one with its version."""
    return re.fullmatch(_COMPILER, name) is not None


def _compiler(value: str) -> str:
    if not is_compiler(value):
        raise Wanted("gcc or clang, or one with its version, like clang-19")
    return value


Compiler = Annotated[str, Check(_compiler)]


@dataclass(frozen=True, slots=True)
class ArmKernel(Model):
    """The kernel of an arm: ``patch`` or ``head`` in place of the run's, and ``options`` of it.

    cc: what compiles it, and the base that it is compared with
    """

    patch: Text | None = None
    head: Text | None = None
    options: Items[Text] = ()
    cc: Compiler | None = None

    def __post_init__(self) -> None:
        if self.patch and self.head:
            raise ValueError("has both patch and head: keep one")


@dataclass(frozen=True, slots=True)
class NamedArm:
    """One arm as it was declared.  switch: plain data, as `switch.of` takes it."""

    name: str
    kernel: ArmKernel = ArmKernel()
    switch: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, name: str, data: Mapping[str, Any] | None, place: str) -> NamedArm:
        """From plain data.  UserError naming ``place`` and key for what is wrong in it."""
        given = dict(data or {})
        mine = {one.name for one in fields(ArmKernel)}
        known = (*mine, *(one.name for one in fields(Switch)))
        if said := yamlfile.unknown(given, known):
            raise UserError(f"{place}: {said}")
        own = {key: value for key, value in given.items() if key in mine}
        rest = {key: value for key, value in given.items() if key not in mine}
        if isinstance(options := own.get("options"), str):
            own["options"] = list(words(options))
        try:
            switch.checked(rest)
        except (UserError, ValueError) as error:
            raise UserError(f"{place}: {str(error).removeprefix(': ')}") from error
        return cls(name, yamlfile.check(own, ArmKernel, place), rest or None)


def named(value: Any) -> Any:
    """Arms as they may be written, as a mapping of names to what declares them; for a `Check`.

    "off,on", [off, on] and {off: ..., on: ...}: YAML reads a bare off as false.  A name without a
    declaration has None.
    """
    found = words([value] if isinstance(value, bool) else value)
    if isinstance(found, tuple | list):
        given: dict[Any, Any] = {}
        for one in found:
            if _name(one) in given:
                raise ValueError(f"'{_name(one)}' is named twice")
            given[_name(one)] = None
    elif isinstance(found, dict):
        given = {_name(key): one for key, one in found.items()}
    else:
        return value
    if not given:
        raise ValueError("names no arm")
    if set(given) == {CONTROL}:
        raise ValueError(f"names no arm beside '{CONTROL}', which every comparison boots")
    for name, one in given.items():
        is_boot = str(name).split("-")[0] in RESERVED  # base-clang is that of a compiler
        if is_boot and (name != CONTROL or one is not None):
            raise ValueError(f"'{name}' is a boot of every pair: call the arm something else")
        if one is not None:
            if not isinstance(one, dict):
                raise ValueError(f"'{name}' must be a mapping")
            NamedArm.of(str(name), one, str(name))
    return given


def _name(value: Any) -> Any:
    return ("on" if value else "off") if isinstance(value, bool) else value


Arms = Annotated[dict[Slug, Any], Check(named, first=True)]
"""By name, what declares it; None where it is declared elsewhere."""
