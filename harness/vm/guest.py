# SPDX-License-Identifier: GPL-2.0-only
"""Control over a running guest: SSH through fabric, with keys made for one run.

While a workload runs nothing goes over the wire.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Config, Connection

from harness.results.console import Outcome
from harness.util.command import Completed, run
from harness.vm.watch import FLOOD, BootEnded

# A broken connection is explained by the watch, not by a stack trace of the transport.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_ADDRESS = "127.0.0.1"
_EVIDENCE = 1 << 20
"""Bytes that are kept of a guest's file that is too large."""
_ATTEMPTS = 5
"""Of connecting.  An idle guest's clock runs ahead, and QEMU's own network stack goes by it: on a
busy host it may give a connection up, for lack of an answer, within a moment of real time."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key pair and the guest's host key of one run; private files have mode 0600."""

    client: Path
    host: Path

    @classmethod
    def make(cls, folder: Path) -> Keys:
        """Make both in ``folder``, with the authorized_keys file beside them."""
        for name in ("client_key", "host_key"):
            target = str(folder / name)
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "harness", "-f", target])
        (folder / "authorized_keys").write_bytes((folder / "client_key.pub").read_bytes())
        return cls(folder / "client_key", folder / "host_key")

    @property
    def for_guest(self) -> tuple[Path, Path]:
        """What the guest's sshd needs."""
        return self.host, self.client.with_name("authorized_keys")


class Shell:
    """SSH into the guest as root.  Use as a context manager.

    Only the host key of this run is accepted.  Errors of the connection come as paramiko's,
    EOFError or OSError; the caller asks the watch what became of the guest.
    """

    def __init__(self, port: int, keys: Keys, *, timeout: float) -> None:
        host_key = paramiko.Ed25519Key.from_private_key_file(str(keys.host))
        self._connection = Connection(
            host=_ADDRESS,
            port=port,
            user="root",
            config=Config(lazy=True, overrides={"load_ssh_configs": False}),
            connect_timeout=int(timeout),
            connect_kwargs={
                "key_filename": str(keys.client),
                "allow_agent": False,
                "look_for_keys": False,
                # A guest under TCG on a busy host takes its time.
                "banner_timeout": timeout,
                "auth_timeout": timeout,
            },
        )
        client = self._connection.client
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.get_host_keys().add(f"[{_ADDRESS}]:{port}", host_key.get_name(), host_key)

    def __enter__(self) -> Shell:
        for left in range(_ATTEMPTS - 1, -1, -1):
            try:
                self._connection.open()
                break
            except (paramiko.AuthenticationException, paramiko.BadHostKeyException):
                raise
            except (paramiko.SSHException, EOFError, OSError):
                if not left:
                    raise
                self._connection.close()
                time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, argv: Sequence[str]) -> Completed:
        """Run ``argv`` in the guest and wait for it; a non-zero status is not an error here.

        Raises EOFError when the guest is gone before the command has ended.
        """
        # sshd hands the text to a shell: every word is quoted, none is interpreted.
        done = self._connection.run(shlex.join(argv), hide=True, warn=True, in_stream=False)
        if done.exited < 0:  # paramiko's word for a channel that closed without a status
            raise EOFError("no exit status")
        return Completed(tuple(argv), done.exited, done.stdout, done.stderr)

    def fetch(self, remote: str, local: Path) -> bool:
        """Copy a guest's file here; False when it is not there.

        Of a file that is larger than any honest one the first MiB is kept; then it raises
        BootEnded: reading it all would fill the host's disk, and whoever reads it there its memory.
        """
        sftp = self._connection.sftp()
        try:
            size = sftp.stat(remote).st_size or 0
            if size <= FLOOD:
                sftp.get(remote, str(local))
                return True
            with sftp.open(remote) as stream:
                local.write_bytes(stream.read(_EVIDENCE))
        except FileNotFoundError:
            local.unlink(missing_ok=True)
            return False
        text = f"in collect: {local.name} has {size >> 20} MiB, {FLOOD >> 20} are allowed"
        raise BootEnded(Outcome.FLOOD, text)
