"""YAML text -> plain values, with one error for whatever is wrong with it.  Pure."""

from __future__ import annotations

from typing import Any

import yaml

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
