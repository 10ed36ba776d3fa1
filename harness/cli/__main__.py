# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness.cli COMMAND NAME=VALUE...``: how make calls the harness."""

import sys

from harness.util import interrupt


def main() -> int:
    """Run a command with the variables of make; the exit status."""
    interrupt.leave_at_once()
    # Imports take time, in which a user may change their mind.
    from harness.cli import variables  # noqa: PLC0415

    return variables.run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
