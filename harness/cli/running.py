# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sub-commands that build and measure."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from harness.build import pair
from harness.cli.context import context
from harness.report import summary
from harness.results import listing
from harness.studies import bench, compare, diff
from harness.studies.bisect import measure as bisect
from harness.studies.calibrate import measure as calibrate
from harness.studies.nightly import config as nightly_config
from harness.studies.nightly import measure as night
from harness.studies.overhead import measure
from harness.studies.result import StudyResult
from harness.studies.revisions import measure as revisions
from harness.studies.walk import measure as walk
from harness.util.errors import Exit, UserError
from harness.util.escape import harmless

_log = logging.getLogger(__name__)


Run = Callable[[argparse.Namespace], Exit]


def _study(study: Callable[[argparse.Namespace], StudyResult]) -> Run:
    """The handler of a sub-command that runs a study."""

    def run(args: argparse.Namespace) -> Exit:
        done = study(args)
        failed = done.status is Exit.KERNEL
        summary.show(harmless(done.screen), failed=failed)
        if not done.summary:  # which names it
            _log.info(f"report: {done.page}")
        root = Path(args.results)
        listing.point(root)
        if word := getattr(args, "against", None):
            print(harmless(_against(word, done.folder, root)), end="")
        return done.status

    return run


@_study
def run_compare(args: argparse.Namespace) -> StudyResult:
    if args.against not in (None, listing.PREVIOUS):
        listing.find(args.against, Path(args.results))  # a mistake is said now, not in an hour
    return compare.compare(args.experiment, context(args))


def _against(word: str, folder: Path, root: Path) -> str:
    """The comparison of a result with another one; "" where there is none, and that is said."""
    try:
        previous = word == listing.PREVIOUS
        other = listing.before(folder, root) if previous else listing.find(word, root)
        return "\n" + diff.render(diff.diff(other, folder))
    except UserError as error:
        _log.warning(f"AGAINST={word}: {error}")
        return ""


@_study
def run_calibrate(args: argparse.Namespace) -> StudyResult:
    return calibrate.calibrate(args.experiment, context(args))


@_study
def run_overhead(args: argparse.Namespace) -> StudyResult:
    return measure.overhead(args.experiment, _overhead_options(args), context(args))


def _overhead_options(args: argparse.Namespace) -> measure.OverheadOptions:
    return measure.OverheadOptions(
        sizes=args.sizes.replace(",", " ").split(), fill=args.fill, steps=args.steps
    )


@_study
def run_walk(args: argparse.Namespace) -> StudyResult:
    wanted = walk.WalkOptions(
        at=walk.parse_stops(args.at),
        overhead=_overhead_options(args) if args.bytes == "yes" else None,
    )
    return walk.walk(args.experiment, wanted, context(args))


@_study
def run_bisect(args: argparse.Namespace) -> StudyResult:
    return bisect.bisect(args.experiment, args.metric, context(args), most=args.most_pairs)


@_study
def run_revisions(args: argparse.Namespace) -> StudyResult:
    only = (args.only or "").replace(",", " ").split()
    return revisions.revisions(args.experiment, only, context(args))


def run_nightly(args: argparse.Namespace) -> Exit:
    config = nightly_config.load(args.nightly, registry_folder=night.REGISTRY)
    args.lore, args.mirror = args.lore or config.lore, args.mirror or config.mirror
    return _study(lambda _: night.nightly(config, context(args)))(args)


@_study
def run_bench(args: argparse.Namespace) -> StudyResult:
    return bench.bench(args.experiment, context(args))


def run_build(args: argparse.Namespace) -> Exit:
    made, differences = pair.make(args.experiment, context(args))
    for name, arm in made.items():
        print(harmless(f"{name}: {arm.kernel.release} {arm.kernel.path}"))
    for item in differences:
        print(harmless(f"config: {item.symbol} {item.base} -> {item.patch} ({item.reason})"))
    return Exit.OK
