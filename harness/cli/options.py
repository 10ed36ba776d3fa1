# SPDX-License-Identifier: GPL-2.0-only
"""Options that several sub-commands share, and what they come to."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from harness.experiment import suite
from harness.series.mail.lore import SERVER, MailSource
from harness.studies.overhead import measure
from harness.util.errors import UserError
from harness.util.paths import RESULTS, Cache


def overhead(parser: argparse.ArgumentParser) -> None:
    """What `make overhead` measures."""
    group = parser.add_argument_group("overhead")
    group.add_argument("--sizes", help=f"of the swap area (default: {','.join(measure.SIZES)})")
    group.add_argument("--fill", help=f"memory to swap out (default: {measure.FILL})")
    group.add_argument("--steps", type=int, help="snapshots on the way there (default: 4)")


def kernels(parser: argparse.ArgumentParser) -> None:
    """Which kernels, and how they are made."""
    group = parser.add_argument_group("kernels")
    group.add_argument("--spec", type=Path, help="YAML file with any of these settings")
    group.add_argument(
        "--base",
        help="debian/6.12 (the default), a tag or commit of --kernel-git, a kernel.org tarball "
        "(path or URL), a folder, or auto: what the series was made on",
    )
    group.add_argument(
        "--patch",
        help="a name in kernels/series/ (default: calibration), a message-id or URL of a mail, a "
        "folder of patches, a mailbox, or a range a..b of --kernel-git",
    )
    group.add_argument("--upto", metavar="N", help="only the first N patches of the series")
    group.add_argument("--head", help="a second kernel, named like --base, instead of a series")
    group.add_argument("--kernel-git", help="git repository of tags and commits (or KERNEL_GIT)")
    mails(group)
    group.add_argument(
        "--trailers",
        choices=("yes", "no"),
        default="no",
        help="yes: commit messages get the Reviewed-by and so on of the answers",
    )
    group.add_argument("--config", help="kernel options on top, e.g. 'NUMA=y NUMA_BALANCING=y'")
    group.add_argument(
        "--head-config",
        help="kernel options of --head alone: with --head the same as --base, what they cost",
    )
    group.add_argument("--fragments", help="config fragments on top (names or paths)")
    group.add_argument(
        "--debug",
        help="yes: kernels with lockdep and mm's debug options (fragments watchdog and debug): for "
        "finding mistakes, not for measuring",
    )
    _building(group)


def mails(parser: argparse._ActionsContainer) -> None:
    """Where mails are to be had."""
    parser.add_argument("--lore", help=f"server of message-ids (default: {SERVER})")
    parser.add_argument("--mirror", help="local public-inbox mirrors, asked first: PATH:PATH")


def desk(args: argparse.Namespace) -> MailSource:
    """Where mails are to be had. UserError for a server that is no URL."""
    mirrors, server = (args.mirror or "").split(":"), args.lore or SERVER
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", server):
        raise UserError(f"--lore is '{server}'; it must be an inbox's URL, like {SERVER}")
    return MailSource(
        cache=Cache.from_environment().mails,
        server=server,
        mirrors=tuple(Path(one).expanduser() for one in mirrors if one),
        trailers=getattr(args, "trailers", "no") == "yes",
    )


def measuring(parser: argparse.ArgumentParser) -> None:
    """What is measured, how often, and where it goes."""
    group = parser.add_argument_group("measuring")
    group.add_argument("--backends", help="e.g. 'swapfile,zswap,zram' (the default)")
    group.add_argument("--workloads", help="e.g. 'pageio,pressure' (the default)")
    group.add_argument(
        "--suite",
        help=f"a set of cells, in place of backends and workloads: {', '.join(suite.names())}",
    )
    group.add_argument(
        "--preset",
        help="size of the workloads: quick (default), standard, full; default in a suite: its own",
    )
    group.add_argument("--pairs", help="pairs of boots for each cell (default: 3; wall clock: 10)")
    group.add_argument("--aa", help="boot the base once more in each pair: yes (default), no")
    group.add_argument("--seed", help="what orders and seeds the boots (default: 1)")
    group.add_argument("--memory", help="guest memory (default: 768M)")
    group.add_argument("--cpus", help="guest CPUs (default: 1; more need the wall clock)")
    group.add_argument("--swap", help="size of the swap area (default: 1G)")
    group.add_argument("--clock", help="auto (default), insn: count instructions, wall: time")
    group.add_argument("--accel", help="auto (default), kvm, tcg")
    group.add_argument(
        "--disk",
        help="under swap files: auto (default), sim: in the guest's memory with a fixed latency "
        "(auto takes it under the instruction clock), host: a file of the host's",
    )
    group.add_argument("--parallel", help="guests side by side (default: one a CPU; wall: 1)")
    _scheduler(group)
    group.add_argument("--timeout", help="seconds a workload may take (default: 1800)")
    group.add_argument("--name", help="name of the folder below results/")
    results(group)


def nightly(parser: argparse.ArgumentParser) -> None:
    """What `make nightly` takes beside its file."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("nightly.yaml"),
        help="what is followed and measured (default: nightly.yaml)",
    )
    parser.add_argument("--kernel-git", help="git repository of tags and commits (or KERNEL_GIT)")
    mails(parser)
    _building(parser)
    _scheduler(parser)
    results(parser)


def sandbox(parser: argparse._ActionsContainer) -> None:
    """Whether a series is confined."""
    parser.add_argument(
        "--sandbox",
        choices=("yes", "no"),
        default="yes",
        help="apply and build in a sandbox without network and home (default: yes); no: with all "
        "rights of the user",
    )


def _building(parser: argparse._ActionsContainer) -> None:
    sandbox(parser)
    parser.add_argument("--jobs", type=int, help="compilers side by side (default: one a CPU)")


def _scheduler(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--scheduler",
        help="run the guests on the workers of this Dask scheduler, tcp://HOST:PORT (default: on "
        "this machine); see docs/many-machines.md",
    )


def results(parser: argparse._ActionsContainer) -> None:
    """Where results go."""
    folder = os.environ.get("RESULTS") or str(RESULTS)
    parser.add_argument("--results", default=folder, help="where results go (default: results/)")
