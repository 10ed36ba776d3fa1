# SPDX-License-Identifier: GPL-2.0-only
"""What the options ask for, as far as it can be judged at once.  Imports little."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from harness.cli.values import needs
from harness.experiment import settings, spec
from harness.experiment.settings import Host
from harness.experiment.spec import Experiment
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.hostspace import existing


def experiment(args: argparse.Namespace) -> Experiment:
    """The experiment of the options and their spec file.  UserError for what is wrong in it."""
    given = {name: getattr(args, name, None) for name in settings.declared()}
    made = spec.load(args.spec, given, command=args.command)
    for name, one in settings.declared().items():
        if one.required and one.taken_by(args.command) and made.value(name) is None:
            raise UserError(needs(args.command, name.upper(), one.help))
    return made


def host(args: argparse.Namespace) -> Host:
    """The settings of this machine that the options of any command give."""
    names = (one.name for one in dataclasses.fields(Host))
    given = {name: getattr(args, name, None) for name in names}
    return yamlfile.check(given, Host, "the command line")


def require_writable(folder: Path) -> None:
    """Raise UserError unless a folder for results is there to be written to, or can be made."""
    there = existing(folder)
    try:
        tempfile.TemporaryDirectory(prefix=".harness-", dir=there).cleanup()
    except OSError as error:
        what = f"{folder}, but no folder can be made in {there}" if there != folder else folder
        raise UserError(
            f"RESULTS is {what} ({error.strerror}); point RESULTS= at a folder of your own"
        ) from error
