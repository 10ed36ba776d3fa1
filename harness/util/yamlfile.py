# SPDX-License-Identifier: GPL-2.0-only
"""YAML files -> checked dataclasses, by pydantic; one sentence for whatever is wrong with them.

A `Model` is a frozen dataclass that `load` and `check` fill from a mapping.  Its annotations say
what each key may hold; the types below are those that YAML has no word for.  Nothing is converted
in silence: "3" is no number, 3 is no text, and a key that no field has is an error.

pydantic is imported by the first check, not by the definition of a model: it takes long.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import yaml

from harness.util.errors import UserError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema, ErrorDetails

_DEEPEST = 50
_MOST = 100_000
"""Values in one file; aliases count as what they stand for, as they would when printed."""
_WIDEST = 1024
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST = 60
_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number that is finite",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "empty",
}
"""pydantic's types of errors, and what the value should have been."""

T = TypeVar("T")
M = TypeVar("M", bound="Model")


class Wanted(ValueError):
    """What a value must be, as the end of "it must be"; a `Check` raises it."""


class Model:
    """The base of a frozen dataclass that `check` makes from a mapping.

    Each field is a key; an underscore at its end is not part of the key (``from_``).  A key without
    a value has the field's default, if there is one.  A ``__post_init__`` may raise ValueError with
    a sentence.
    """

    __slots__ = ()
    __pydantic_config__ = {  # noqa: RUF012 - pydantic looks for a plain dict
        "strict": True,
        "extra": "forbid",
        "allow_inf_nan": False,
        "alias_generator": lambda name: name.rstrip("_"),
    }

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415

        made = handler(source)
        # Strict, it would take no mapping.  Its fields stay strict.
        definition: Any = handler.resolve_ref_schema(made)
        definition["strict"] = False
        return core_schema.no_info_before_validator_function(partial(_keys, cls), made)


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """In Annotated: what ``function`` makes of a value that already has the annotated type.

    It says what is wrong by `Wanted`, by ValueError or by UserError.  first: it gets the value as
    YAML has it, and its result must have the type.
    """

    function: Callable[[Any], Any]
    first: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415

        if self.first:
            return core_schema.no_info_before_validator_function(self._run, handler(source))
        return core_schema.no_info_after_validator_function(self._run, handler(source))

    def _run(self, value: Any) -> Any:
        try:
            return self.function(value)
        except UserError as error:
            raise ValueError(str(error)) from error


def holding(test: Callable[[Any], object], what: str) -> Check:
    """A value for which ``test`` is true; ``what`` ends "it must be"."""

    def check(value: Any) -> Any:
        if not test(value):
            raise Wanted(what)
        return value

    return Check(check)


def matching(pattern: str, what: str) -> Check:
    """A text that a pattern matches as a whole."""
    return holding(re.compile(pattern).fullmatch, what)


def at_least(least: float, most: float | None = None) -> Check:
    """A number from ``least``, to ``most`` if there is one."""
    if most is None:
        return holding(lambda value: value >= least, f"at least {least}")
    return holding(lambda value: least <= value <= most, f"from {least} to {most}")


def one_of(words: Iterable[str]) -> Check:
    """A text that is one of these words."""
    known = tuple(words)

    def check(value: str) -> str:
        if value not in known:
            raise Wanted(f"one of {', '.join(known)}{near(value, known)}")
        return value

    return Check(check)


def regex(value: str) -> str:
    """The value, if it is a regular expression; for a `Check`."""
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise Wanted(f"a regular expression ({error})") from error
    return value


def _fraction(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d{1,15})\s*/\s*0*([1-9]\d{0,15})\s*", value)
    if not match:
        raise Wanted("a number or a fraction like 1/8")
    return int(match[1]) / int(match[2])


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _named(value: Any) -> Any:
    if not isinstance(value, dict):
        raise Wanted("a mapping of names")
    for name, item in value.items():
        if not isinstance(item, dict):
            raise ValueError(f"'{_word(name)}' is {_shown(item)}; it must be a mapping")
        if "name" in item:
            raise ValueError(f"{_word(name)}: unknown key 'name'; the name is the key above it")
    return tuple({"name": name, **item} for name, item in value.items())


