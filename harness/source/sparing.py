# SPDX-License-Identifier: GPL-2.0-only
"""A fetch of one commit that brings only the files that the store does not have yet.

First come the commit and its folders (``--depth=1 --filter=blob:none``), then by their ids the
files that no tree of the store has.  It happens in a repository beside the store, so that the store
never has a commit without its files.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from harness.source.git import ask, run_git
from harness.source.gitnames import public_url
from harness.util import atomic

_WANTED = "refs/harness/wanted"
_MOST = 0.25
"""Of the files.  Asked for by their ids, they come without deltas: 43,000 of v6.19's 92,000 that
6.12 does not have were 178 MB and took four times as long as the whole commit with 265 MB."""
_SETTINGS = (
    "remote.from.promisor=true",
    "remote.from.partialclonefilter=blob:none",
    # What the store has is no promise that it has the history of it.
    "core.alternateRefsCommand=true",
    "fetch.negotiationAlgorithm=noop",
    "fetch.unpackLimit=1",
)
_FETCH = ("fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--filter=blob:none")


def fetch(store: Path, source: str, wanted: str) -> str | None:
    """Bring a full ref name or commit id of a server into the store: the id of its object.

    None where the server cannot do this, or where it is better fetched as a whole because too many
    of its files are new; the store is then as it was.
    """
    with tempfile.TemporaryDirectory(dir=store, prefix="fetch-") as folder:
        scratch = Path(folder)
        made = run_git(["init", "--quiet", "--bare", "--template=", folder])
        (scratch / "objects" / "info").mkdir(exist_ok=True)
        (scratch / "objects/info/alternates").write_text(f"{store / 'objects'}\n", encoding="utf-8")
        asked = (*_FETCH, "--depth=1", "from", f"{wanted}:{_WANTED}")
        if made.returncode or _run(scratch, source, asked).returncode:
            return None
        missing = _missing(scratch)
        files = ask(scratch, "ls-tree", "-r", "-z", "--name-only", _WANTED).count("\0")
        if len(missing) > _MOST * files:
            return None
        if missing:
            ids = "".join(f"{one}\n" for one in missing).encode()
            done = _run(scratch, source, (*_FETCH, "--stdin", "from"), ids)
            if done.returncode or _missing(scratch):
                return None
        _move(scratch, store)
        return ask(scratch, "rev-parse", _WANTED).strip()


def _run(
    scratch: Path, source: str, args: tuple[str, ...], stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    settings = (f"remote.from.url={source}", *_SETTINGS)
    what = f"fetching {public_url(source)}"
    return run_git(args, cwd=scratch, stdin=stdin, settings=settings, what=what)


def _missing(scratch: Path) -> list[str]:
    """The ids of the files that neither the repository nor the store has."""
    listed = ask(scratch, "rev-list", "--objects", "--missing=print", f"{_WANTED}^{{tree}}", "--")
    return [line[1:] for line in listed.splitlines() if line.startswith("?")]


def _move(scratch: Path, store: Path) -> None:
    """Hand the objects over, and first that the commit's parents are not there."""
    lines = set[str]()
    for one in (store / "shallow", scratch / "shallow"):
        lines |= set(one.read_text(encoding="ascii").split()) if one.is_file() else set()
    if lines:
        atomic.text(store / "shallow", "".join(f"{line}\n" for line in sorted(lines)))
    for pack in (scratch / "objects" / "pack").glob("*.pack"):
        for path in (pack, pack.with_suffix(".idx")):  # git reads a pack that has an index
            path.replace(store / "objects" / "pack" / path.name)
