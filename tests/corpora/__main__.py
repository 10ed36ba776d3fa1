# SPDX-License-Identifier: GPL-2.0-only
"""Hold a parser against a corpus that others wrote: `python -m tests.corpora consoles PATH`.

Prints agreement by kind and each case that does not agree.  No corpus is in this repository.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.corpora import consoles, mails, probes

CORPORA: dict[str, Callable[[Path], int]] = {
    "consoles": consoles.run,
    "mails": mails.run,
    "probes": probes.run,
}


def main() -> int:
    """Read what the command line names; 1 if something does not agree."""
    parser = argparse.ArgumentParser(prog="tests.corpora", description=__doc__)
    parser.add_argument("kind", choices=CORPORA)
    parser.add_argument("path", type=Path, help="what the corpus lies in")
    args = parser.parse_args()
    if not args.path.exists():
        parser.error(f"{args.path}: no such file or folder")
    return CORPORA[args.kind](args.path)


if __name__ == "__main__":
    sys.exit(main())
