# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness``, and the command ``harness``."""

import sys

from harness.util import interrupt


def main() -> int:
    """Run the command line; the exit status."""
    interrupt.leave_at_once()
    # Imports take time, in which a user may change their mind.
    from harness.cli.main import main as run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
