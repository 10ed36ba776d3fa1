# SPDX-License-Identifier: GPL-2.0-only
"""The command line: sub-commands, their options, and the exit status."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import __version__
from harness.build import image, pair
from harness.build.pair import Context
from harness.cli import doctor, options, reading
from harness.experiment import catalogue, spec, workload
from harness.report import files, summary
from harness.run import eviction
from harness.studies import bench, compare
from harness.studies.bisect import measure as bisect
from harness.studies.calibrate import measure as calibrate
from harness.studies.nightly import config as nightly_config
from harness.studies.nightly import measure as night
from harness.studies.overhead import measure
from harness.studies.revisions import measure as revisions
from harness.studies.walk import measure as walk
from harness.util import progress, sandbox
from harness.util.errors import Exit, HarnessError, UserError
from harness.util.escape import harmless
from harness.util.paths import Cache

_log = logging.getLogger(__name__)

_STATUSES = (
    "exit status: 0 nothing is worse; 3 something is; 4 undecided; 2 user error; 5 a kernel did "
    "not apply, build, boot or survive; 6 infrastructure failure; 130 interrupted (run the same "
    "command to go on)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, run one sub-command, return the exit status: one of `errors.Exit`."""
    args = _parser().parse_args(argv)
    progress.start()
    # What libraries log is not for the user; without a handler their warnings would be shown.
    logging.getLogger().addHandler(logging.NullHandler())
    # A terminated harness must end its guests as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(args.run(args))
    except HarnessError as error:
        print(f"harness: {harmless(str(error))}", file=sys.stderr)
        return int(error.status)
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        print(f"harness: {harmless(f'{where}{error.strerror or error}')}", file=sys.stderr)
        return int(Exit.INFRA)
    except KeyboardInterrupt:
        # One more would only end Python with another status.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("harness: interrupted; run the same command again to go on", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def _compare(args: argparse.Namespace) -> Exit:
    done = compare.compare(_experiment(args), _site(args))
    summary.show(files.read(done.results, counters=False), done.report)
    return done.status


def _calibrate(args: argparse.Namespace) -> Exit:
    done = calibrate.calibrate(_experiment(args), _site(args))
    print(done.text, end="")
    return done.status


def _overhead(args: argparse.Namespace) -> Exit:
    done = measure.overhead(_experiment(args), _overhead_options(args), _site(args))
    print(done.text, end="")
    _log.info(f"report: {done.folder / 'report' / 'overhead.html'}")
    return done.status


def _overhead_options(args: argparse.Namespace) -> measure.OverheadOptions:
    return measure.OverheadOptions(
        sizes=args.sizes.replace(",", " ").split() if args.sizes else measure.SIZES,
        fill=args.fill or measure.FILL,
        steps=args.steps or 4,
    )


def _walk(args: argparse.Namespace) -> Exit:
    wanted = walk.WalkOptions(
        at=walk.parse_stops(args.at),
        overhead=_overhead_options(args) if args.overhead == "yes" else None,
    )
    done = walk.walk(_experiment(args), wanted, _site(args))
    print(done.text, end="")
    _log.info(f"report: {done.folder / 'report' / 'walk.html'}")
    return done.status


def _bisect(args: argparse.Namespace) -> Exit:
    done = bisect.bisect(_experiment(args), args.metric, _site(args), most=args.most_pairs)
    print(done.text, end="")
    return done.status


def _revisions(args: argparse.Namespace) -> Exit:
    only = (args.only or "").replace(",", " ").split()
    done = revisions.revisions(_experiment(args), only, _site(args))
    print(done.text, end="")
    return done.status


def _nightly(args: argparse.Namespace) -> Exit:
    config = nightly_config.load(args.config, registry_folder=night.REGISTRY)
    args.lore, args.mirror = args.lore or config.lore, args.mirror or config.mirror
    done = night.nightly(config, _site(args))
    print(done.text, end="")
    _log.info(f"trend: {done.folder / 'report' / 'trend.html'}")
    return done.status


def _bench(args: argparse.Namespace) -> Exit:
    done = bench.bench(_experiment(args), _site(args))
    print(done.text, end="")
    return done.status


