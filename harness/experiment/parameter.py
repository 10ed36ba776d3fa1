# SPDX-License-Identifier: GPL-2.0-only
"""What a parameter of a workload takes, as its program declares it in described.json.

The programs check their options as well, but in a guest, after both kernels are built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.util.errors import UserError
from harness.util.units import format_size, parse_size
from harness.util.yamlfile import near

_FLAGS = ("yes", "no", "true", "false", "1", "0")
_CONTENT = re.compile(r"zero|random|same:[0-9a-fA-F]{1,2}|compressible:0*(100|\d{1,2})")
_TEXT = re.compile(r"[A-Za-z0-9._+:/,-]{0,127}")
_UNITS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}
_SIZE = re.compile(r"\d+[KMGT]?")


def taken(value: Any, declared: Mapping[str, Any]) -> str:
    """A value as the program's option takes it.

    ``declared`` is the parameter's entry of described.json.  Raises UserError whose text ends
    "it must be", for the caller to begin.
    """
    text = ("1" if value else "0") if isinstance(value, bool) else str(value)
    return _TYPES[declared["takes"]](text, declared)


def _size(text: str, declared: Mapping[str, Any]) -> str:
    try:
        count = parse_size(text)
    except UserError as error:
        raise UserError("a size, e.g. 64M") from error
    least, most, multiple = declared["min"], declared["max"], declared.get("multiple", 1)
    if not least <= count <= most:
        raise UserError(f"from {format_size(least)} to {format_size(most)}")
    if count % multiple:
        raise UserError(f"a multiple of {multiple} bytes")
    # The programs know no "64MiB".
    return text if _SIZE.fullmatch(text) else format_size(count)


def _time(text: str, declared: Mapping[str, Any]) -> str:
    """Keeps the text: 8ms says more than its ns."""
    try:
        count = nanoseconds(text)
    except UserError as error:
        raise UserError("a time with its unit, e.g. 80us or 8ms") from error
    if not declared["min"] <= count <= declared["max"]:
        raise UserError(f"from {_in_words(declared['min'])} to {_in_words(declared['max'])}")
    return text


def nanoseconds(text: str) -> int:
    """The ns of a time like 80us.  UserError if it is none."""
    match = re.fullmatch(r"(\d{1,12})(ns|us|ms|s)", text)
    if not match:
        raise UserError(f"'{text}' is no time")
    return int(match[1]) * _UNITS[match[2]]


def _in_words(count: int) -> str:
    unit = next(name for name, size in reversed(_UNITS.items()) if count % size == 0)
    return f"{count // _UNITS[unit]}{unit}"


def _priorities(text: str, _: Mapping[str, Any]) -> str:
    if not re.fullmatch(r"\d{1,5}(-\d{1,5}){1,15}", text) or max(map(int, text.split("-"))) > 32767:
        raise UserError("the priorities of 2 to 16 areas from 0 to 32767, e.g. 10-10-5")
    return text


def _count(text: str, declared: Mapping[str, Any]) -> str:
    if not re.fullmatch(r"\d{1,20}", text) or not declared["min"] <= int(text) <= declared["max"]:
        raise UserError(f"a whole number from {declared['min']} to {declared['max']}")
    return text


def _flag(text: str, _: Mapping[str, Any]) -> str:
    if text.lower() not in _FLAGS:
        raise UserError("yes or no")
    return text


def _choice(text: str, declared: Mapping[str, Any]) -> str:
    choices = declared["choices"]
    if text not in choices:
        raise UserError(f"one of {', '.join(choices)}{near(text, choices)}")
    return text


def _content(text: str, _: Mapping[str, Any]) -> str:
    if not _CONTENT.fullmatch(text):
        raise UserError(
            "zero, random, same:BYTE with two hex digits, or compressible:PERCENT with the part "
            "of random bytes, e.g. compressible:30"
        )
    return text


def _text(text: str, _: Mapping[str, Any]) -> str:
    if not _TEXT.fullmatch(text):
        raise UserError("at most 127 letters, digits and '._-+:/,'")
    return text


_TYPES: Mapping[str, Callable[[str, Mapping[str, Any]], str]] = {
    "size": _size,
    "count": _count,
    "time": _time,
    "priorities": _priorities,
    "flag": _flag,
    "choice": _choice,
    "content": _content,
    "text": _text,
}
