# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sub-commands that read a result."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from harness.cli import context
from harness.series.mail import lore
from harness.studies import bundle, kinds, verify
from harness.studies.reply import draft
from harness.util.errors import Exit

_log = logging.getLogger(__name__)


def run_report(args: argparse.Namespace) -> Exit:
    folder = args.folder
    text = kinds.render(folder, args.format) if args.format else kinds.report(folder).text
    print(text, end="")
    return Exit.OK


def run_reply(args: argparse.Namespace) -> Exit:
    quoted = None
    if args.quote and not Path(args.quote).exists() and (address := lore.parse(args.quote)):
        quoted = draft.from_mail(lore.mail(address, context.mail_source(args)))
    elif args.quote:
        quoted = draft.from_file(Path(args.quote))
    folder = args.folder
    made = draft.make(folder, overhead=args.overhead, quoted=quoted, long=args.long == "yes")
    print(made, end="")
    _log.info(f"draft: {draft.write(folder, made)}; git send-email takes it")
    return Exit.OK


def run_bundle(args: argparse.Namespace) -> Exit:
    made = bundle.make([one for one in (args.folder, args.overhead) if one], args.output)
    print(
        f"{made.path}: {made.files} files\nsha256 {made.sha256}\nof the tar in it {made.tar_sha256}"
    )
    return Exit.OK


def run_verify(args: argparse.Namespace) -> Exit:
    path = args.folder
    if not path.is_file():
        found = [verify.verify(path)]
    else:
        with bundle.unpacked(path) as folders:
            found = [verify.verify(one, beside=folders) for one in folders]
            found = [one.relative_to(folders[0].parent.resolve()) for one in found]
    for one in found:
        print(one.text(), end="")
    return Exit.OK if all(one.holds for one in found) else Exit.INFRA
