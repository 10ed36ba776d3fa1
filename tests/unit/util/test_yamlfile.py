# SPDX-License-Identifier: GPL-2.0-only
"""Values -> dataclasses: what is taken, and the one sentence for what is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import Amount, Count, Items, Model, Positive, Regex, SomeItems, Text


@dataclass(frozen=True, slots=True)
class _Part(Model):
    kind: Annotated[str, yamlfile.one_of(("metadata", "data"))]
    name: str = ""
    from_: Text = ""
    amount: Amount = 0.0
    size: Count = 0
    expression: Regex = ""

    def __post_init__(self) -> None:
        if self.size and self.amount:
            raise ValueError("give size or amount, not both")


@dataclass(frozen=True, slots=True)
class _Whole(Model):
    title: Text
    parts: Items[_Part] = ()
    named: Mapping[str, _Part] | None = None
    words: SomeItems[str] = ("a",)
    pairs: Positive = 3
    sure: bool = False
    share: float = 0.0
    path: str = ""


def _check(**data: Any) -> _Whole:
    return yamlfile.check({"title": "T", **data}, _Whole, "x.yaml")


def test_a_mapping_becomes_the_dataclass() -> None:
    part = {"kind": "data", "from": " v3 ", "amount": "1/8"}
    made = _check(parts=[part, {"kind": "data", "size": 64}], named={"a": part}, share=1)
    assert made == _Whole(
        "T",
        (
            _Part("data", from_="v3", amount=0.125),
            _Part("data", size=64),
        ),
        {"a": _Part("data", from_="v3", amount=0.125)},
        share=1.0,
    )


def test_a_key_without_a_value_has_its_default() -> None:
    assert _check(parts=None, words=None, pairs=None) == _Whole("T")


_KIND = {"kind": "data"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"titel": "T"}, "unknown key 'titel'; did you mean 'title'?"),
        (
            {"parts": [_KIND, {**_KIND, "fron": "x"}]},
            "parts, entry 2: unknown key 'fron'; did you mean 'from'?",
        ),
        (
            {"parts": [{**_KIND, "name": "a", "x": 1}]},
            "parts.a: unknown key 'x'; there are: amount",
        ),
        ({"parts": [{}]}, "parts, entry 1: key 'kind' is missing"),
        (
            {"named": {"b": {"kind": "metdata"}}},
            "named.b: 'kind' is 'metdata'; it must be one of metadata, data; "
            "did you mean 'metadata'?",
        ),
        ({"pairs": "3"}, "'pairs' is '3'; it must be a whole number"),
        ({"pairs": 3.5}, "'pairs' is '3.5'; it must be a whole number"),
        ({"pairs": True}, "'pairs' is 'true'; it must be a whole number"),
        ({"pairs": 0}, "'pairs' is '0'; it must be at least 1"),
        ({"sure": "yes"}, "'sure' is 'yes'; it must be true or false"),
        ({"sure": 1}, "'sure' is '1'; it must be true or false"),
        ({"share": "1"}, "'share' is '1'; it must be a number"),
        ({"share": float("nan")}, "'share' is 'nan'; it must be a number that is finite"),
        ({"title": None}, "'title' is empty; it must be a text"),
        ({"title": " "}, "'title' is ' '; it must be a text that is not empty"),
        (
            {"title": 6.1},
            "'title' is '6.1'; it must be a text (YAML reads it as a number",
        ),
        ({"words": "a b"}, "'words' is 'a b'; it must be a list"),
        ({"words": []}, "'words' is an empty list; it must be a list with something in it"),
        (
            {"words": ["a", True]},
            "words: entry 2 is 'true'; it must be a text (YAML reads a",
        ),
        ({"parts": [3]}, "parts: entry 1 is '3'; it must be a mapping"),
        ({"named": {6.1: _KIND}}, "named: key '6.1' must be a text (YAML reads it as a number"),
        ({"parts": [{**_KIND, "amount": "1/0"}]}, "it must be a number or a fraction like 1/8"),
        ({"parts": [{**_KIND, "amount": -1}]}, "'amount' is '-1'; it must be at least 0"),
        ({"parts": [{**_KIND, "size": True}]}, "'size' is 'true'; it must be a whole number"),
        ({"parts": [{**_KIND, "expression": "("}]}, "it must be a regular expression (missing )"),
        ({"parts": [{**_KIND, "size": 1, "amount": 1}]}, "give size or amount, not both"),
    ],
)
def test_one_sentence_says_where_and_what(data: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        _check(**data)
    assert str(caught.value).startswith("x.yaml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True, slots=True)
class _Names(Model):
    rows: yamlfile.Named[_Part] = ()


def test_a_mapping_of_names() -> None:
    made = yamlfile.check({"rows": {"a": _KIND, "b": _KIND}}, _Names, "x.yaml")
    assert made.rows == (_Part("data", "a"), _Part("data", "b"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([_KIND], "'rows' is a list; it must be a mapping of names"),
        ({"a": 3}, "rows: 'a' is '3'; it must be a mapping"),
        ({"a": {**_KIND, "name": "b"}}, "rows: a: unknown key 'name'"),
        ({"a": _KIND, "b": {"knd": "data"}}, "rows.b: unknown key 'knd'; did you mean 'kind'?"),
        ({1.1: _KIND}, "rows.1.1: 'name' is '1.1'; it must be a text (YAML reads it as a number"),
    ],
)
def test_mistakes_below_a_name(rows: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        yamlfile.check({"rows": rows}, _Names, "x.yaml")
    assert str(caught.value).startswith(f"x.yaml: {said}")


def test_what_is_no_mapping() -> None:
    with pytest.raises(UserError, match=r"x\.yaml is a list; it must be a mapping"):
        yamlfile.check([1], _Whole, "x.yaml")


def test_a_bare_on_is_no_key() -> None:
    with pytest.raises(
        UserError, match=r"unknown key 'true' \(YAML reads a bare y, n, yes, no, on"
    ):
        yamlfile.check({"title": "T", True: 1}, _Whole, "x.yaml")


def test_what_the_caller_knows_is_no_key_of_the_file() -> None:
    assert yamlfile.check({"title": "T"}, _Whole, "x.yaml", path="p").path == "p"
    with pytest.raises(UserError, match="unknown key 'path'"):
        yamlfile.check({"title": "T", "path": "q"}, _Whole, "x.yaml", path="p")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, " cannot be read: No such file or directory"),
        ("a: [", " is not YAML: while parsing"),
        (f"title: 0x{'f' * 9999}", " is not YAML: a number has more than"),
        ('title: "\\ud800"', " is not YAML: a text has half a surrogate pair"),
        ("- a", " is a list; it must be a mapping"),
        ("", ": key 'title' is missing"),
    ],
)
def test_a_file(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        yamlfile.load(path, _Whole)
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_model_costs_no_import_of_pydantic() -> None:
    code = "import sys, harness.util.yamlfile; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
