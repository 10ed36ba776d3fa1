# SPDX-License-Identifier: GPL-2.0-only
"""A swap back-end with its settings, and what both need of a kernel."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from harness.experiment import condition, parameter
from harness.experiment.settings import GUEST_SETTINGS
from harness.experiment.switch import Switch
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.units import parse_size
from harness.util.yamlfile import Items, Model, Pairs, Text, nearest, one_of

_BACKENDS = Path(__file__).parent / "backends.yaml"
_SETTINGS = Path(__file__).parent / "backend-settings.yaml"
_SIZES = {"size", "fast", "writeback"}


@dataclass(frozen=True, slots=True)
class SettingNeeds(Model):
    """What a value of a setting needs, as backend-settings.yaml has it."""

    option: Text = ""
    fragment: Text = ""
    packages: Items[Text] = ()


@dataclass(frozen=True, slots=True)
class Backend(Model):
    """One swap back-end, as backends.yaml has it, which says what the keys are.

    ``settings`` are, once it is in a cell, words for vm-images/guest/prepare and files to write.
    ``append`` goes to the kernel's command line, see `harness.vm.disk.boot_words`.
    """

    name: str
    kind: Text
    disk: Annotated[str, one_of(("ext4", "raw", "ram", "none"))]
    waits_io: bool
    settings: Pairs[Any]
    takes: Items[Text] = ()
    append: Items[Text] = ()
    options: Items[Text] = ()
    functions: Pairs[Text] = ()

    @property
    def has_zram(self) -> bool:
        """Whether its compressor is zram's; else it is zswap's, if there is one."""
        return "CONFIG_ZRAM" in self.options

    @property
    def own_settings(self) -> dict[str, str]:
        """The settings that vm-images/guest/prepare knows."""
        return {key: value for key, value in self.settings if not condition.is_file(key)}

    @property
    def conditions(self) -> Switch:
        """The sysctls and files among its settings."""
        return condition.switch({k: v for k, v in self.settings if condition.is_file(k)})

    @property
    def needs(self) -> dict[str, SettingNeeds]:
        """What its settings need, by the setting as it was asked for."""
        found = {}
        for key, value in self.settings:
            by_value = _known_settings().get(key, {}).get("needs", {})
            if one := by_value.get(value, by_value.get("any")):
                found[f"{key}={value}"] = yamlfile.check(
                    one, SettingNeeds, f"{_SETTINGS.name}: {key}"
                )
        return found

    @property
    def fragments(self) -> frozenset[str]:
        """The config fragments that its settings need."""
        return frozenset(one.fragment for one in self.needs.values() if one.fragment)

    @property
    def packages(self) -> frozenset[str]:
        """The distribution's packages that its settings need in the guest's image."""
        return frozenset(name for one in self.needs.values() for name in one.packages)

    def lacks(self, config: Mapping[str, str]) -> Iterator[str]:
        """What a kernel of that configuration lacks for it, as clauses."""
        for option in self.options:
            if not _is_on(config, option):
                yield f"the kernel is built without {option}"
        for key, name in self.settings:
            if key not in ("compressor", "recompress"):
                continue
            option = _compressor_option(name, config, zram=self.has_zram)
            if not _is_on(config, option):
                yield (
                    f"the kernel is built without {option}, which the compressor "
                    f"{name} needs: CONFIG={option.removeprefix('CONFIG_')}=y adds it"
                )
        for asked, needs in self.needs.items():
            if needs.option and not _is_on(config, needs.option):
                yield f"the kernel is built without {needs.option}, which {asked} needs"


def known() -> Mapping[str, Backend]:
    """The back-ends of backends.yaml, by name."""
    return _known()


@cache
def _known() -> Mapping[str, Backend]:
    return {
        name: yamlfile.check(item, Backend, f"{_BACKENDS.name}: {name}", name=name)
        for name, item in yamlfile.read(_BACKENDS).items()
    }


@cache
def _known_settings() -> Mapping[str, Mapping[str, Any]]:
    return yamlfile.read(_SETTINGS)


def declared(setting: str) -> Mapping[str, Any]:
    """What backend-settings.yaml says of a setting."""
    return _known_settings()[setting]


def taken(name: str) -> tuple[str, ...]:
    """The settings that a back-end takes, beside the guest's."""
    return (*_known()[name].takes, *_of_disk(_known()[name].disk))


def make(name: str, label: str, changes: Mapping[str, Any], guest: Mapping[str, Any]) -> Backend:
    """Back-end ``name`` as ``label``, with settings of its own on top of the guest's.

    Raises UserError for an unknown setting, and for a value that the guest would not take.
    """
    kind = known()[name]
    settings = {**guest, **dict(kind.settings)}
    allowed = (*taken(name), *GUEST_SETTINGS)
    for key, value in changes.items():
        if key not in allowed and not condition.is_file(key):
            raise UserError(f"back-end '{name}' has no setting '{key}'{nearest(key, allowed)}")
        settings[key] = value
    words = tuple(
        (key, _word(f"back-end '{name}'" if key in changes else "guest", key, value))
        for key, value in sorted(settings.items())
    )
    return replace(kind, name=label, settings=words)


def _of_disk(disk: str) -> tuple[str, ...]:
    """The settings that every back-end on such a disk takes."""
    return tuple(key for key, one in _known_settings().items() if disk in one.get("disks", ()))


def _plain(text: str, choices: Collection[str]) -> str:
    """Y and N as yes and no, where a setting has only those."""
    long = {"Y": "yes", "N": "no"}.get(text, text)
    return long if text not in choices and long in choices else text


def word(value: Any) -> str:
    """A setting as the guest's script takes it; YAML reads a bare y or on as true."""
    return ("Y" if value else "N") if isinstance(value, bool) else str(value)


def _word(place: str, key: str, value: Any) -> str:
    if condition.is_file(key):
        ((_, text),) = condition.switch({key: value}, place).writes
        return text
    text = _plain(word(value), _known_settings()[key].get("choices", ()))
    try:
        taken = parameter.taken(text, _known_settings()[key])
    except UserError as error:
        raise UserError(f"{place}: '{key}' is '{text}'; it must be {error}") from error
    return str(parse_size(taken)) if key in _SIZES else taken


def _compressor_option(name: str, config: Mapping[str, str], *, zram: bool) -> str:
    """Since 6.12 zram has compressors of its own; before that it took those of the crypto API."""
    own = any(symbol.startswith("CONFIG_ZRAM_BACKEND_") for symbol in config)
    prefix = "CONFIG_ZRAM_BACKEND_" if zram and own else "CONFIG_CRYPTO_"
    return prefix + re.sub(r"-rle$", "", name).upper()


def _is_on(config: Mapping[str, str], option: str) -> bool:
    return config.get(option) in {"y", "m"}
