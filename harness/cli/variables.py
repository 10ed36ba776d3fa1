# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness.cli COMMAND NAME=VALUE...``: variables of make become options.

A variable is named like the option: KERNEL_GIT is --kernel-git, RESULT is the argument RESULT.
Without a command: the variables of all commands, for ``make help``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.cli import commands, main, options
from harness.cli.commands import CommandLine
from harness.cli.values import EMPTY, needs
from harness.experiment import defaults
from harness.util.errors import Exit, UserError
from harness.util.escape import harmless
from harness.util.yamlfile import near

_WIDTH = 96


_ALWAYS = {"RESULTS"}
"""What make hands on whether it was given or not."""
_ENVIRONMENT = {
    "CACHE_LIMIT", "DEBIAN_MIRROR", "KERNEL_GIT", "KERNEL_GIT_MISSING", "KERNEL_KEYRING",
    "KERNEL_MIRROR", "SANDBOX_READ", "SETUP_PACKAGES", "XDG_CACHE_HOME",
    "HOME", "PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy",
}  # fmt: skip
"""What make puts into the environment of the harness, which reads it there."""


def arguments(line: CommandLine, command: str, given: Mapping[str, str]) -> list[str]:
    """The arguments of the command line for variables with their values, taken as they are.

    Raises UserError for a variable that the command has not, which would measure something else
    than was meant, for one that is empty, as an unset variable of the shell is, and for one that
    must be there.
    """
    action = ""
    if command not in line.commands:  # like results-rm
        command, _, action = command.partition("-")
    taken = _taken(line.commands[command])
    of_result = {"RESULT"} if action == "rm" else set[str]()
    _require_known(line, command, given, of_result)
    if of_result - given.keys():
        raise UserError(f"make {command}-{action} needs RESULT=, the name of a result")
    named, words = [], [*([action] if action else []), *(given[name] for name in of_result)]
    for one in taken:
        name = variable(one)
        value = given.get(name)
        if not one.option_strings:
            # A setting may stand in the spec file instead.
            if value is None and one.default is None and (one.nargs is None or "SPEC" not in given):
                raise UserError(needs(command, name, one.help))
            value = one.default if value is None else value
            words += [str(value)] if value is not None else []
        elif value is not None and one.nargs != 0:
            named.append(f"{one.option_strings[0]}={value}")
        elif value is not None and _yes(name, value):  # of an option without a value
            named.append(one.option_strings[0])
    return [command, *named, *(["--", *words] if words else [])]


def _require_known(
    line: CommandLine, command: str, given: Mapping[str, str], more: set[str]
) -> None:
    own = {variable(one) for one in _taken(line.commands[command])} | _ALWAYS | more
    every = variables(line)
    for name, value in given.items():
        if name not in own | every | _ENVIRONMENT:
            close = near(name, sorted(own)) or near(name, sorted(every | _ENVIRONMENT))
            raise UserError(f"there is no variable {name}{close or '; make help lists them'}")
        if name not in own | _ENVIRONMENT:
            raise UserError(f"make {command} takes no {name}=; leave it out")
        if not value:
            raise UserError(f"{name}= {EMPTY}")


def _yes(name: str, value: str) -> bool:
    if value not in ("yes", "no"):
        raise UserError(f"{name} is '{value}'; it must be yes or no")
    return value == "yes"


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
    return "\n".join([*lines, *_lacking(line)])


def _lacking(line: CommandLine) -> Iterator[str]:
    """What those commands do not take that measure as compare does."""
    first = {variable(one) for one in _taken(line.commands["compare"])}
    yield "Not taken:"
    for name, command in line.commands.items():
        own = {variable(one) for one in _taken(command)}
        if "SPEC" in own and first - own:
            yield from textwrap.wrap(
                ", ".join(sorted(first - own)),
                _WIDTH,
                initial_indent=f"  {f'by {name}':<14} ",
                subsequent_indent=" " * 17,
            )
    yield ""


def _taken(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """What has a variable: options, settings, and arguments that must be there or have a default.

    The action of results and workloads is no variable: each is a target.
    """
    return [
        one
        for one in commands.actions(command)
        if one.option_strings
        or one.nargs is None
        or one.dest == options.POSITIONAL
        or (one.default and one.dest != "action")
    ]


def _described(actions: Sequence[argparse.Action]) -> Iterator[str]:
    for one in actions:
        text = re.sub(
            r"--([a-z][a-z-]+)",
            lambda word: word[1].replace("-", "_").upper(),
            (one.help or "").replace("%%", "%"),
        )
        yield from textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=f"  {variable(one) + '=':<14} ",
            subsequent_indent=" " * 17,
        )


_PLACES = ("BASE", "HEAD", "PATCH", "SPEC", "NIGHTLY")
"""Variables that may name a tree or are a file; with ``./`` or ``../`` it is taken from the folder
that make was called in."""
_PROGRAMS = "WORKLOADS"
"""The variable with words that may name a program of the user's own, likewise."""
_OWN_PROGRAM = re.compile(r"(?<![^\s,])\.\.?/[^\s,:]*")


def _placed(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """The variables, with ``.``, ``./x``, ``../x`` and ``.:x`` taken from ``folder``."""
    placed = dict(given)
    for name in _PLACES:
        place, colon, rest = given.get(name, "").partition(":")
        if re.match(r"\.\.?(/|$)", place):
            placed[name] = os.path.normpath(Path(folder) / place) + colon + rest
    if _PROGRAMS in given:
        placed[_PROGRAMS] = _OWN_PROGRAM.sub(
            lambda match: os.path.normpath(Path(folder) / match[0]), given[_PROGRAMS]
        )
    return placed


def run(argv: Sequence[str]) -> int:
    """As the module says; the exit status of the command."""
    line = commands.build()
    if not argv:
        print(listing(line), end="")
        return Exit.OK
    given = dict(word.split("=", 1) for word in argv[1:])
    given = _placed(given, os.environ.get("CALLED_FROM") or str(Path.cwd()))
    try:
        words = arguments(line, argv[0], given)
    except UserError as error:
        print(f"harness: {harmless(str(error))}", file=sys.stderr)
        return int(error.status)
    # NAME or HEAD in somebody's environment mean something else.
    for name in variables(line) - defaults.PLACES:
        os.environ.pop(name, None)
    return main.main(words)
