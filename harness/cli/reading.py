# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sub-commands that read a result."""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import sys
from pathlib import Path

from harness.board import answer, build, collect
from harness.cli import asked, context
from harness.results import address as addresses
from harness.results import listing
from harness.results.manifest import ResultKind
from harness.run import manifest
from harness.series.mail import lore
from harness.studies import bundle, diff, kinds, overview, verify
from harness.studies.nightly import config as nightly_config
from harness.studies.nightly import report as nightly
from harness.studies.nightly import triage, words
from harness.studies.reply import draft
from harness.util import yamlfile
from harness.util.errors import Exit, UserError
from harness.util.hostspace import in_words
from harness.util.paths import REPO

_log = logging.getLogger(__name__)
SERIES = REPO / "kernels" / "series"
_MOST_MAIL = 16 << 20


def _result(args: argparse.Namespace, word: str | None = None) -> Path:
    """What RESULT=, or another variable that takes a result, names."""
    return listing.find(args.folder if word is None else word, Path(args.results))


def run_report(args: argparse.Namespace) -> Exit:
    folder = _result(args)
    if args.reference:
        text = kinds.against(folder, args.reference)
    else:
        text = kinds.render(folder, args.format) if args.format else kinds.report(folder).text
    print(text, end="")
    return Exit.OK


def run_reply(args: argparse.Namespace) -> Exit:
    quoted = None
    if args.quote and not Path(args.quote).exists() and (address := lore.parse(args.quote)):
        quoted = draft.from_mail(lore.mail(address, context.mail_source(asked.host(args))))
    elif args.quote:
        quoted = draft.from_file(Path(args.quote))
    folder = _result(args)
    overhead_of = _result(args, args.overhead) if args.overhead else None
    made = draft.make(
        folder,
        overhead=overhead_of,
        quoted=quoted,
        long=args.long == "yes",
        board=args.board or _board(folder),
    )
    print(made, end="")
    _log.info(f"draft: {draft.write(folder, made)}; git send-email takes it")
    return Exit.OK


def run_bundle(args: argparse.Namespace) -> Exit:
    results = [_result(args, one) for one in (args.folder, args.overhead) if one is not None]
    made = bundle.make(results, args.output)
    print(
        f"{made.path}: {made.files} files\nsha256 {made.sha256}\nof the tar in it {made.tar_sha256}"
    )
    return Exit.OK


def run_verify(args: argparse.Namespace) -> Exit:
    path = _result(args)
    if not path.is_file():
        found = [verify.verify(path)]
    else:
        with bundle.unpacked(path) as folders:
            found = [verify.verify(one, beside=folders) for one in folders]
            found = [one.relative_to(folders[0].parent.resolve()) for one in found]
    for one in found:
        print(one.text(), end="")
    return Exit.OK if all(one.holds for one in found) else Exit.INFRA


def run_board(args: argparse.Namespace) -> Exit:
    made = build.make(Path(args.results), args.output)
    gone = f", {made.removed} removed" if made.removed else ""
    print(
        f"{made.page}: {made.comparisons} comparisons, {made.read} of them new or changed; "
        f"{made.files} files, {made.written} written{gone}"
    )
    return Exit.OK


def run_triage(args: argparse.Namespace) -> Exit:
    config = nightly_config.load(args.nightly, registry_folder=SERIES)
    root, path = Path(args.results) / config.name, words.beside(config.path)
    found = triage.read(root, path)
    given = {name: getattr(args, name) for name in ("move", "word", "by")}
    if missing := [name.upper() for name, value in given.items() if not value]:
        if len(missing) < len(given) or args.note:
            raise UserError(
                f"a word on a move needs MOVE=, WORD= and BY=; {missing[0]}= is missing"
            )
        print(triage.render(found), end="")
        return Exit.OK
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    said = triage.say(found, path, **given, note=args.note or "", day=today)
    print(f"{path}: {said.line} at {said.at}: {said.word}, says {said.by}")
    try:
        with manifest.locked(root):
            nightly.keep(root, path)
    except UserError:
        _log.info("a night is running: the trend and the board have the word when it ends")
    return Exit.OK


def run_check(args: argparse.Namespace) -> Exit:
    kernels, _ = collect.registered(SERIES)
    raw = sys.stdin.buffer.read(_MOST_MAIL)
    found = answer.check(raw, Path(args.results), kernels, args.board or _board(Path()))
    print(json.dumps(found, indent=1))
    return Exit.OK


def _board(folder: Path) -> str:
    """The board of the nightly.yaml of a result's nights, else of the one that lies here."""
    for place in (folder.absolute().parent.parent / "nightly.yaml", Path("nightly.yaml")):
        if place.is_file() and (given := yamlfile.read(place).get("board")):
            try:
                return addresses.board(str(given))
            except ValueError as error:
                raise UserError(f"{place}: 'board' is '{given}'; it must be {error}") from error
    return ""


def run_diff(args: argparse.Namespace) -> Exit:
    root = Path(args.results)
    ends = [
        listing.named(one, root, ResultKind.COMPARE)
        if one in (listing.LATEST, listing.PREVIOUS)
        else _result(args, one)
        for one in (args.first, args.second)
    ]
    print(diff.render(diff.diff(*ends)), end="")
    return Exit.OK


def run_results(args: argparse.Namespace) -> Exit:
    root = Path(args.results)
    if args.action == "list":
        if args.name:
            raise UserError("results list takes no name; 'results rm NAME' does")
        print(overview.render(root), end="")
        return Exit.OK
    found = listing.own(args.name or "", root)
    with manifest.locked(found.path):  # nobody is writing to it
        what = f"'{found.path}' ({in_words(found.size)})"
        if not args.yes and not context.agreed(f"Remove {what}?"):
            print(f"{what} stays; YES=yes (--yes) removes it without a question")
            return Exit.USER
        listing.remove(found)
    listing.point(root)
    print(f"removed {what}")
    return Exit.OK
