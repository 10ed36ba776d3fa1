# SPDX-License-Identifier: GPL-2.0-only
"""``python -m harness``."""

import sys

from harness.cli.main import main

sys.exit(main())