def _build(args: argparse.Namespace) -> Exit:
    made, differences = pair.make(_experiment(args), _site(args))
    for name, arm in made.items():
        print(harmless(f"{name}: {arm.kernel.release} {arm.kernel.path}"))
    for item in differences:
        print(harmless(f"config: {item.symbol} {item.base} -> {item.patch} ({item.reason})"))
    return Exit.OK


def _clean_cache(args: argparse.Namespace) -> Exit:
    days = args.older_than
    if days is not None and days < 0:
        raise UserError(f"--older-than is {days:g}; it counts days, from 0")
    done = eviction.clean(Cache.from_environment(), older_than=days, dry=args.dry_run)
    print(done.text(dry=args.dry_run), end="")
    return Exit.OK


def _doctor(args: argparse.Namespace) -> Exit:
    if args.packages:
        print(" ".join(doctor.missing_packages()))
        return Exit.OK
    found = doctor.examine(cache=Cache.from_environment())
    for item in found:
        print(f"{'ok ' if item.ok else 'NOT'} {item.topic:<12} {item.text}")
    return Exit.OK if all(item.ok for item in found) else Exit.INFRA


def _workloads(args: argparse.Namespace) -> Exit:
    if args.name and args.action != "new":
        raise UserError(f"workloads {args.action} takes no name; 'workloads new NAME' does")
    if args.action == "new":
        for path in catalogue.new(args.name or ""):
            print(path)
        return Exit.OK
    if args.action == "check":
        image.build_tools(cache=Cache.from_environment())
        problems = catalogue.check()
        for item in problems:
            print(item)
        print(f"{len(workload.names())} workloads, {len(problems)} problems")
        return Exit.USER if problems else Exit.OK
    print(catalogue.listing(), end="")
    return Exit.OK


def _experiment(args: argparse.Namespace) -> spec.Experiment:
    keys = (
        "base", "patch", "upto", "head", "name", "backends", "workloads", "suite", "preset",
        "pairs", "aa", "seed", "memory", "cpus", "swap", "clock", "accel", "disk", "parallel",
        "config", "head_config", "fragments", "debug", "timeout",
    )  # fmt: skip
    return spec.load(args.spec, {key: getattr(args, key) for key in keys})


def _site(args: argparse.Namespace) -> Context:
    keyring = os.environ.get("KERNEL_KEYRING")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}; it must be a whole number from 1")
    return Context(
        cache=Cache.from_environment(),
        results=Path(args.results),
        sandbox=sandbox.choose(args.sandbox, readable=sandbox.extra_readable()),
        desk=options.desk(args),
        kernel_git=args.kernel_git or os.environ.get("KERNEL_GIT") or None,
        missing_ok=_kernel_git_missing(),
        keyring=Path(keyring) if keyring else None,
        mirror=os.environ.get("DEBIAN_MIRROR") or None,
        jobs=args.jobs or os.cpu_count() or 1,
        scheduler=args.scheduler,
    )


