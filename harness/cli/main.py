# SPDX-License-Identifier: GPL-2.0-only
"""The command line: runs one sub-command and gives the exit status."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Sequence

from harness.cli import commands
from harness.util import interrupt
from harness.util.errors import Exit, HarnessError
from harness.util.escape import harmless


def _judge(args: argparse.Namespace) -> None:
    """Tell what is wrong in the options before what takes seconds to import."""
    if not args.measures:
        return
    from harness.cli import asked  # noqa: PLC0415  it takes a while itself

    if hasattr(args, "spec"):
        args.experiment = asked.experiment(args)
    else:
        args.host = asked.host(args)
    if args.command != "build":
        asked.require_writable(args.results)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, run one sub-command, return the exit status: one of `errors.Exit`."""
    args = commands.build().parse(sys.argv[1:] if argv is None else argv)
    # What libraries log is not for the user; without a handler their warnings would be shown.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        _judge(args)
        # What measures and reports takes seconds to import, and --help does not need it.
        from harness.util import progress  # noqa: PLC0415

        progress.start()
        module = importlib.import_module(f"harness.cli.{args.module}")
        # An interrupted or terminated harness must end its guests.
        interrupt.leave_in_order()
        return int(getattr(module, f"run_{args.command.replace('-', '_')}")(args))
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
        print(interrupt.TEXT, end="", file=sys.stderr)
        return int(Exit.INTERRUPTED)
