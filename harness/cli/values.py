# SPDX-License-Identifier: GPL-2.0-only
"""What the values of options may be: types for argparse, with one sentence for a wrong one."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.experiment import settings
from harness.experiment.settings import Takes
from harness.results import address
from harness.util.paths import at_home
from harness.util.yamlfile import near

EMPTY = "is empty; give it a value or leave it out"


def needs(command: str, variable: str, help: str | None) -> str:
    """What is said where a command lacks a variable."""
    return f"{command} needs {variable}=, {help}: make {command} {variable}=..."


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in words:
            wanted = f"{', '.join(words[:-1])} or {words[-1]}"
            raise ArgumentTypeError(f"is '{text}'; it must be {wanted}{near(text, words)}")
        return text

    return read


def flag(text: str) -> bool:
    """Yes or no, also as YAML has it."""
    try:
        return settings.flag(text)
    except ValueError as error:
        raise ArgumentTypeError(f"is '{text}'; it must be {error}") from None


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"is '{text}'; it must be a whole number") from None


def days(text: str) -> float:
    """A number of days."""
    try:
        count = float(text)
    except ValueError:
        count = -1
    if not 0 <= count < 1e6:
        raise ArgumentTypeError(f"is '{text}'; it counts days, from 0")
    return count


def url(text: str) -> str:
    """The address of a board, with a slash at its end."""
    try:
        return address.board(text)
    except ValueError as error:
        raise ArgumentTypeError(f"is '{text}'; it must be {error}") from None


def place(text: str) -> str:
    """A path or a URL; a '~' arrives here where the shell leaves it, as in KERNEL_GIT=~/linux."""
    if not text:
        raise ArgumentTypeError(EMPTY)
    return at_home(text)


def path(text: str) -> Path:
    """A path, '~' included."""
    return Path(place(text))


OF: dict[Takes, Callable[[str], Any]] = {
    Takes.TEXT: str,
    Takes.FLAG: flag,
    Takes.WHOLE: whole,
    Takes.PLACE: place,
}
"""The type of an option by what its setting takes."""