def _kernel_git_missing() -> bool:
    word = os.environ.get("KERNEL_GIT_MISSING", "")
    if word not in ("", "ok"):
        raise UserError(f"KERNEL_GIT_MISSING is '{word}'; leave it out, or set it to ok")
    return word == "ok"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="harness",
        description="Measure what a kernel patch series costs and saves when Linux swaps.",
        epilog=_STATUSES,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "build, boot, measure and report base against patch"
    command = commands.add_parser("compare", help=text, description=text, epilog=_STATUSES)
    options.kernels(command)
    options.measuring(command)
    command.set_defaults(run=_compare)
    text = "measure patches whose cost is known, and fail if it is not found"
    command = commands.add_parser(
        "calibrate",
        help=text,
        description=f"{text}: no change, 10, 100 and 1000 instructions for each page swapped in, "
        f"1000 for each page swapped out; {calibrate.PAIRS} pairs each unless --pairs says so.",
        epilog="exit status: 0 all weights are found; 6 one is not; else as compare",
    )
    options.kernels(command)
    options.measuring(command)
    command.set_defaults(run=_calibrate)
    text = "measure what swap metadata costs in memory, by structure, for each slot and entry"
    command = commands.add_parser(
        "overhead",
        help=text,
        description=f"{text}; claimed, modelled and measured side by side.",
        epilog=_STATUSES,
    )
    options.kernels(command)
    options.measuring(command)
    options.overhead(command)
    command.set_defaults(run=_overhead)
    _add_patchwise(commands)
    text = "measure what is new on followed lists and branches, and draw the trend"
    command = commands.add_parser(
        "nightly",
        help=text,
        description=f"{text}. nightly.yaml says what is followed and how long a night may take; "
        "kernels/nightly.yaml is an example.",
        epilog=_STATUSES,
    )
    options.nightly(command)
    command.set_defaults(run=_nightly)
    text = "measure what the sampler itself adds to the figures of the base kernel"
    command = commands.add_parser("bench", help=text, description=text, epilog=_STATUSES)
    options.kernels(command)
    options.measuring(command)
    command.set_defaults(run=_bench)
    text = "only get, patch, configure and build both kernels"
    command = commands.add_parser("build", help=text, description=text, epilog=_STATUSES)
    options.kernels(command)
    options.measuring(command)
    command.set_defaults(run=_build)
    reading.add(commands)
    _add_upkeep(commands)
    return parser


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that look at the machine, the workloads, the cache and the harness itself."""
    text = "say what this machine has, what is missing, which accelerator works"
    command = commands.add_parser("doctor", help=text, description=text)
    command.add_argument("--packages", action="store_true", help="only list missing packages")
    command.set_defaults(run=_doctor)
    text = "show what the cache holds, by kind, and remove it"
    command = commands.add_parser("clean-cache", help=text, description=text)
    command.add_argument(
        "--older-than", type=float, metavar="DAYS", help="only what was not used for so long"
    )
    command.add_argument("--dry-run", action="store_true", help="only show it")
    command.set_defaults(run=_clean_cache)
    text = "list the workloads and suites, check their folders, or write a new one"
    command = commands.add_parser("workloads", help=text, description=text)
    command.add_argument(
        "action",
        nargs="?",
        choices=("list", "check", "new"),
        default="list",
        help="list (default); check: build the programs and look for mistakes in their folders; "
        "new: write a folder that builds, runs and passes the check",
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="of the new workload")
    command.set_defaults(run=_workloads)


def _add_patchwise(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that look at single patches, or at all revisions, of a series."""
    text = "measure the cost of each patch of a series, build by build"
    command = commands.add_parser(
        "walk",
        help=text,
        description=f"{text}, under the instruction clock; patches that do not build or boot are "
        "named and passed by.",
        epilog=_STATUSES,
    )
    options.kernels(command)
    options.measuring(command)
    options.overhead(command)
    group = command.add_argument_group("walk")
    group.add_argument("--at", help="the patches to stop at, e.g. 3,5,9-12 (default: all)")
    group.add_argument(
        "--overhead",
        choices=("yes", "no"),
        default="no",
        help="yes: also the bytes for each slot and entry at each patch",
    )
    command.set_defaults(run=_walk)
    text = "find the first patch of a series that is responsible for its effect on a metric"
    command = commands.add_parser(
        "bisect",
        help=text,
        description=f"{text}, with about log2 of its patches to build.",
        epilog="exit status: 0 one patch is found; 4 it is not pinned down, or there is no effect; "
        "else as compare",
    )
    command.add_argument("metric", metavar="METRIC", help="of a workload, e.g. swapin")
    options.kernels(command)
    options.measuring(command)
    group = command.add_argument_group("bisect")
    group.add_argument(
        "--most-pairs",
        type=int,
        default=bisect.MOST,
        help=f"after which a patch stays undecided (default: {bisect.MOST})",
    )
    command.set_defaults(run=_bisect)
    text = "compare each revision of a series with its own base, and show them side by side"
    command = commands.add_parser("revisions", help=text, description=text, epilog=_STATUSES)
    options.kernels(command)
    options.measuring(command)
    group = command.add_argument_group("revisions")
    group.add_argument("--only", help="some revisions, e.g. v3,v6 (default: all)")
    command.set_defaults(run=_revisions)
