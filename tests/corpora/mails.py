# SPDX-License-Identifier: GPL-2.0-only
"""Mails of a list, or saved ones: is what a look-up picks what was posted?

PATH: a public-inbox git directory, or a folder of mails and mailboxes.  Of a list, each posting is
looked up by its cover letter and by one of its patches, and its newest revision by ``@latest``;
truth is `mailtruth`.  Of files, mails, subjects and diffs are held against git mailsplit, git
mailinfo and git patch-id.
"""

from __future__ import annotations

import random
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.series.mail import lore, mbox
from harness.series.mail.archive import Archive
from harness.series.mail.lore import Address, MailSource
from harness.series.patchset import PatchSet
from harness.source.git import patch_ids
from harness.util.errors import HarnessError, UserError
from tests.corpora import mailtruth
from tests.corpora.mailtruth import Posting, Truth

_ALONE = 1000
"""Patches without a number that are looked up."""
_BROKEN = ("not whole", "cover alone", "numbered twice")
"""Kinds of which any pick without a word is wrong."""


class _Tally:
    """What agreed, by kind."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.good: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        self.taken: dict[str, list[float]] = {}

    def add(self, kind: str, what: str, verdict: str, seconds: float = 0.0) -> None:
        """``verdict`` is "" for agreement; each other one is printed."""
        self.total[kind] += 1
        self.good[kind] += not verdict
        self.silent[kind] += verdict.startswith("SILENT")
        self.taken.setdefault(kind.partition(":")[0], []).append(seconds)
        if verdict:
            print(f"{kind}: {what}: {verdict}")

    def show(self) -> int:
        """Print the sums; 1 if something was wrong without a word."""
        for kind in sorted(self.total):
            print(
                f"{kind:<48} {self.good[kind]:5d} of {self.total[kind]:5d}, "
                f"{self.silent[kind]} silently wrong"
            )
        for kind, seconds in sorted(self.taken.items()):
            if any(seconds):
                print(f"{kind:<48} {1000 * statistics.median(seconds):5.1f} ms, median")
        return 1 if any(self.silent.values()) else 0


def run(path: Path) -> int:
    """Print agreement by kind; 1 if anything is wrong and nothing said so."""
    tally = _Tally()
    git = ["git", "-C", str(path), "rev-parse", "--git-dir"]
    inside = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    if inside in (".", ".git"):
        _list(path, tally)
    else:
        _files(path, tally)
    return tally.show()


def _list(repo: Path, tally: _Tally) -> None:
    truth = Truth(mailtruth.raws(repo))
    with tempfile.TemporaryDirectory(prefix="corpora-") as folder:
        mails = MailSource(Path(folder), server="http://127.0.0.1:9", mirrors=(repo,))
        begun = time.monotonic()
        count = Archive(mails.mirrors, index=mails.cache / "index").refresh()
        print(f"indexed {count} mails in {time.monotonic() - begun:.1f} s")
        for posting in truth.covered:
            _look(posting, posting.head.id, "by cover", mails, tally)
        whole = [one for one in (*truth.covered, *truth.bare) if len(one.patches) > 1]
        for posting in whole:
            one = random.Random(posting.head.id).choice(posting.patches)
            _look(posting, one.id, "by patch", mails, tally)
        alone = [one for one in truth.by_id.values() if _is_alone(one)]
        for one in random.Random(1).sample(alone, min(_ALONE, len(alone))):
            _look(Posting(one, (one,), "without a number"), one.id, "by patch", mails, tally)
        sound = [one for one in (*truth.covered, *truth.bare) if one.patches]
        for family in mailtruth.families(sound):
            _latest(family, mails, tally)


def _is_alone(one: mailtruth.Seen) -> bool:
    patch = "patch" in one.tags.lower() and one.diff and not one.answer
    return patch and one.number is None


def _look(posting: Posting, asked: str, how: str, mails: MailSource, tally: _Tally) -> None:
    begun = time.monotonic()
    try:
        picked = lore.fetch(Address(asked, None, None), mails)
    except UserError as error:
        verdict = "" if posting.kind in _BROKEN else f"refused: {error}"
    except HarnessError as error:
        verdict = f"failed: {error}"
    else:
        verdict = _judged(picked, posting)
    tally.add(f"{how}: {posting.kind}", asked, verdict, time.monotonic() - begun)


def _judged(picked: PatchSet, posting: Posting) -> str:
    got = [mail.message_id for mail in picked.patches]
    if got == posting.ids and posting.kind not in _BROKEN:
        return ""
    if picked.notes and posting.kind in _BROKEN:
        return ""
    how = "told" if picked.notes else "SILENT"
    return f"{how}: {len(got)} patches, meant {len(posting.ids)}: {got[:3]}, {posting.ids[:3]}"


def _latest(family: list[Posting], mails: MailSource, tally: _Tally) -> None:
    begun = time.monotonic()
    meant = family[-1]
    verdict = ""
    try:
        picked = lore.fetch(Address(family[0].head.id, None, "latest"), mails)
    except HarnessError as error:
        broken = meant.kind in _BROKEN and isinstance(error, UserError)
        verdict = "" if broken else f"refused: {error}"
    else:
        got = [mail.message_id for mail in picked.patches]
        if got != meant.ids:
            verdict = f"SILENT: {picked.head}, meant {meant.head.id} of {len(family)}"
    tally.add("@latest", family[0].head.id, verdict, time.monotonic() - begun)


def _files(folder: Path, tally: _Tally) -> None:
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        if path.suffix in (".py", ".sh", ".md", ".bundle"):
            continue
        data = path.read_bytes()
        try:
            mails = mbox.split(data)
        except UserError as error:
            tally.add("split", str(path), f"refused: {error}")
            continue
        with tempfile.TemporaryDirectory(prefix="corpora-") as place:
            said = _git(["mailsplit", f"-o{place}", "--", str(path)], b"")
            parts = sorted(Path(place).iterdir()) if said is not None else []
            verdict = "" if not parts or len(parts) == len(mails) else f"{len(parts)} for git"
            tally.add("split", f"{path}, {len(mails)}", f"SILENT: {verdict}" if verdict else "")
            for number, one in enumerate(parts if not verdict else (), 1):
                _mail(mails[number - 1], one.read_bytes(), f"{path} {number}", tally)


def _mail(ours: bytes, raw: bytes, name: str, tally: _Tally) -> None:
    """One mail, held against git mailinfo and git patch-id."""
    with tempfile.TemporaryDirectory(prefix="corpora-") as place:
        message, diff = Path(place, "msg"), Path(place, "patch")
        said = _git(["mailinfo", "-b", "--encoding=UTF-8", str(message), str(diff)], raw)
        if said is None:
            return
        info = dict(_lines(said))
        theirs = _patch_id(diff.read_bytes())
    try:
        mail = mbox.read(ours, name="")
    except UserError as error:
        tally.add("mail", name, f"refused: {error}")
        return
    same_diff = _patch_id(mail.diff) == theirs
    tally.add("diff", name, "" if same_diff else "SILENT: another patch-id")
    shown = re.sub(r"^(\s*\[[^\]]*\])+\s*", "", " ".join(info.get("Subject", "").split()))
    if shown:
        tally.add("title", name, "" if mail.subject == shown else f"SILENT: {mail.subject!r}")


def _patch_id(diff: bytes) -> str:
    """Empty where git sees no change, as in a cover letter."""
    try:
        return patch_ids([diff])[0]
    except UserError:
        return ""


def _lines(said: bytes) -> Iterator[tuple[str, str]]:
    for line in said.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(": ")
        yield key, value


def _git(words: list[str], stdin: bytes) -> bytes | None:
    done = subprocess.run(["git", *words], input=stdin, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None
