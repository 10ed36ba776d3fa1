"""Running git inertly: no configuration, hook, prompt or attribute of user or machine counts."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from harness.command import clean_environment
from harness.errors import InfraError, UserError
from harness.sandbox import OFF, Sandbox

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

_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
}

CLONE = "../linux"
"""Stands for anybody's clone of the kernel in a command."""

_VERSION_KEYS = ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION")


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
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return what it did; a non-zero status is the caller's to judge.

    ``settings`` are ``key=value`` for this one call.  In a ``sandbox`` it sees ``writable`` and
    ``readable`` folders alone.  Raises InfraError when git is missing.
    """
    argv = ["git", *(word for s in (*_SETTINGS, *settings) for word in ("-c", s)), *args]
    argv = sandbox.wrap(argv, writable=writable, readable=readable, cwd=cwd)
    # The socket of ssh-agent passes: it opens ssh URLs and cannot change what is fetched.
    ssh = {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}
    full = clean_environment(_ENVIRONMENT | ssh | dict(env or {}))
    try:
        return subprocess.run(
            argv, cwd=cwd, input=stdin, env=full, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise InfraError(f"git is not installed, or {cwd} is gone") from error


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


def ref_part(text: str) -> str:
    """`text` as one legal component of a ref name; ``%xx`` for what git does not allow there."""
    escaped = re.sub(
        r"[^A-Za-z0-9+_.-]", lambda m: "".join(f"%{b:02x}" for b in m[0].encode()), text
    )
    return re.sub(r"^\.|\.(?=\.)|\.$|\.(?=lock$)", "%2e", escaped) or "%"


def public_url(url: str) -> str:
    """`url` without user name and password, fit for a manifest."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that enclose no address: git will say that it is no URL
        return re.sub(r"//[^/]*@", "//", url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))


def for_others(url: str) -> str:
    """`url` as others can use it: a path of this machine is nothing to them, `CLONE` is."""
    return public_url(url) if "://" in url else CLONE


def is_full_id(rev: str) -> bool:
    """Whether `rev` is a whole commit id."""
    return re.fullmatch(r"[0-9a-f]{40}", rev) is not None


def is_short_id(rev: str) -> bool:
    """Whether `rev` could be a commit id or the beginning of one (7 digits or more)."""
    return re.fullmatch(r"[0-9a-f]{7,40}", rev) is not None


def check_revision(rev: str) -> None:
    """Raise UserError unless `rev` can be the plain name of a tag, branch or commit."""
    bad = ".." in rev or "//" in rev or rev.endswith((".lock", "/", "."))
    if bad or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*", rev):
        raise UserError(f"{rev!r} is not the name of a git tag, branch or commit")


def makefile_version(text: str, *, where: str) -> str:
    """What ``make kernelversion`` prints for this top Makefile, like 6.19.0-rc3.

    ``where`` names the tree in the UserError for a Makefile that is not a kernel's.
    """
    values = {}
    for key in _VERSION_KEYS:
        match = re.search(rf"^{key}[ \t]*=[ \t]*(\S*)[ \t]*$", text, re.MULTILINE)
        values[key] = match[1] if match else ""
    if not (values["VERSION"].isdigit() and values["PATCHLEVEL"].isdigit()):
        raise UserError(f"{where} is not a kernel tree: its Makefile states no VERSION")
    numbers = [values[key] for key in _VERSION_KEYS[:3] if values[key]]
    return ".".join(numbers) + values["EXTRAVERSION"]
