# SPDX-License-Identifier: GPL-2.0-only
"""The sub-commands that read a result: report, reply, bundle, verify."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from harness.cli import options
from harness.report import files, formats
from harness.results import checksums
from harness.series.mail import lore
from harness.studies import bundle, verify
from harness.studies.overhead import analysis as overheads
from harness.studies.overhead import formats as overhead_formats
from harness.studies.overhead import report as overhead
from harness.studies.overhead.analysis import is_overhead
from harness.studies.reply import draft
from harness.studies.walk import check as walk_check
from harness.studies.walk import report as walk_report
from harness.studies.walk.analysis import is_walk
from harness.util.errors import Exit, UserError

_log = logging.getLogger(__name__)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The sub-commands that read a result."""
    text = "write the report of a results folder again from its raw files"
    more = f"{text}; refused if a raw file is not as SHA256SUMS recorded it"
    command = commands.add_parser("report", help=text, description=more)
    command.add_argument("folder", help="a folder below results/")
    command.add_argument(
        "--format",
        choices=formats.NAMES,
        help="print it in this format and write nothing: junit for CI systems, csv and json for "
        "programs",
    )
    command.set_defaults(run=_report)
    text = "write the draft of a mail that answers the series with a result; sends nothing"
    command = commands.add_parser(
        "reply",
        help=text,
        description=f"{text}. The draft is RESULT/{draft.NAME}: plain ASCII text with To, Cc, "
        "In-Reply-To and Subject of the series' cover letter, for git send-email or b4.",
    )
    command.add_argument("folder", metavar="RESULT", help="a folder below results/")
    command.add_argument("--overhead", help="a result of make overhead, for its table")
    command.add_argument(
        "--quote", help="what to answer: a file with the passage or a saved mail, or a message-id"
    )
    command.add_argument(
        "--long",
        action="store_true",
        help="with configuration, method, noise, secondary metrics and memory at each usage",
    )
    options.mails(command)
    command.set_defaults(run=_reply)
    text = "check a results folder: hashes of all files, and the report against its raw files"
    command = commands.add_parser(
        "verify",
        help=text,
        description=f"{text}. Names each file that changed, is missing or is not listed in "
        "SHA256SUMS; derives the report again into a temporary folder and names each number that "
        "differs. Writes nothing into the folder.",
        epilog="exit status: 0 all holds; 2 no results folder, or one without hashes; "
        "6 something differs",
    )
    command.add_argument(
        "folder", metavar="RESULT", help="a folder below results/, or a bundle of make bundle"
    )
    command.set_defaults(run=_verify)
    text = "pack a result with all its evidence into one file, which verify reads"
    command = commands.add_parser(
        "bundle",
        help=text,
        description=f"{text}: raw samples, consoles, configurations, manifest and report, as "
        f"RESULT{bundle.SUFFIX}. The same result gives the same bytes. Refused if a file is not as "
        "recorded.",
    )
    command.add_argument("folder", metavar="RESULT", help="a folder below results/")
    command.add_argument("--overhead", help="a second result, whose table the reply has")
    command.add_argument("--output", help="the file to write")
    command.set_defaults(run=_bundle)


def _report(args: argparse.Namespace) -> Exit:
    folder = Path(args.folder)
    if is_walk(folder):
        if args.format:
            raise UserError(f"'{folder}' is a walk: its report has one format, and walk.csv")
        print(walk_report.make(folder).text, end="")
        return Exit.OK
    checksums.guard(folder)
    if args.format:
        print(_formatted(folder, args.format), end="")
        return Exit.OK
    if is_overhead(folder):
        path = overhead.make(folder).folder / "overhead.txt"
    else:
        path = files.write(folder) / "report.txt"
    checksums.report(folder)
    print(path.read_text(encoding="utf-8"), end="")
    return Exit.OK


def _formatted(folder: Path, name: str) -> str:
    if is_overhead(folder):
        return overhead_formats.render(overheads.analyse(folder), name)
    return formats.comparison(files.read(folder), name)


def _reply(args: argparse.Namespace) -> Exit:
    quoted = None
    if args.quote and not Path(args.quote).exists() and (address := lore.parse(args.quote)):
        quoted = draft.from_mail(lore.mail(address, options.desk(args)))
    elif args.quote:
        quoted = draft.from_file(Path(args.quote))
    folder = Path(args.folder)
    overhead_of = Path(args.overhead) if args.overhead else None
    made = draft.make(folder, overhead=overhead_of, quoted=quoted, long=args.long)
    print(made, end="")
    _log.info(f"draft: {draft.write(folder, made)}; git send-email takes it")
    return Exit.OK


def _bundle(args: argparse.Namespace) -> Exit:
    results = [Path(one) for one in (args.folder, args.overhead) if one]
    made = bundle.make(results, Path(args.output) if args.output else None)
    print(
        f"{made.path}: {made.files} files\nsha256 {made.sha256}\nof the tar in it {made.tar_sha256}"
    )
    return Exit.OK


def _verify(args: argparse.Namespace) -> Exit:
    path = Path(args.folder)
    if is_walk(path):
        walked = walk_check.check(path)
        print(walked.text(), end="")
        return Exit.OK if walked.holds else Exit.INFRA
    if not path.is_file():
        found = [verify.verify(path)]
    else:
        with bundle.unpacked(path) as folders:
            found = [verify.verify(one, beside=folders) for one in folders]
            found = [replace(one, folder=Path(one.folder.name)) for one in found]
    for one in found:
        print(one.text(), end="")
    return Exit.OK if all(one.holds for one in found) else Exit.INFRA
