# SPDX-License-Identifier: GPL-2.0-only
"""What was asked and the environment -> the context that a command works in."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from harness.build.pair import Context
from harness.experiment.defaults import LORE
from harness.experiment.settings import Host
from harness.series.mail.lore import MailSource
from harness.source import upstream
from harness.source.upstream import Elsewhere
from harness.util import sandbox
from harness.util.errors import UserError
from harness.util.paths import REPO, Cache, at_home

_log = logging.getLogger(__name__)

_TREES = REPO / "kernels" / "trees.yaml"


def context(asked: Host, results: Path) -> Context:
    """Where a command works: as it was asked, and as the environment says."""
    keyring = os.environ.get("KERNEL_KEYRING")
    return Context(
        cache=Cache.from_environment(),
        results=results,
        sandbox=sandbox.choose("yes" if asked.sandbox else "no", readable=sandbox.extra_readable()),
        mails=mail_source(asked),
        kernel_git=asked.kernel_git or at_home(os.environ.get("KERNEL_GIT", "")) or None,
        elsewhere=_elsewhere(),
        missing_ok=_kernel_git_missing(),
        keyring=Path(keyring).expanduser() if keyring else None,
        mirror=os.environ.get("DEBIAN_MIRROR") or None,
        jobs=asked.jobs or os.cpu_count() or 1,
        scheduler=asked.scheduler,
    )


def _elsewhere() -> Elsewhere:
    """Where revisions are looked for beside KERNEL_GIT; make has another folder than its caller."""
    return Elsewhere(
        upstream.clone_around(Path(os.environ.get("CALLED_FROM") or Path.cwd())),
        upstream.read(_TREES, mirror=os.environ.get("KERNEL_MIRROR")),
    )


def _kernel_git_missing() -> bool:
    word = os.environ.get("KERNEL_GIT_MISSING", "")
    if word not in ("", "ok"):
        raise UserError(f"KERNEL_GIT_MISSING is '{word}'; leave it out, or set it to ok")
    return word == "ok"


def mail_source(asked: Host) -> MailSource:
    """Where mails are to be had."""
    return MailSource(
        cache=Cache.from_environment().mails,
        server=asked.lore or LORE,
        mirrors=_folders(asked.mirror) if asked.mirror else _mirrors(),
        trailers=asked.trailers,
        fixes=asked.fixes,
    )


def _mirrors() -> tuple[Path, ...]:
    """Those of the environment; the word may mean something else there, a server of packages."""
    text = os.environ.get("MIRROR", "")
    found = _folders(text)
    if all(one.is_dir() for one in found):
        return found
    _log.warning(f"MIRROR in the environment is '{text}', which are no folders: it is not used")
    return ()


def _folders(text: str) -> tuple[Path, ...]:
    return tuple(Path(one).expanduser() for one in text.split(":") if one)


def agreed(question: str) -> bool:
    """Whether the user says yes; nobody does where nobody is asked."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
