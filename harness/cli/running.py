# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sub-commands that build and measure."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from harness.build import pair
from harness.build.pair import Context
from harness.cli.context import context
from harness.experiment.settings import Host
from harness.experiment.spec import Experiment
from harness.report import summary
from harness.results import listing
from harness.results.manifest import ResultKind
from harness.results.record import kind_of
from harness.studies import bench, compare, diff, profile, repeat
from harness.studies.arms import choice
from harness.studies.arms import measure as arms
from harness.studies.arms.analysis import BASE
from harness.studies.bisect import measure as bisect
from harness.studies.calibrate import measure as calibrate
from harness.studies.cases import measure as cases
from harness.studies.cases.measure import CasesRequest
from harness.studies.nightly import config as nightly_config
from harness.studies.nightly import measure as night
from harness.studies.overhead import measure
from harness.studies.result import StudyResult
from harness.studies.revisions import measure as revisions
from harness.studies.walk import measure as walk
from harness.studies.walk import several
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


def _against(word: str, folder: Path, root: Path) -> str:
    """The comparison of a result with another one; "" where there is none, and that is said."""
    try:
        previous = word == listing.PREVIOUS
        other = listing.before(folder, root) if previous else listing.find(word, root)
        return "\n" + diff.render(diff.diff(other, folder))
    except UserError as error:
        _log.warning(f"AGAINST={word}: {error}")
        return ""


def _compare(one: Experiment, where: Context) -> StudyResult:
    if one.kernels.arms:
        return arms.arms(one, where)
    if one.study.reference != BASE:
        raise UserError("REFERENCE= names one of several arms: give ARMS=, too")
    return compare.compare(one, where, instruments=compare.INSTRUMENTS)


def _without_arms(one: Experiment, command: str) -> Experiment:
    """The experiment; UserError where arms are named for a command that has its own kernels."""
    if one.kernels.arms:
        raise UserError(f"make {command} takes no ARMS=; leave it out")
    return one


def _calibrate(one: Experiment, where: Context) -> StudyResult:
    return calibrate.calibrate(_without_arms(one, "calibrate"), where)


def _overhead(one: Experiment, where: Context) -> StudyResult:
    one = choice.single(one, where, "overhead")
    return measure.overhead(one, _overhead_options(one), where)


def _overhead_options(one: Experiment) -> measure.OverheadOptions:
    return measure.OverheadOptions(one.study.sizes, one.study.fill, one.study.steps)


def _walk(one: Experiment, where: Context) -> StudyResult:
    wanted = walk.WalkOptions(
        at=walk.parse_stops(" ".join(one.study.at)),
        overhead=_overhead_options(one) if one.study.bytes else None,
    )
    if len(one.kernels.arms or ()) > 1:
        return several.walk(one, wanted, where)
    return walk.walk(choice.single(one, where, "walk"), wanted, where)


def _bisect(one: Experiment, where: Context) -> StudyResult:
    metric = one.study.metric
    if not metric:  # in a result that somebody changed
        raise UserError("its spec.yaml names no 'metric'")
    one = choice.single(one, where, "bisect")
    return bisect.bisect(one, metric, where, most=one.study.most_pairs)


def _revisions(one: Experiment, where: Context) -> StudyResult:
    return revisions.revisions(_without_arms(one, "revisions"), one.study.only, where)


def _bench(one: Experiment, where: Context) -> StudyResult:
    return bench.bench(_without_arms(one, "bench"), where)


STUDIES: dict[ResultKind, Callable[[Experiment, Context], StudyResult]] = {
    ResultKind.COMPARE: _compare,
    ResultKind.CALIBRATE: _calibrate,
    ResultKind.OVERHEAD: _overhead,
    ResultKind.WALK: _walk,
    ResultKind.BISECT: _bisect,
    ResultKind.REVISIONS: _revisions,
    ResultKind.BENCH: _bench,
    ResultKind.ARMS: _compare,
}
"""What runs an experiment, by what it makes; a night has no experiment."""


@_study
def _run(args: argparse.Namespace) -> StudyResult:
    one = args.experiment
    return STUDIES[ResultKind(args.command)](one, context(one.host, args.results))


@_study
def _profile(args: argparse.Namespace) -> StudyResult:
    where = context(args.experiment.host, args.results)
    return profile.profile(choice.single(args.experiment, where, "profile"), where)


run_profile = _profile
run_calibrate = run_overhead = run_bench = run_walk = run_bisect = run_revisions = _run


def run_compare(args: argparse.Namespace) -> Exit:
    if args.against not in (None, listing.PREVIOUS):
        listing.find(args.against, args.results)  # a mistake is said now, not in an hour
    return _run(args)


def run_nightly(args: argparse.Namespace) -> Exit:
    config = nightly_config.load(args.nightly, registry_folder=night.REGISTRY)
    config = replace(config, bisect=args.bisect or config.bisect)
    asked: Host = args.host
    asked = replace(asked, lore=asked.lore or config.lore, mirror=asked.mirror or config.mirror)
    where = context(asked, args.results)
    return _study(lambda _: night.nightly(config, where))(args)


def run_cases(args: argparse.Namespace) -> Exit:
    host = {one.name: getattr(args, one.name, None) for one in fields(Host)}
    asked = {name: getattr(args, name) for name in ("pairs", "seed", "parallel")}
    more = {key: value for key, value in {**host, **asked}.items() if value is not None}
    request = CasesRequest(args.kernels, args.cases or (), args.name or "cases", more)
    return _study(lambda _: cases.cases(request, context(args.host, args.results)))(args)


def run_repeat(args: argparse.Namespace) -> Exit:
    with repeat.opened(repeat.find(args.folder, args.results)) as folder:
        one = repeat.experiment(folder, args.host, name=args.name, parallel=args.parallel)
        where = replace(context(one.host, args.results), shares=False)  # all boots run again
        run = STUDIES[kind_of(folder)]
        status = _study(lambda _: run(one, where))(args)
        print(harmless(repeat.same(folder, where.results / str(one.name))))
    return status


def run_build(args: argparse.Namespace) -> Exit:
    one = args.experiment
    where = context(one.host, args.results)
    made, differences = pair.make(choice.single(one, where, "build"), where)
    for name, arm in made.items():
        print(harmless(f"{name}: {arm.kernel.release} {arm.kernel.path}"))
    for item in differences:
        print(harmless(f"config: {item.symbol} {item.base} -> {item.patch} ({item.reason})"))
    return Exit.OK
