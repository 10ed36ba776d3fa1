"""Options that several modules of sub-commands share, and what they come to."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from harness.errors import UserError
from harness.lore import SERVER, Desk
from harness.paths import Cache
from harness.progress import Progress


def add_mails(parser: argparse._ActionsContainer) -> None:
    """Where mails are to be had."""
    parser.add_argument("--lore", help=f"server of message-ids (default: {SERVER})")
    parser.add_argument("--mirror", help="local public-inbox mirrors, asked first: PATH:PATH")


def desk(args: argparse.Namespace, progress: Progress) -> Desk:
    """Where mails are to be had. UserError for a server that is no URL."""
    mirrors, server = (args.mirror or "").split(":"), args.lore or SERVER
    if not re.fullmatch(r"https?://[^\s/]+(/[^\s?#]*)?", server):
        raise UserError(f"--lore is '{server}'; it must be an inbox's URL, like {SERVER}")
    return Desk(
        cache=Cache.from_environment().mails,
        progress=progress,
        server=server,
        mirrors=tuple(Path(one).expanduser() for one in mirrors if one),
        trailers=getattr(args, "trailers", "no") == "yes",
    )
