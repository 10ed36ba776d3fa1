# SPDX-License-Identifier: GPL-2.0-only
"""kernel.org in small: its trees under their paths, served by git's own servers on loopback."""

from __future__ import annotations

import http.server
import os
import socketserver
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.fakes import inbox, loopback

PATHS = {
    "stable": "pub/scm/linux/kernel/git/stable/linux.git",
    "mainline": "pub/scm/linux/kernel/git/torvalds/linux.git",
    "mm": "pub/scm/linux/kernel/git/akpm/mm.git",
    "next": "pub/scm/linux/kernel/git/next/linux-next.git",
}


def publish(root: Path, repo: Path, refs: dict[str, list[str]]) -> Path:
    """The four trees below ``root``, with these refs of a repository each, like refs/tags/v6.12.

    A ref that ends in "~" is removed again, so that its commit is there on no branch.
    """
    for name, path in PATHS.items():
        place = root / path
        place.mkdir(parents=True)
        inbox.git(place, "init", "-q", "--bare", "--initial-branch=master")
        inbox.git(place, "config", "uploadpack.allowFilter", "true")
        for ref in refs.get(name, []):
            inbox.git(place, "fetch", "-q", "--no-tags", str(repo), f"{ref.rstrip('~')}:{ref[:-1]}x"
                      if ref.endswith("~") else f"{ref}:{ref}")  # fmt: skip
            if ref.endswith("~"):
                inbox.git(place, "update-ref", "-d", f"{ref[:-1]}x")
        inbox.git(place, "update-server-info")
    return root


class _Daemon(socketserver.BaseRequestHandler):
    root: Path

    def handle(self) -> None:
        """One connection to git daemon."""
        argv = ["git", "daemon", "--inetd", "--export-all", f"--base-path={self.root}"]
        subprocess.run(
            argv, stdin=self.request, stdout=self.request, stderr=subprocess.DEVNULL, check=False
        )


class _Backend(http.server.BaseHTTPRequestHandler):
    root: Path

    def do_GET(self) -> None:
        """git http-backend, as a web server runs it."""
        path, _, query = self.path.partition("?")
        size = int(self.headers.get("Content-Length", 0))
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=self.rfile.read(size),
            env=env,
            capture_output=True,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def daemon(root: Path) -> Iterator[str]:
    """Git daemon; its URL."""
    with loopback.connecting(type("Daemon", (_Daemon,), {"root": root})) as port:
        yield f"git://127.0.0.1:{port}"


@contextmanager
def https(root: Path, certificate: Path) -> Iterator[str]:
    """Git's smart HTTP over TLS; its URL.  ``certificate`` is made, key and all."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(certificate), "-out", str(certificate) + ".crt"),
        ],
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + Path(f"{certificate}.crt").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with loopback.serving(type("Backend", (_Backend,), {"root": root}), context=context) as port:
        yield f"https://127.0.0.1:{port}"


@contextmanager
def dumb(root: Path) -> Iterator[str]:
    """The files themselves over HTTP; its URL."""
    with loopback.serving(partial(_Files, directory=str(root))) as port:
        yield f"http://127.0.0.1:{port}"
