# SPDX-License-Identifier: GPL-2.0-only
"""triage.yaml: what people said of moves.  It lies beside nightly.yaml, and can be committed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml

from harness.experiment import defaults
from harness.util import atomic, yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import Day, Items, Model, Text, matching, one_of

COPY = "triage.yaml"
"""The copy below results/, which the board and the trend read."""
EXPECTED, CULPRIT, NOISE = "expected", "culprit found", "noise"
WORDS = dict(zip(defaults.TRIAGE, (EXPECTED, CULPRIT, NOISE), strict=True))
"""The words of the command line."""
_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-only
# What moved at night, and why: `make triage` lists what moved and writes this file.
"""


@dataclass(frozen=True, slots=True)
class TriageWord(Model):
    """What somebody said of a move.

    move: its id; line, at: what it is, for who reads the file; word: one of `WORDS`' values
    by: a name; date: ISO, of the day; note: a sentence, e.g. which patch it was
    """

    move: Annotated[Text, matching(r"[0-9a-f]{8}", "the eight digits of a move")]
    line: Text
    at: Text
    word: Annotated[str, one_of((EXPECTED, CULPRIT, NOISE))]
    by: Text
    date: Day
    note: Text = ""


@dataclass(frozen=True, slots=True)
class _WordsFile(Model):
    moves: Items[TriageWord] = ()


def beside(config: Path) -> Path:
    """The file of a nightly.yaml: triage.yaml, or x-triage.yaml of x.yaml."""
    stem = config.stem
    return config.with_name("triage.yaml" if stem == "nightly" else f"{stem}-triage.yaml")


def read(path: Path) -> dict[str, TriageWord]:
    """All words by the id of their move; none if there is no file.

    UserError naming the file and the key that is wrong in it.
    """
    if not path.exists():
        return {}
    found = yamlfile.load(path, _WordsFile)
    made = {one.move: one for one in found.moves}
    if len(made) != len(found.moves):
        ids = [one.move for one in found.moves]
        twice = next(one for one in ids if ids.count(one) > 1)
        raise UserError(f"{path}: the move {twice} is there twice: leave one of both out")
    return made


def write(path: Path, words: Sequence[TriageWord]) -> None:
    """Write the file anew, in the order of the words."""
    rows = [
        {name: value for name in one.__slots__ if (value := getattr(one, name))} for one in words
    ]
    text = yaml.safe_dump({"moves": rows}, sort_keys=False, allow_unicode=True, width=100)
    atomic.text(path, _HEAD + text)
