# SPDX-License-Identifier: GPL-2.0-only
"""One back-end or workload with its settings, as a word of the command line.

``zram:zstd``, ``zswap:compressor=lz4+zstd:pool=50``, ``pageio:size=64M:content=compressible:50``:
the entries that a spec file writes as a mapping.  A ':' begins a setting, a '+' another value of
it, for one cell each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yaml

from harness.util import yamlfile
from harness.util.errors import UserError

_KEY = re.compile(r"([a-z][a-z0-9_-]*)=(.*)")
# What a value cannot hold in a word, because it ends it or begins another.
_APART = re.compile(r"[\s,+]|:[a-z][a-z0-9_-]*=")


def parsed(entries: tuple[Any, ...], *, first: str) -> tuple[Any, ...]:
    """The entries with each word that has settings as a mapping; others stay as they are.

    A value without a key behind the name is that of the key ``first``.
    Raises UserError naming a word that cannot be read.
    """
    return tuple(
        _parsed(item, first) if isinstance(item, str) and ":" in item else item for item in entries
    )


backends: Callable[[tuple[Any, ...]], tuple[Any, ...]] = partial(parsed, first="compressor")
"""Of BACKENDS: ``zram:zstd``."""
workloads: Callable[[tuple[Any, ...]], tuple[Any, ...]] = partial(parsed, first="preset")
"""Of WORKLOADS: ``pageio:standard``."""


def shown(item: Any) -> str | None:
    """The word of an entry; None if no word can say it."""
    if isinstance(item, str):
        return item
    if not isinstance(item, Mapping) or len(item) != 1:
        return None
    name, settings = next(iter(item.items()))
    parts = [str(name)]
    for key, value in (settings or {}).items():
        texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
        if not all(texts) or any(_APART.search(text) for text in texts):
            return None
        parts.append(f"{key}={'+'.join(texts)}")
    made = ":".join(parts)
    return made if _KEY.fullmatch(f"{name}=") else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _parsed(word: str, first: str) -> dict[str, Any]:
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
