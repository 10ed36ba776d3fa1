# SPDX-License-Identifier: GPL-2.0-only
"""One back-end or workload with its settings, as a word of the command line.

``zram:zstd``, ``zswap:compressor=lz4+zstd:pool=50``, ``pageio:size=64M:content=compressible:50``:
the entries that a spec file writes as a mapping.  A ':' begins a setting, a '+' another value of
it, for one cell each.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.util import yamlfile
from harness.util.errors import UserError

_KEY = re.compile(r"([a-z][a-z0-9_-]*)=(.*)")
# What a value cannot hold in a word, because it ends it or begins another.
_APART = re.compile(r"[\s,+]|:[a-z][a-z0-9_-]*=")


def backends(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """The entries of BACKENDS, each with one value of each setting; a word without a key, as in
    ``zram:zstd``, is the compressor.  Raises UserError naming a word that cannot be read.
    """
    return tuple(made for item in entries for made, _ in _each(_parsed(item, "compressor")))


def workloads(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same of WORKLOADS, where it is the preset: ``pageio:standard``.

    Of several entries for one workload, those with settings get names by them.
    """
    found = [pair for item in entries for pair in _each(_parsed(item, "preset"))]
    names = Counter(_name(item) for item, _ in found)
    return tuple(
        _with_name(item) if is_one_of or names[_name(item)] > 1 else item
        for item, is_one_of in found
    )


def label(name: str, settings: Mapping[str, Any]) -> str:
    """The name of an entry with settings: ``zram-zstd``."""
    values = sorted(settings.items(), key=lambda pair: str(pair[0]))
    return "-".join([stem(name), *(_part(_said(key, value)) for key, value in values)])


def stem(name: str) -> str:
    """The name of an entry; of a path, its last part without what is behind a dot."""
    return _part(Path(name).stem) if "/" in name else name


def _said(key: str, value: Any) -> Any:
    """A value by which a name is told; yes and no say nothing alone."""
    return (str(key) if value else f"no-{key}") if isinstance(value, bool) else value


def _part(value: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", str(value)).strip("-")


def _settings(item: Any) -> dict[str, Any]:
    """The settings of an entry that is a mapping of one name to them; else none."""
    if isinstance(item, Mapping) and len(item) == 1:
        (made,) = item.values()
        if isinstance(made, Mapping):
            return dict(made)
    return {}


def _name(item: Any) -> str:
    return str(next(iter(item))) if isinstance(item, Mapping) and item else str(item)


def _with_name(item: Any) -> Any:
    settings = _settings(item)
    if not settings or "name" in settings:
        return item
    return {_name(item): {**settings, "name": label(_name(item), settings)}}


def _each(item: Any) -> Iterator[tuple[Any, bool]]:
    """An entry for each choice from the lists among its settings; whether it is one of several."""
    settings = _settings(item)
    lists = {key: value for key, value in settings.items() if isinstance(value, list)}
    axes = {key: value for key, value in lists.items() if key != "name"}
    if not axes:
        yield item, False
        return
    for key, value in axes.items():
        if not value:
            raise UserError(f"'{key}' of '{_name(item)}' is a list with nothing in it")
    for chosen in itertools.product(*axes.values()):
        made = {**settings, **dict(zip(axes, chosen, strict=True))}
        if "name" in settings:
            made["name"] = "-".join([str(settings["name"]), *map(_part, chosen)])
        yield {_name(item): made}, True


def shown(item: Any) -> str | None:
    """The word of an entry; None if no word can say it, or if none can for others: a path."""
    if "/" in _name(item):
        return None
    if isinstance(item, str):
        return item
    if not isinstance(item, Mapping) or len(item) != 1:
        return None
    name, settings = next(iter(item.items()))
    parts = [str(name)]
    for key, value in (settings or {}).items():
        text = _text(value)
        if not text or _APART.search(text):
            return None
        parts.append(f"{key}={text}")
    return ":".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _parsed(word: Any, first: str) -> Any:
    """A word with settings as a mapping; anything else as it is."""
    if not isinstance(word, str) or ":" not in word:
        return word
    name, *parts = word.split(":")
    texts: dict[str, str] = {}
    key = ""
    for part in parts:
        if match := _KEY.fullmatch(part):
            key = match[1]
            if key in texts:
                raise UserError(f"'{word}' gives '{key}' twice; write {key}=A+B for two values")
            texts[key] = match[2]
        elif key:  # a value like compressible:50
            texts[key] += f":{part}"
        else:
            key = first
            texts[key] = part
    values = {key: [_value(one) for one in text.split("+")] for key, text in texts.items()}
    for key, several in values.items():
        if "" in several:
            raise UserError(
                f"'{word}' gives '{key}' no value; write NAME:KEY=VALUE, e.g. zram:compressor=zstd"
            )
    return {name: {key: one[0] if len(one) == 1 else one for key, one in values.items()}}


def _value(text: str) -> Any:
    """As a spec file reads it, where that is a number, yes or no."""
    try:
        made = yamlfile.parse(text)
    except yaml.YAMLError:
        return text
    return made if isinstance(made, int) else text
