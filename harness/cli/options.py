# SPDX-License-Identifier: GPL-2.0-only
"""Options that several sub-commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from harness.cli import values
from harness.experiment import settings
from harness.experiment.settings import SpecKey, Takes
from harness.util.paths import RESULTS
from harness.util.yamlfile import words

POSITIONAL = "metric"
"""The setting that may also stand on the command line without an option."""


def experiment(parser: argparse.ArgumentParser, command: str) -> None:
    """The settings of an experiment that a command takes, and what is asked beside them."""
    taken = [one for one in settings.declared().values() if one.taken_by(command)]
    kernels = parser.add_argument_group("kernels")
    kernels.add_argument("--spec", type=values.path, help="YAML file with any of these settings")
    for part in ("kernels", "matrix", "guest", "schedule", "host"):
        group = kernels if part == "kernels" else parser.add_argument_group(part)
        _add(group, (one for one in taken if one.part == part))
    if own := [one for one in taken if one.part == "study"]:
        _add(parser.add_argument_group(command), own)
    result = parser.add_argument_group("result")
    _add(result, (one for one in taken if one.part == ""))
    results(result)


def _add(group: argparse._ActionsContainer, found: Iterable[SpecKey]) -> None:
    for one in found:
        if one.help is None:
            continue
        words = (one.option, one.alias) if one.alias else (one.option,)
        metavar = "{yes,no}" if one.takes is Takes.FLAG else one.metavar
        read = values.OF[one.takes]
        text = one.help.replace("%", "%%")  # argparse formats it
        if one.name == POSITIONAL:
            group.add_argument(one.name, nargs="?", type=read, metavar=metavar, help=text)
        else:
            group.add_argument(*words, dest=one.name, type=read, metavar=metavar, help=text)


def some(group: argparse._ActionsContainer, *names: str) -> None:
    """Settings by their names, for a command that takes no experiment."""
    declared = settings.declared()
    _add(group, (declared[name] for name in names))


def mails(parser: argparse._ActionsContainer) -> None:
    """Where mails are to be had."""
    some(parser, "lore", "mirror")


def nightly_file(parser: argparse.ArgumentParser) -> None:
    """The file of `make nightly`."""
    parser.add_argument(
        "--nightly",
        "--config",
        metavar="FILE",
        type=values.path,
        default=Path("nightly.yaml"),
        help="what is followed and measured (default: nightly.yaml)",
    )


def nightly(parser: argparse.ArgumentParser) -> None:
    """What `make nightly` takes beside its file."""
    nightly_file(parser)
    parser.add_argument(
        "--bisect",
        type=values.one_of("auto", "no"),
        metavar="{auto,no}",
        help="auto: spend what is left of the budget on finding the patches that moved a line "
        "(default: as the file says, else no)",
    )
    some(parser, "kernel_git", "lore", "mirror", "sandbox", "jobs", "scheduler")
    results(parser)


def cases(parser: argparse.ArgumentParser) -> None:
    """What `make cases` takes."""
    parser.add_argument(
        "--kernels",
        metavar="KERNELS",
        type=words,
        help="kernels and series, e.g. 'debian/6.12 v6.19 vswap-v3': a series is booted beside its "
        "base, which v6.19+MESSAGE-ID names where it does not say one",
    )
    parser.add_argument("--cases", metavar="CASES", type=words, help="some cases (default: all)")
    parser.add_argument(
        "--pairs",
        type=values.OF[Takes.WHOLE],
        help="boots of each kernel for each cell (default: 1)",
    )
    some(parser, "seed", "parallel", "name")
    some(parser, *(one.name for one in settings.declared().values() if one.part == "host"))
    results(parser)


def board(parser: argparse.ArgumentParser) -> None:
    """Where the board can be read."""
    parser.add_argument(
        "--board",
        metavar="URL",
        type=values.url,
        help="where the board is published, for links to its pages (default: as nightly.yaml says)",
    )


def repeat(parser: argparse.ArgumentParser) -> None:
    """What `make repeat` takes: how this machine has and builds things, and nothing else."""
    some(parser, "kernel_git", "sandbox", "jobs", "scheduler", "parallel", "name")
    results(parser)


def sandbox(parser: argparse._ActionsContainer) -> None:
    """Whether a series is confined."""
    some(parser, "sandbox")


def results(parser: argparse._ActionsContainer) -> None:
    """Where results go."""
    folder = os.environ.get("RESULTS") or str(RESULTS)
    parser.add_argument(
        "--results", type=values.path, default=folder, help="where results go (default: results/)"
    )
