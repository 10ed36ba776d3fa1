# SPDX-License-Identifier: GPL-2.0-only
"""Running git inertly: no configuration, hook, prompt or attribute of user or machine counts."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.util import progress
from harness.util.command import clean_environment
from harness.util.errors import InfraError, UserError
from harness.util.sandbox import OFF, Sandbox

# In force for every call.  The low speed limits end a fetch from a server that went silent.
_SETTINGS = (
    "safe.directory=*",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "protocol.ext.allow=never",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)

_TAIL = 500
"""Bytes of git's messages that its last word on its progress is in."""

_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
}


def run_git(
    args: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    settings: Sequence[str] = (),
    sandbox: Sandbox = OFF,
    writable: Sequence[Path] = (),
    readable: Sequence[Path] = (),
    what: str = "",
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return what it did; a non-zero status is the caller's to judge.

    ``settings`` are ``key=value`` for this one call.  In a ``sandbox`` it sees ``writable`` and
    ``readable`` folders alone.  With ``what`` it says from time to time how far it is, by the last
    line that git printed of its progress.  Raises InfraError when git is missing.
    """
    argv = ["git", *(word for s in (*_SETTINGS, *settings) for word in ("-c", s)), *args]
    argv = sandbox.wrap(argv, writable=writable, readable=readable, cwd=cwd)
    # The socket of ssh-agent passes: it opens ssh URLs and cannot change what is fetched.
    ssh = {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}
    full = clean_environment(_ENVIRONMENT | ssh | dict(env or {}))
    try:
        if what:
            return _run_shown(argv, cwd, stdin, full, what)
        return subprocess.run(
            argv, cwd=cwd, input=stdin, env=full, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise InfraError(f"git is not installed, or {cwd} is gone") from error


def _run_shown(
    argv: Sequence[str], cwd: Path | None, stdin: bytes, env: Mapping[str, str], what: str
) -> subprocess.CompletedProcess[bytes]:
    """As `run_git` with ``what``: a file takes git's messages, because a reader may look at it."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:

        def describe() -> str:
            size = os.fstat(said.fileno()).st_size
            tail = os.pread(said.fileno(), _TAIL, max(0, size - _TAIL))
            pieces = [piece.strip() for piece in re.split(rb"[\r\n]", tail) if piece.strip()]
            last = pieces[-1].decode(errors="replace") if pieces else ""
            return f"{what}: {last or f'{time.monotonic() - begun:.0f} s so far'}"

        with progress.ticking(describe):
            done = subprocess.run(
                argv,
                cwd=cwd,
                input=stdin,
                env=env,
                stdout=subprocess.PIPE,
                stderr=said,
                check=False,
            )
        said.seek(0)
        return subprocess.CompletedProcess(argv, done.returncode, done.stdout, said.read())


def ask(repo: Path, *args: str) -> str:
    """What git prints in a repository.  Raises InfraError with git's own last line."""
    done = run_git(args, cwd=repo)
    if done.returncode != 0:
        raise InfraError(f"git {args[0]} failed in {repo}: {last_line(done.stderr)}")
    return done.stdout.decode(errors="surrogateescape")


def commit_of(repo: Path, rev: str) -> str | None:
    """The full commit id that `rev` means in a repository, None if nothing."""
    spec = f"{rev}^{{commit}}"
    args = ["rev-parse", "--verify", "--quiet", "--end-of-options", spec]
    done = run_git(args, cwd=repo)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def first_commits(repo: Path) -> list[str]:
    """The commits of a repository that have no parent; empty when git cannot tell."""
    return run_git(["rev-list", "--max-parents=0", "--all"], cwd=repo).stdout.decode().split()


def last_line(stderr: bytes) -> str:
    """The line of git's messages that says why it failed."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(("fatal:", "error:")):
            return line.split(":", 1)[1].strip()
    return lines[-1] if lines else "no message"


def patch_ids(diffs: Sequence[bytes]) -> tuple[str, ...]:
    """``git patch-id --stable`` of each diff, in order.

    Raises UserError for a diff that git does not see any change in.
    """
    stream = b"".join(b"commit %040x\n%s\n" % (n, diff) for n, diff in enumerate(diffs, 1))
    done = run_git(["patch-id", "--stable"], stdin=stream)
    if done.returncode != 0:
        raise InfraError(f"git patch-id failed: {last_line(done.stderr)}")
    rows = (line.split() for line in done.stdout.decode().splitlines())
    found = {int(key, 16): patch_id for patch_id, key in rows}
    for number in range(1, len(diffs) + 1):
        if number not in found:
            raise UserError(f"diff {number} of {len(diffs)} changes nothing that git can see")
    return tuple(found[n] for n in range(1, len(diffs) + 1))
