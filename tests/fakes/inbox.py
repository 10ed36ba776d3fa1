# SPDX-License-Identifier: GPL-2.0-only
"""A small mailing list: a series mailed out, a public-inbox of it, and a server for that."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from harness.series.mail import mbox
from harness.source.git import run_git
from tests.fakes import loopback

DEV = "Dev Eloper <dev@mail.example>"


def git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    """Git in a folder, as a fixed person at a fixed time."""
    env = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Dev"), ("EMAIL", "dev@mail.example"), ("DATE", "@9 +0200"))
    }
    done = run_git(args, cwd=folder, env=env, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def author(folder: Path, files: dict[str, str]) -> Path:
    """A repository with a base (tag v6.12) and two commits that change mm/swap.c and mm/page.c."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "tag", "v6.12")
    for name, body in (("mm/swap.c", "int more_swap;\n"), ("mm/page.c", "int more_pages;\n")):
        (folder / name).write_text((folder / name).read_text() + body)
        git(folder, "commit", "-q", "-a", "-m", f"{name}: say more\n\nBecause.")
    return folder


def mailed(repo: Path, version: int = 1, *, base: bool = True, cover: str = "More") -> list[bytes]:
    """The commits after v6.12 as git send-email would send them: cover letter first."""
    options = ["--cover-letter", f"-v{version}", "--thread", *(["--base=v6.12"] if base else [])]
    text = git(repo, "format-patch", "--stdout", "--from=" + DEV, *options, "v6.12..main")
    raws = list(mbox.split(text.encode()))
    ids = {
        (mbox.read(raw, name="").message_id or "").encode(): f"{version}-{n}@mail.example".encode()
        for n, raw in enumerate(raws)
    }
    for number, text_ in enumerate(raws):
        raw = text_
        for old, new in ids.items():
            raw = raw.replace(b"<" + old + b">", b"<" + new + b">")
        date = f"Date: Thu, 0{version} Jan 2026 00:00:0{number} +0000".encode()
        head, _, body = raw.partition(b"\n\n")
        lines = [date if line.startswith(b"Date:") else line for line in head.split(b"\n")]
        raws[number] = b"\n".join(lines) + b"\n\n" + body
    raws[0] = raws[0].replace(b"*** SUBJECT HERE ***", cover.encode())
    return raws


def answer(to: str, subject: str, body: str, *, sender: str = "R <r@mail.example>") -> bytes:
    """A mail that answers another."""
    key = hashlib.sha256(f"{to} {subject} {body}".encode()).hexdigest()[:12]
    return (
        f"From: {sender}\nDate: Fri, 09 Jan 2026 00:00:00 +0000\nSubject: {subject}\n"
        f"Message-ID: <{key}@answers>\nIn-Reply-To: <{to}>\n"
        f"References: <{to}>\n\n{body}\n"
    ).encode()


def archive(repo: Path, mails: Sequence[bytes]) -> Path:
    """Add mails to a repository of the public-inbox v2 kind, made if it is not there."""
    if not repo.exists():
        repo.mkdir(parents=True)
        git(repo, "init", "--quiet", "--bare", "--initial-branch=master")
    begun = run_git(["rev-parse", "--verify", "--quiet", "master"], cwd=repo).returncode == 0
    stream = b""
    for number, raw in enumerate(mails):
        stream += b"commit refs/heads/master\ncommitter a <a@b> %d +0000\ndata 0\n" % number
        if number == 0 and begun:
            stream += b"from refs/heads/master^0\n"
        stream += b"M 100644 inline m\ndata %d\n%s\n" % (len(raw), raw)
    git(repo, "fast-import", "--quiet", stdin=stream)
    return repo


class _Handler(http.server.BaseHTTPRequestHandler):
    mails: Sequence[bytes] = ()
    asked: list[str]

    def do_GET(self) -> None:
        """A thread: here, all mails when the id is one of theirs; a search finds all."""
        self.asked.append(self.path)
        parts = urlsplit(self.path)
        ids = {mbox.read(raw, name="").message_id for raw in self.mails}
        wanted = unquote(parts.path).split("/")[2:3]
        known = parts.path.endswith("/t.mbox.gz") and wanted and wanted[0] in ids
        if not known and "x=m" not in parts.query:
            self.send_error(404)
            return
        body = gzip.compress(mbox.join(self.mails))
        self.send_response(200)
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def served(mails: Sequence[bytes]) -> Iterator[tuple[str, list[str]]]:
    """A loopback server with an inbox of these mails: its URL, and the requests it got."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"mails": mails, "asked": asked})
    with loopback.serving(handler) as port:
        yield f"http://127.0.0.1:{port}/list", asked


def public_inbox(folder: Path, mails: Sequence[bytes]) -> dict[str, str]:
    """A real public-inbox, indexed; the environment for its programs.  Needs public-inbox."""
    env = {"HOME": str(folder), "PI_CONFIG": str(folder / "config"), "PATH": "/usr/bin:/bin"}
    folder.mkdir()
    init = ["public-inbox-init", "-V2", "list", str(folder / "list"), "http://localhost/list"]
    for argv in ([*init, "list@mail.example"], ["public-inbox-index", str(folder / "list")]):
        subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)
        if argv[0] == "public-inbox-init":
            archive(folder / "list" / "git" / "0.git", mails)
    return env
