# SPDX-License-Identifier: GPL-2.0-only
"""The sandbox for code of others: a series runs on the host when it is applied and built.

bubblewrap shows the command a system of its own: ``/usr`` and little of ``/etc`` to read, an empty
home, no network, no process but its own, and only the named folders to write, at the same paths
as outside, so that what is built is the same with and without it.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.util.command import run
from harness.util.errors import InfraError, KernelFailure

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
    # Which of several compilers, where libraries are, names for the user's number.
    "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
)  # fmt: skip
_HOME = "/home/harness"
_ISOLATED = (
    # All name spaces, and no new ones inside.
    "--unshare-all", "--unshare-user", "--disable-userns",
    "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "harness",
    "--dev", "/dev",
    # Root without capabilities still owns the files in /proc/sys: read-only, all of it.
    "--proc", "/proc", "--remount-ro", "/proc",
    "--perms", "1777", "--tmpfs", "/tmp",
    "--dir", _HOME, "--setenv", "HOME", _HOME, "--setenv", "TMPDIR", "/tmp",
)  # fmt: skip
_WAY_OUT = (
    "SANDBOX=no applies and builds without it, with all your rights: "
    "only for a series that you trust"
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How commands that run a series' code are started.

    ``on`` is False for a user who decided to go without.  ``readable`` are more places to show
    read-only, for a tool chain that is not below /usr.
    """

    on: bool
    readable: tuple[Path, ...] = ()

    def wrap(
        self,
        argv: Sequence[str],
        *,
        writable: Iterable[Path],
        readable: Iterable[Path] = (),
        cwd: Path | None = None,
    ) -> list[str]:
        """``argv`` so started that it can write to the ``writable`` folders and nothing else.

        ``readable`` are shown read-only, also inside a writable folder.  All must exist; a link
        is shown as what it leads to.  Without the sandbox it is ``argv`` itself.
        """
        if not self.on:
            return list(argv)
        words = ["bwrap", *_ISOLATED]
        for place in _SYSTEM:
            words += _shown(Path(place))
        for path in self.readable:
            words += ["--ro-bind", str(path.absolute()), str(path.absolute())]
        # Outer folders first: what is mounted later lies on top.
        binds = [(path.absolute(), "--bind") for path in writable]
        binds += [(path.absolute(), "--ro-bind") for path in readable]
        for path, how in sorted(binds, key=lambda bind: len(bind[0].parts)):
            words += [how, str(path), str(path)]
        words += ["--remount-ro", "/", "--chdir", str((cwd or Path("/")).absolute())]
        return [*words, "--", *argv]


OFF = Sandbox(on=False)
"""No sandbox: for code of our own."""


def choose(wanted: str = "yes", *, readable: Sequence[Path] = ()) -> Sandbox:
    """The sandbox, tried on this host, or none when ``wanted`` is "no".

    Raises InfraError when this host cannot have it, with what stands in the way.
    """
    if wanted == "no":
        return OFF
    for path in readable:
        if not path.exists():
            raise InfraError(f"SANDBOX_READ names {path}, which does not exist")
    sandbox = Sandbox(on=True, readable=tuple(readable))
    why = fault(sandbox)
    if why:
        raise InfraError(f"series are applied and built in a sandbox, but {why}; {_WAY_OUT}")
    return sandbox


def fault(sandbox: Sandbox) -> str | None:
    """What keeps the sandbox from working on this host; None when it works."""
    if shutil.which("bwrap") is None:
        return "bwrap is not installed: install the package bubblewrap"
    done = run(sandbox.wrap(["true"], writable=()), check=False, timeout=30)
    if done.returncode == 0:
        return None
    said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    if "nknown option" in said:
        return f"bwrap is too old ({said}): 0.8 or newer is needed"
    return (
        f"it does not work on this host ({said}): allow user namespaces "
        "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns; in a container, its own rules)"
    )


def extra_readable() -> tuple[Path, ...]:
    """The places in the variable SANDBOX_READ, separated by colons."""
    words = os.environ.get("SANDBOX_READ", "").split(":")
    return tuple(Path(word).expanduser() for word in words if word)


def read_below(root: Path, place: str) -> bytes:
    """The bytes of a file that untrusted code wrote below ``root``.

    Raises KernelFailure for a link, anywhere below ``root``: it could lead to any file of the
    user; and for what is not a plain file or is missing.
    """
    with _open_below(root, place) as stream:
        return stream.read()


def copy_below(root: Path, place: str, target: Path) -> None:
    """Copy such a file; see `read_below`."""
    with _open_below(root, place) as stream, target.open("xb") as out:
        shutil.copyfileobj(stream, out)


def _open_below(root: Path, place: str) -> BinaryIO:
    plain = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    folder = os.open(root, os.O_DIRECTORY | os.O_CLOEXEC)
    *parents, name = Path(place).parts
    try:
        for parent in parents:
            inner = os.open(parent, os.O_DIRECTORY | plain, dir_fd=folder)
            os.close(folder)
            folder = inner
        handle = os.open(name, os.O_RDONLY | plain, dir_fd=folder)
    except OSError as error:
        raise KernelFailure(
            f"the build left no plain file {place} in {root}: {error.strerror}"
        ) from error
    finally:
        os.close(folder)
    stream = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        stream.close()
        raise KernelFailure(f"the build left no plain file {place} in {root}")
    return stream


def _shown(place: Path) -> list[str]:
    """Options that show one place of the system; a link of a merged /usr stays a link."""
    if place.is_symlink() and str(place).count("/") == 1:
        return ["--symlink", str(place.readlink()), str(place)]
    return ["--ro-bind", str(place), str(place)] if place.exists() else []
