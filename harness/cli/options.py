# SPDX-License-Identifier: GPL-2.0-only
"""Options that several sub-commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from harness.cli import values
from harness.experiment import defaults, settings
from harness.util.paths import RESULTS


def experiment(parser: argparse.ArgumentParser) -> None:
    """The settings of an experiment, and what is asked beside them."""
    kernels = parser.add_argument_group("kernels")
    kernels.add_argument("--spec", type=values.path, help="YAML file with any of these settings")
    _settings(kernels, "kernels")
    _kernel_git(kernels)
    mails(kernels)
    kernels.add_argument(
        "--trailers",
        type=values.one_of("yes", "no"),
        metavar="{yes,no}",
        default="no",
        help="yes: commit messages get the Reviewed-by and so on of the answers",
    )
    _building(kernels)
    for part in ("matrix", "guest", "schedule"):
        _settings(parser.add_argument_group(part), part)
    result = parser.add_argument_group("result")
    _settings(result, "")
    _running(result)


def _settings(group: argparse._ActionsContainer, part: str) -> None:
    for one in settings.declared().values():
        if one.part == part and one.help is not None:
            group.add_argument(one.option, help=one.help, metavar=one.metavar)


def overhead(parser: argparse.ArgumentParser) -> None:
    """What `make overhead` measures."""
    sizes = ",".join(defaults.OVERHEAD_SIZES)
    fill, steps = defaults.OVERHEAD_FILL, defaults.OVERHEAD_STEPS
    group = parser.add_argument_group("overhead")
    group.add_argument("--sizes", default=sizes, help=f"of the swap area (default: {sizes})")
    group.add_argument("--fill", default=fill, help=f"memory to swap out (default: {fill})")
    group.add_argument(
        "--steps",
        type=values.whole,
        default=steps,
        help=f"snapshots on the way there (default: {steps})",
    )


def mails(parser: argparse._ActionsContainer) -> None:
    """Where mails are to be had."""
    parser.add_argument("--lore", help=f"server of message-ids (default: {defaults.LORE})")
    parser.add_argument("--mirror", help="local public-inbox mirrors, asked first: PATH:PATH")


def nightly(parser: argparse.ArgumentParser) -> None:
    """What `make nightly` takes beside its file."""
    parser.add_argument(
        "--nightly",
        "--config",
        metavar="FILE",
        type=values.path,
        default=Path("nightly.yaml"),
        help="what is followed and measured (default: nightly.yaml)",
    )
    _kernel_git(parser)
    mails(parser)
    _building(parser)
    _running(parser)


def sandbox(parser: argparse._ActionsContainer) -> None:
    """Whether a series is confined."""
    parser.add_argument(
        "--sandbox",
        type=values.one_of("yes", "no"),
        metavar="{yes,no}",
        default="yes",
        help="apply and build in a sandbox without network and home (default: yes); no: with all "
        "rights of the user",
    )


def results(parser: argparse._ActionsContainer) -> None:
    """Where results go."""
    folder = os.environ.get("RESULTS") or str(RESULTS)
    parser.add_argument(
        "--results", type=values.path, default=folder, help="where results go (default: results/)"
    )


def _kernel_git(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--kernel-git",
        type=values.place,
        help="git repository of tags and commits (or KERNEL_GIT)",
    )


def _building(parser: argparse._ActionsContainer) -> None:
    sandbox(parser)
    parser.add_argument(
        "--jobs", type=values.whole, help="compilers side by side (default: one a CPU)"
    )


def _running(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--scheduler",
        help="run the guests on the workers of this Dask scheduler, tcp://HOST:PORT (default: on "
        "this machine); see docs/many-machines.md",
    )
    results(parser)
