"""The command line: sub-commands, their options, and the exit status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import (
    __version__,
    arms,
    bench,
    calibrate,
    compare,
    doctor,
    options,
    reading,
    sandbox,
    spec,
    workload,
)
from harness.arms import Site
from harness.errors import Exit, HarnessError, UserError
from harness.overhead import measure
from harness.paths import REPO, Cache
from harness.progress import Progress

_STATUSES = (
    "exit status: 0 nothing is worse; 3 something is; 4 undecided; 2 user error; 5 a kernel did "
    "not apply, build, boot or survive; 6 infrastructure failure; 130 interrupted (run the same "
    "command to go on)"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, run one sub-command, return the exit status (``harness.errors.Exit``)."""
    args = _parser().parse_args(argv)
    progress = Progress()
    # A terminated harness must end its guests as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(args.run(args, progress))
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return int(error.status)
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        print(f"harness: {where}{error.strerror or error}", file=sys.stderr)
        return int(Exit.INFRA)
    except KeyboardInterrupt:
        print("harness: interrupted; run the same command again to go on", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def _compare(args: argparse.Namespace, progress: Progress) -> Exit:
    done = compare.compare(_experiment(args), _site(args, progress))
    print((done.report / "report.txt").read_text(encoding="utf-8"), end="")
    progress.say(f"report: {done.report / 'report.html'}")
    return done.status


def _calibrate(args: argparse.Namespace, progress: Progress) -> Exit:
    done = calibrate.calibrate(_experiment(args), _site(args, progress))
    print(done.text, end="")
    return done.status


def _overhead(args: argparse.Namespace, progress: Progress) -> Exit:
    options = measure.Options(
        sizes=args.sizes.replace(",", " ").split() if args.sizes else measure.SIZES,
        fill=args.fill or measure.FILL,
        steps=args.steps or 4,
    )
    done = measure.overhead(_experiment(args), options, _site(args, progress))
    print(done.text, end="")
    progress.say(f"report: {done.folder / 'report' / 'overhead.html'}")
    return done.status


def _bench(args: argparse.Namespace, progress: Progress) -> Exit:
    done = bench.bench(_experiment(args), _site(args, progress))
    print(done.text, end="")
    return done.status


def _build(args: argparse.Namespace, progress: Progress) -> Exit:
    made, differences = arms.make(_experiment(args), _site(args, progress))
    for name, arm in made.items():
        print(f"{name}: {arm.kernel.release} {arm.kernel.path}")
    for item in differences:
        print(f"config: {item.symbol} {item.base} -> {item.patch} ({item.reason})")
    return Exit.OK


def _doctor(args: argparse.Namespace, progress: Progress) -> Exit:
    if args.packages:
        print(" ".join(doctor.missing_packages()))
        return Exit.OK
    found = doctor.examine(cache=Cache.from_environment(), progress=progress)
    for item in found:
        print(f"{'ok ' if item.ok else 'NOT'} {item.topic:<12} {item.text}")
    return Exit.OK if all(item.ok for item in found) else Exit.INFRA


def _workloads(_: argparse.Namespace, __: Progress) -> Exit:
    for name in workload.names():
        item = workload.load(name)
        print(f"{name:<10} {item.data['description']}")
        print(f"{'':<10} presets: {', '.join(item.data['presets'])}; quick: {' '.join(item.argv)}")
    return Exit.OK


def _experiment(args: argparse.Namespace) -> spec.Experiment:
    keys = (
        "base", "patch", "upto", "head", "name", "backends", "workloads", "preset", "pairs", "aa",
        "seed", "memory", "cpus", "swap", "clock", "accel", "disk", "parallel", "config",
        "fragments", "timeout",
    )  # fmt: skip
    return spec.load(args.spec, {key: getattr(args, key) for key in keys})


def _site(args: argparse.Namespace, progress: Progress) -> Site:
    keyring = os.environ.get("KERNEL_KEYRING")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}; it must be a whole number from 1")
    return Site(
        cache=Cache.from_environment(),
        results=Path(args.results),
        progress=progress,
        sandbox=sandbox.choose(args.sandbox, readable=sandbox.extra_readable()),
        desk=options.desk(args, progress),
        kernel_git=args.kernel_git or os.environ.get("KERNEL_GIT") or None,
        missing_ok=_kernel_git_missing(),
        keyring=Path(keyring) if keyring else None,
        mirror=os.environ.get("DEBIAN_MIRROR") or None,
        jobs=args.jobs or os.cpu_count() or 1,
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
    _add_kernels(command)
    _add_measuring(command)
    command.set_defaults(run=_compare)
    text = "measure patches whose cost is known, and fail if it is not found"
    command = commands.add_parser(
        "calibrate",
        help=text,
        description=f"{text}: no change, 10, 100 and 1000 instructions for each page swapped in, "
        f"1000 for each page swapped out; {calibrate.PAIRS} pairs each unless --pairs says so.",
        epilog="exit status: 0 all weights are found; 6 one is not; else as compare",
    )
    _add_kernels(command)
    _add_measuring(command)
    command.set_defaults(run=_calibrate)
    text = "measure what swap metadata costs in memory, by structure, for each slot and entry"
    command = commands.add_parser(
        "overhead",
        help=text,
        description=f"{text}; claimed, modelled and measured side by side.",
        epilog=_STATUSES,
    )
    _add_kernels(command)
    _add_measuring(command)
    group = command.add_argument_group("overhead")
    group.add_argument("--sizes", help=f"of the swap area (default: {','.join(measure.SIZES)})")
    group.add_argument("--fill", help=f"memory to swap out (default: {measure.FILL})")
    group.add_argument("--steps", type=int, help="snapshots on the way there (default: 4)")
    command.set_defaults(run=_overhead)
    text = "measure what the sampler itself adds to the figures of the base kernel"
    command = commands.add_parser("bench", help=text, description=text, epilog=_STATUSES)
    _add_kernels(command)
    _add_measuring(command)
    command.set_defaults(run=_bench)
    text = "only get, patch, configure and build both kernels"
    command = commands.add_parser("build", help=text, description=text, epilog=_STATUSES)
    _add_kernels(command)
    _add_measuring(command)
    command.set_defaults(run=_build)
    reading.add(commands)
    text = "say what this machine has, what is missing, which accelerator works"
    command = commands.add_parser("doctor", help=text, description=text)
    command.add_argument("--packages", action="store_true", help="only list missing packages")
    command.set_defaults(run=_doctor)
    text = "list the workloads"
    command = commands.add_parser("workloads", help=text, description=text)
    command.set_defaults(run=_workloads)
    return parser


def _add_kernels(parser: argparse.ArgumentParser) -> None:
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
    options.add_mails(group)
    group.add_argument(
        "--trailers",
        choices=("yes", "no"),
        default="no",
        help="yes: commit messages get the Reviewed-by and so on of the answers",
    )
    group.add_argument("--config", help="kernel options on top, e.g. 'NUMA=y NUMA_BALANCING=y'")
    group.add_argument("--fragments", help="config fragments on top (names or paths)")
    group.add_argument(
        "--sandbox",
        choices=("yes", "no"),
        default="yes",
        help="apply and build in a sandbox without network and home (default: yes); no: with all "
        "rights of the user",
    )
    group.add_argument("--jobs", type=int, help="compilers side by side (default: one a CPU)")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measuring")
    group.add_argument("--backends", help="e.g. 'swapfile,zswap,zram' (the default)")
    group.add_argument("--workloads", help="e.g. 'pageio,pressure' (the default)")
    group.add_argument("--preset", help="size of the workloads: quick (default), standard, full")
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
    group.add_argument("--timeout", help="seconds a workload may take (default: 1800)")
    group.add_argument("--name", help="name of the folder below results/")
    results = os.environ.get("RESULTS") or str(REPO / "results")
    group.add_argument("--results", default=results, help="where results go (default: results/)")
