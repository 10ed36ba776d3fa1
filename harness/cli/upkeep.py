# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sub-commands that look at the machine, the workloads and the cache."""

from __future__ import annotations

import argparse

from harness.build import image
from harness.cli import asked, context, doctor
from harness.experiment import axes, catalogue, workload
from harness.run import eviction
from harness.series import registry, unlisted
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO, Cache


def run_axes(args: argparse.Namespace) -> Exit:
    print(axes.listing(), end="")
    return Exit.OK


def run_clean_cache(args: argparse.Namespace) -> Exit:
    cache = Cache.from_environment()
    found = eviction.cleanable(cache, older_than=args.older_than)
    print(f"{cache.root}:\n{found.text()}", end="")
    if args.dry_run or not found.gone:
        return Exit.OK
    if not args.yes and not context.agreed("Remove all of that?"):
        print("nothing was removed; YES=yes (--yes) removes it without a question")
        return Exit.USER
    for item in eviction.clean(cache, found):
        print(f"in use, kept: {item.path}")
    print("removed")
    return Exit.OK


def run_doctor(args: argparse.Namespace) -> Exit:
    if args.packages:
        print(" ".join(doctor.missing_packages()))
        return Exit.OK
    found = doctor.examine(cache=Cache.from_environment())
    for item in found:
        print(f"{'ok ' if item.ok else 'NOT'} {item.topic:<12} {item.text}")
    return Exit.OK if all(item.ok for item in found) else Exit.INFRA


def run_series(args: argparse.Namespace) -> Exit:
    registry_folder = REPO / "kernels" / "series"
    if args.action == "check":
        found = unlisted.check(registry_folder, context.mail_source(asked.host(args)))
        for one in found:
            if one.sentence:
                print(one.sentence)
        newer = sum(bool(one.newer) for one in found)
        print(f"{len(found)} series are known by their mails, {newer} of them were posted since")
        return Exit.OK
    for name in registry.names(registry_folder):
        entry = registry.read(name, registry=registry_folder)
        known = " ".join(one.name for one in entry.revisions)
        print(f"{name:<22} {entry.title}{f' ({known})' if known else ''}")
    return Exit.OK


def run_workloads(args: argparse.Namespace) -> Exit:
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
