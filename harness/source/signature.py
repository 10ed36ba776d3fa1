# SPDX-License-Identifier: GPL-2.0-only
"""Signatures by GnuPG, checked against a keyring that the user gives (KERNEL_KEYRING)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.source.git import run_git
from harness.util.command import run
from harness.util.errors import UserError


def verify_tag(repo: Path, ref: str, *, name: str, keyring: Path) -> str | None:
    """Who signed a tag: the fingerprint of the key; None for a tag without a signature.

    ``ref`` is the tag in ``repo``, ``name`` what the user calls it, ``keyring`` a file of public
    keys, armoured or not.  Raises UserError when the signature is not a good one by such a key.
    """
    _require_file(keyring)
    shown = run_git(["cat-file", "tag", ref], cwd=repo)
    if shown.returncode != 0 or b"\n-----BEGIN PGP SIGNATURE-----\n" not in shown.stdout:
        return None
    with home_with(keyring) as home:
        settings = ("gpg.program=gpg", "gpg.format=openpgp", "gpg.minTrustLevel=undefined")
        done = run_git(
            ["verify-tag", "--raw", ref], cwd=repo, env={"GNUPGHOME": home}, settings=settings
        )
    said = done.stderr.decode(errors="replace")
    key = signer(said)
    if done.returncode != 0 or key is None:
        raise UserError(f"tag {name} has no good signature by a key of {keyring}")
    return key


@contextmanager
def home_with(keyring: Path) -> Iterator[str]:
    """A folder for ``gpg --homedir`` with the keys of one file, removed afterwards.

    Raises UserError for a keyring that is no file, InfraError for one that gpg cannot read.
    """
    _require_file(keyring)
    # gpg keeps sockets beside its keys, and a socket's path must be short: not below the cache.
    with tempfile.TemporaryDirectory(prefix="harness-gpg-") as home:
        # Imported first, so that armoured keys serve as well as binary ones.
        run([*gpg(home), "--import", str(keyring.absolute())])
        yield home


def gpg(home: str) -> list[str]:
    """The command with a home of its own; it asks nothing and leaves no agent behind."""
    return ["gpg", "--homedir", home, "--batch", "--no-tty", "--no-autostart"]


def signer(status: str) -> str | None:
    """The fingerprint of the key of a good signature in gpg's status lines, None if there is none.

    A key that has expired or was revoked gives a VALIDSIG without a GOODSIG, and no error.
    """
    key = re.search(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]+)", status, re.MULTILINE)
    good = re.search(r"^\[GNUPG:\] GOODSIG ", status, re.MULTILINE)
    return key[1] if key and good else None


def _require_file(keyring: Path) -> None:
    if not keyring.is_file():
        raise UserError(f"KERNEL_KEYRING names {keyring}, which is not a file")
