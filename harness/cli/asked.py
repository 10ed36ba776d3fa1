# SPDX-License-Identifier: GPL-2.0-only
"""Options -> the experiment that they and their spec file ask for.  Imports little."""

from __future__ import annotations

import argparse

from harness.experiment import settings, spec
from harness.experiment.spec import Experiment


def experiment(args: argparse.Namespace) -> Experiment:
    """The experiment.  UserError for what is wrong in it."""
    given = {name: getattr(args, name, None) for name in settings.declared()}
    return spec.load(args.spec, given)
