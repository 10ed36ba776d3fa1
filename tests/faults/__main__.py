# SPDX-License-Identifier: GPL-2.0-only
"""Run the fault matrix: ``python -m tests.faults``; `make faults` calls it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cli import options
from harness.util import progress
from harness.util.errors import Exit, HarnessError
from harness.util.paths import Cache
from tests.faults import matrix, table
from tests.faults.room import Ground


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rows that the command line names; give the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Break guests, host, harness and files on purpose, on real guests, and check "
        "what comes of it.  The rows are in tests/faults/faults.yaml.",
        epilog="exit status: 0 every row held; 6 one did not; 4 one could not be run",
    )
    parser.add_argument("--only", metavar="NAME,...", help="these rows (default: all)")
    parser.add_argument("--list", action="store_true", help="only list the rows")
    parser.add_argument("--base", default="debian/6.12", help="the kernel (default: debian/6.12)")
    options.sandbox(parser)
    options.results(parser)
    args = parser.parse_args(argv)
    progress.start()
    try:
        rows = table.select(table.load(), (args.only or "").replace(",", " ").split())
        if args.list:
            for row in rows:
                print(f"{row.name:<22} {row.what}")
            return Exit.OK
        ground = Ground(args.base, args.sandbox or "yes", Cache.from_environment())
        done = matrix.run(rows, ground, Path(args.results))
    except HarnessError as error:
        print(f"faults: {error}", file=sys.stderr)
        return int(error.status)
    print(matrix.text(done), end="")
    return int(done.status)


if __name__ == "__main__":
    sys.exit(main())
