# SPDX-License-Identifier: GPL-2.0-only
"""Options and environment -> the context that a command works in."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from harness.build.pair import Context
from harness.experiment.defaults import LORE
from harness.series.mail.lore import MailSource
from harness.util import sandbox
from harness.util.errors import UserError
from harness.util.paths import Cache, at_home


def context(args: argparse.Namespace) -> Context:
    """Where a command works."""
    keyring = os.environ.get("KERNEL_KEYRING")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs is {args.jobs}; it must be a whole number from 1")
    return Context(
        cache=Cache.from_environment(),
        results=args.results,
        sandbox=sandbox.choose(args.sandbox, readable=sandbox.extra_readable()),
        mails=mail_source(args),
        kernel_git=args.kernel_git or at_home(os.environ.get("KERNEL_GIT", "")) or None,
        missing_ok=_kernel_git_missing(),
        keyring=Path(keyring).expanduser() if keyring else None,
        mirror=os.environ.get("DEBIAN_MIRROR") or None,
        jobs=args.jobs or os.cpu_count() or 1,
        scheduler=args.scheduler,
    )


def _kernel_git_missing() -> bool:
    word = os.environ.get("KERNEL_GIT_MISSING", "")
    if word not in ("", "ok"):
        raise UserError(f"KERNEL_GIT_MISSING is '{word}'; leave it out, or set it to ok")
    return word == "ok"


def mail_source(args: argparse.Namespace) -> MailSource:
    """Where mails are to be had.  UserError for a server that is no URL."""
    mirrors, server = (args.mirror or "").split(":"), args.lore or LORE
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", server):
        raise UserError(f"--lore is '{server}'; it must be an inbox's URL, like {LORE}")
    return MailSource(
        cache=Cache.from_environment().mails,
        server=server,
        mirrors=tuple(Path(one).expanduser() for one in mirrors if one),
        trailers=getattr(args, "trailers", "no") == "yes",
    )
