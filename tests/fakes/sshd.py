# SPDX-License-Identifier: GPL-2.0-only
"""An SSH server on loopback that stands for the guest's: it runs nothing, it answers as told."""

from __future__ import annotations

import os
import shlex
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from harness.vm.guest import Keys
from tests.fakes import loopback


@dataclass(frozen=True)
class Reply:
    """What a command of the fake guest comes to; a status of None closes without one."""

    status: int | None = 0
    stdout: str = ""
    stderr: str = ""


Handler = Callable[[list[str]], Reply]


class _Transport(paramiko.Transport):
    """Says when a message went out: a command's answer must not overtake its acceptance."""

    def __init__(self, connection: socket.socket) -> None:
        self.sent = threading.Event()
        super().__init__(connection)

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        self.sent.set()


class _Server(paramiko.ServerInterface):
    def __init__(self, key: bytes, handler: Handler, transport: _Transport) -> None:
        self._key, self._handler, self._transport = key, handler, transport

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_right = username == "root" and key.asbytes() == self._key
        return AUTH_SUCCESSFUL if is_right else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._transport.sent.clear()
        threading.Thread(target=self._answer, args=(channel, command), daemon=True).start()
        return True

    def _answer(self, channel: paramiko.Channel, command: bytes) -> None:
        self._transport.sent.wait(10)
        reply = self._handler(shlex.split(command.decode()))
        channel.sendall(reply.stdout.encode())
        channel.sendall_stderr(reply.stderr.encode())
        if reply.status is not None:
            channel.send_exit_status(reply.status)
        channel.close()


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: paramiko.ServerInterface, folder: Path) -> None:
        super().__init__(server)
        self._folder = folder

    def _local(self, path: str) -> Path:
        return self._folder / Path(path).name

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(self._local(path).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        try:
            stream = self._local(path).open("rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        handle = paramiko.SFTPHandle(flags)
        handle.filename, handle.readfile = path, stream  # type: ignore[attr-defined]
        handle.stat = lambda: paramiko.SFTPAttributes.from_stat(  # type: ignore[method-assign]
            os.fstat(stream.fileno())
        )
        return handle


class Sshd:
    """The server; ``files`` is what stands for the guest's /run/harness.  Use as a context.

    The first ``resets`` connections are closed before a word is said.
    """

    def __init__(self, keys: Keys, handler: Handler, *, files: Path, resets: int = 0) -> None:
        self._resets = resets
        self._host = paramiko.Ed25519Key.from_private_key_file(str(keys.host))
        self._client = paramiko.Ed25519Key.from_private_key_file(str(keys.client)).asbytes()
        self._handler, self._files = handler, files
        self._socket = loopback.listener()
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    def __enter__(self) -> Sshd:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # To close it does not wake a thread that accepts: the port would go on listening.
        self._socket.shutdown(socket.SHUT_RDWR)
        for _ in range(100):
            self.hang_up()
            self._thread.join(0.1)
            if not self._thread.is_alive():
                break
        self._socket.close()
        assert not self._thread.is_alive()

    def hang_up(self) -> None:
        """Break all connections, as a guest that dies does."""
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._resets > 0:
                self._resets -= 1
                client.close()
                continue
            transport = _Transport(client)
            transport.add_server_key(self._host)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, self._files)
            self._transports.append(transport)
            try:
                transport.start_server(server=_Server(self._client, self._handler, transport))
            except (paramiko.SSHException, EOFError):
                transport.close()