def _pairs(value: Any) -> Any:
    if not isinstance(value, dict):
        raise Wanted("a mapping")
    return tuple(sorted(value.items(), key=lambda pair: str(pair[0])))


def words(value: Any) -> Any:
    """A list, or a text of words with blanks or commas between, as a tuple; for a `Check`."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else _listed(value)


_some = holding(bool, "a list with something in it")

Text = Annotated[str, holding(str.strip, "a text that is not empty"), Check(str.strip)]
"""A text that says something, without the blanks around it."""
Slug = Annotated[
    str,
    matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of letters, digits, '.', '_' and '-'"),
]
"""A text that can name a file."""
Day = Annotated[str, Check(lambda v: str(v) if isinstance(v, date) else v, first=True)]
"""A date, as text."""
Regex = Annotated[str, Check(regex)]
"""A text that is a regular expression."""
Count = Annotated[int, at_least(0)]
"""A whole number, zero or more."""
Positive = Annotated[int, at_least(1)]
"""A whole number from one on."""
Amount = Annotated[float, at_least(0), Check(_fraction, first=True)]
"""A number, zero or more; it can be written "1/8"."""
Items = Annotated[tuple[T, ...], Check(_listed, first=True)]
"""A list, perhaps empty."""
Pairs = Annotated[tuple[tuple[str, T], ...], Check(_pairs, first=True)]
"""A mapping, as pairs in the order of its keys."""
Words = Annotated[tuple[Any, ...], _some, Check(words, first=True)]
"""A list with something in it, or a text of words with blanks or commas between."""
Named = Annotated[tuple[T, ...], Check(_named, first=True)]
"""A mapping of names to models that have a field ``name``."""
SomeItems = Annotated[tuple[T, ...], _some, Check(_listed, first=True)]
"""A list with something in it."""


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
        _check_leaf(value)
        return 1
    if depth > _DEEPEST:
        raise yaml.YAMLError(f"it is nested deeper than {_DEEPEST} levels, or holds itself")
    if id(value) not in known:
        known[id(value)] = 1 + sum(_weight(part, known, depth + 1) for part in parts)
    return known[id(value)]


def _check_leaf(value: Any) -> None:
    """What no output could hold."""
    if isinstance(value, int) and value.bit_length() > _WIDEST:
        raise yaml.YAMLError(f"a number has more than {_WIDEST} bits")
    if isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
        raise yaml.YAMLError("a text has half a surrogate pair")


def nearest(word: str, known: Iterable[Any]) -> str:
    """The end of an error sentence: the nearest known word, or all of them."""
    words = sorted(str(item) for item in known)
    return near(word, words) or f"; there are: {', '.join(words)}"


def near(word: object, words: Iterable[str]) -> str:
    """The end of an error sentence: the word that was meant, "" if none is near."""
    close = difflib.get_close_matches(str(word), words, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def read(path: Path, *, place: str = "") -> dict[Any, Any]:
    """The keys and values of a file, unchecked; none for an empty one.

    ``place`` names the file in errors.  Raises UserError if it is no YAML, or no mapping.
    """
    place = place or str(path)
    try:
        data = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{place} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{place} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict | None):
        raise UserError(f"{place} is {_shown(data)}; it must be a mapping")
    return data or {}


def load(path: Path, model: type[M], /, *, place: str = "", **given: Any) -> M:
    """A file as a model; ``given`` are fields that the caller knows, and the file cannot set.

    ``place`` names the file in errors.  Raises UserError naming file and key.
    """
    return check(read(path, place=place), model, place or str(path), **given)


def check(data: Any, model: type[M], place: str, /, **given: Any) -> M:
    """Values as a model; ``given`` as in `load`.  Raises UserError naming ``place`` and key."""
    from pydantic import ValidationError  # noqa: PLC0415

    if isinstance(data, Mapping):
        for key in given.keys() & data.keys():
            raise UserError(f"{place}: unknown key '{key}'")
        data = {**data, **given}
    try:
        made: M = _adapter(cast(Hashable, model)).validate_python(data)
    except ValidationError as error:
        raise UserError(_sentence(place, error.errors(include_url=False)[0], data)) from error
    return made


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(model)


def unknown(keys: Iterable[Any], known: Collection[str]) -> str:
    """What is said of the first of the keys that is not known; "" if all are."""
    for key in keys:
        if key not in known:
            hint = nearest(key, known) if isinstance(key, str) else _quotes(key)
            return f"unknown key '{_word(key)}'{hint}"
    return ""


def _keys(model: type[Model], data: Any) -> Any:
    """The mapping without the keys that have no value, for the model."""
    if not isinstance(data, dict):
        return data
    fields = {one.name.rstrip("_"): one for one in dataclasses.fields(model)}  # type: ignore[arg-type]
    said = unknown(data, fields)
    if said:
        raise ValueError(said)
    missing = dataclasses.MISSING
    required = {
        key
        for key, one in fields.items()
        if one.default is missing and one.default_factory is missing
    }
    return {key: value for key, value in data.items() if value is not None or key in required}


def _sentence(place: str, error: ErrorDetails, data: Any) -> str:
    """What is wrong, and where: "nightly.yaml: series, entry 2: 'from' is '3'; it must be ..."."""
    kind, value, path = error["type"], error["input"], error["loc"]
    cause = error.get("ctx", {}).get("error")
    if kind == "missing":
        return _joined(place, _where(path[:-1], data), f"key '{path[-1]}' is missing")
    if kind == "value_error" and not isinstance(cause, Wanted):
        is_whole = isinstance(value, dict) or not path
        parts = [_where(path, data)] if is_whole else [_where(path[:-1], data), _subject(path[-1])]
        return _joined(place, *parts, str(cause))
    wanted = str(cause) if cause else _KINDS.get(kind) or f"something else: {error['msg']}"
    if kind == "string_type":
        wanted += _quotes(value)
    if not path:
        return f"{place} is {_shown(value)}; it must be {wanted}"
    if path[-1] == "[key]":
        return _joined(place, _where(path[:-2], data), f"key '{_word(value)}' must be {wanted}")
    said = f"{_subject(path[-1])} is {_shown(value)}; it must be {wanted}"
    return _joined(place, _where(path[:-1], data), said)


def _joined(*parts: str) -> str:
    return ": ".join(filter(None, parts))


def _subject(step: int | str) -> str:
    return f"entry {step + 1}" if isinstance(step, int) else f"'{_word(step)}'"


def _where(path: tuple[int | str, ...], data: Any) -> str:
    """Keys with dots between; an entry of a list by its name, or by its number from 1 on."""
    words = ""
    for step in path:
        key: Any = step
        if isinstance(data, dict) and isinstance(step, int) and step < len(data):
            key = list(data)[step]  # of `Named`
        try:
            data = data[key]
        except (LookupError, TypeError):
            data = None
        name = data.get("name") if isinstance(data, dict) else None
        key = name if isinstance(key, int) and isinstance(name, str) else key
        if isinstance(key, int):
            words += f", entry {key + 1}, "
        else:
            words += _word(key) if not words or words.endswith(" ") else f".{_word(key)}"
    return words.rstrip(", ")


def _quotes(value: Any) -> str:
    """The hint for what YAML does not take for a text."""
    if isinstance(value, bool):
        return " (YAML reads a bare y, n, yes, no, on or off as true or false: put it in quotes)"
    if isinstance(value, int | float):
        return " (YAML reads it as a number, and 1.10 as 1.1: put it in quotes)"
    return " (YAML reads it as a date: put it in quotes)" if isinstance(value, date) else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict | list | tuple | set):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    return "empty" if value is None else f"'{_word(value)}'"


def _word(value: Any) -> str:
    """A value as one short line, as YAML would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
