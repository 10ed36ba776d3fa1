# SPDX-License-Identifier: GPL-2.0-only
"""YAML files -> plain values; one error for whatever is wrong with them names file and key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.util.errors import UserError

_REQUIRED: Any = object()
_DEEPEST = 50
_MOST = 100_000
"""Values in one file; aliases count as what they stand for, as they would when printed."""


def parse(text: str) -> Any:
    """The values of a YAML document: mappings, lists, texts, numbers, dates, None.

    Raises yaml.YAMLError for what is no YAML, and for what PyYAML lets through as an error of
    another kind (a 13th month, "!!int" without digits, nesting without end) or as values that
    cannot be walked: a list inside itself, aliases that multiply.
    """
    try:
        made = yaml.safe_load(text)
    except yaml.YAMLError:
        raise
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise yaml.YAMLError(f"a value cannot be read: {error}") from error
    if _weight(made, {}, 0) > _MOST:
        raise yaml.YAMLError(f"it has more than {_MOST} values, aliases written out")
    return made


def _weight(value: Any, known: dict[int, int], depth: int) -> int:
    """How many values there are in a value, itself included."""
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        parts = list(value)
    else:
        return 1
    if depth > _DEEPEST:
        raise yaml.YAMLError(f"it is nested deeper than {_DEEPEST} levels, or holds itself")
    if id(value) not in known:
        known[id(value)] = 1 + sum(_weight(part, known, depth + 1) for part in parts)
    return known[id(value)]


def nearest(word: str, known: Any) -> str:
    """The end of an error sentence: the nearest known word, or all of them."""
    words = sorted(str(item) for item in known)
    close = difflib.get_close_matches(str(word), words, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are: {', '.join(words)}"


def read(path: Path, *, keys: Collection[str]) -> dict[str, Any]:
    """The keys and values of a file. UserError if it is none, or has a key outside `keys`."""
    try:
        data = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold keys and values")
    check(path, data, keys, "")
    return data


def check(path: Path, data: Mapping[Any, Any], keys: Collection[str], where: str) -> None:
    """UserError if a mapping has a key outside `keys`."""
    for key in data:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"{path}: {_at(where, str(key))} is not known{hint}")


def mapping(path: Path, data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The mapping at a key, empty if the key is absent."""
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{path}: {key} must hold keys and values")
    return value


def listing(path: Path, data: Mapping[str, Any], key: str) -> list[Any]:
    """The list at a key, empty if the key is absent."""
    value = data.get(key, [])
    if not isinstance(value, list):
        raise UserError(f"{path}: {key} must be a list")
    return value


def text(
    path: Path, data: Mapping[str, Any], key: str, where: str = "", *, default: str = _REQUIRED
) -> str:
    """The text at a key."""
    value = data.get(key, default)
    if value is _REQUIRED:
        raise UserError(f"{path}: {_at(where, key)} is missing")
    if not isinstance(value, str) or (not value and default != ""):
        hint = f' (write "{value}" in quotes)' if isinstance(value, int | float) else ""
        raise UserError(f"{path}: {_at(where, key)} must be a text{hint}")
    return value


def number(
    path: Path,
    data: Mapping[str, Any],
    key: str,
    where: str = "",
    *,
    default: float = _REQUIRED,
) -> float:
    """The number at a key, zero or more. A fraction can be written "1/8"."""
    value = data.get(key, default)
    if value is _REQUIRED:
        raise UserError(f"{path}: {_at(where, key)} is missing")
    if isinstance(value, str) and value.count("/") == 1:
        above, below = (part.strip() for part in value.split("/"))
        value = int(above) / int(below) if above.isdigit() and below.strip("0").isdigit() else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UserError(f"{path}: {_at(where, key)} must be a number of zero or more")
    return float(value)


def whole(path: Path, data: Mapping[str, Any], key: str, where: str = "", default: int = 0) -> int:
    """The whole number at a key, zero or more."""
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError(f"{path}: {_at(where, key)} must be a whole number of zero or more")
    return value


def choice(
    path: Path, data: Mapping[str, Any], key: str, allowed: Collection[str], where: str = ""
) -> str:
    """The text at a key, one of `allowed`."""
    value = text(path, data, key, where)
    if value not in allowed:
        raise UserError(f"{path}: {_at(where, key)} must be one of {', '.join(allowed)}")
    return value


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
