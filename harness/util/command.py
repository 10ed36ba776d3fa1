# SPDX-License-Identifier: GPL-2.0-only
"""Running a program: argv in, text out, one sentence when it fails."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.util.errors import InfraError

# A program of the host sees these and nothing else of the caller's environment,
# so that a build or a parse does not depend on who runs it.
_KEPT = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


Completed = subprocess.CompletedProcess[str]
"""A finished program."""


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for child programs: few names, the C locale, ``extra`` on top."""
    env = {name: os.environ[name] for name in (*_KEPT, *_PROXIES) if name in os.environ}
    env["LC_ALL"] = "C.UTF-8"
    env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    env.update(extra or {})
    return env


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Completed:
    """Run ``argv`` (never a shell) and return its output as text.

    Raises `InfraError` when the program is missing, overruns ``timeout`` seconds, or,
    with ``check``, exits non-zero; the message carries the last lines of its stderr.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=clean_environment(env),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise InfraError(
            f"{argv[0]} is not installed (or {cwd} is not there); run 'make doctor'"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfraError(f"no answer in {timeout} s from: {shlex.join(argv)}") from error
    if check and done.returncode != 0:
        tail = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-5:])
        raise InfraError(f"exit status {done.returncode} from: {shlex.join(argv)}\n{tail}")
    return done
