# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness.cli.variables COMMAND NAME=VALUE...``: variables of make become options.

A variable is named like the option: KERNEL_GIT is --kernel-git, RESULT is the argument RESULT.
Without a command: the variables of all commands, for ``make help``.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.cli import commands, main
from harness.cli.commands import CommandLine
from harness.util.errors import Exit, UserError

_WIDTH = 96


def arguments(line: CommandLine, command: str, given: Mapping[str, str]) -> list[str]:
    """The arguments of the command line for variables with their values, taken as they are.

    A variable of another command does not count, nor does one of no command: it may be for a
    program that make runs.  Raises UserError where the second is nearly one that there is.
    """
    known = variables(line)
    for name in given.keys() - known - {"PATH"}:
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            raise UserError(f"there is no variable {name}; did you mean {close[0]}?")
    options, words = [], []
    for one in _taken(line.commands[command]):
        value = given.get(variable(one))
        if not one.option_strings:
            words.append(value or "")
        elif value is not None and one.nargs != 0:
            options.append(f"{one.option_strings[0]}={value}")
        elif value:  # of an option without a value
            options.append(one.option_strings[0])
    return [command, *options, *(["--", *words] if words else [])]


def variables(line: CommandLine) -> set[str]:
    """Those of all commands."""
    return {variable(one) for each in line.commands.values() for one in _taken(each)}


def variable(action: argparse.Action) -> str:
    """The variable of an option or argument."""
    if action.option_strings:
        return action.option_strings[0].lstrip("-").replace("-", "_").upper()
    return str(action.metavar or action.dest).upper()


def listing(line: CommandLine) -> str:
    """All variables: those of compare, then what other commands have beside them."""
    shown: set[str] = set()
    lines = []
    for name, command in line.commands.items():
        own = [one for one in _taken(command) if variable(one) not in shown]
        if own:
            lines += [f"Variables of {name}{', too' if shown else ''}:", *_described(own), ""]
            shown |= {variable(one) for one in own}
    return "\n".join(lines)


def _taken(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What has a variable: options, and arguments that must be there."""
    return [one for one in commands.actions(command) if one.option_strings or one.nargs is None]


def _described(actions: Sequence[argparse.Action]) -> Iterator[str]:
    for one in actions:
        text = re.sub(
            r"--([a-z][a-z-]+)", lambda word: word[1].replace("-", "_").upper(), one.help or ""
        )
        yield from textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=f"  {variable(one) + '=':<14} ",
            subsequent_indent=" " * 17,
        )


_PLACES = ("BASE", "HEAD", "PATCH")
"""Variables that may name a tree; a relative name is one of the folder that make was called in."""


def _placed(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """The variables, with ``.``, ``./x``, ``../x`` and ``.:x`` taken from ``folder``."""
    placed = dict(given)
    for name in _PLACES:
        place, colon, rest = given.get(name, "").partition(":")
        if re.match(r"\.\.?(/|$)", place):
            placed[name] = os.path.normpath(Path(folder) / place) + colon + rest
    return placed


def run(argv: Sequence[str]) -> int:
    """As the module says; the exit status of the command."""
    line = commands.build()
    if not argv:
        print(listing(line), end="")
        return Exit.OK
    given = dict(word.split("=", 1) for word in argv[1:])
    given = _placed(given, os.environ.pop("CALLED_FROM", "") or str(Path.cwd()))
    try:
        words = arguments(line, argv[0], given)
    except UserError as error:
        print(f"harness: {error}", file=sys.stderr)
        return int(error.status)
    # HEAD or KERNEL_GIT in somebody's environment mean something else.
    for name in variables(line):
        os.environ.pop(name, None)
    return main.main(words)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
