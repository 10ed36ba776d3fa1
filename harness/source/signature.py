# SPDX-License-Identifier: GPL-2.0-only
"""Signatures of git tags, checked against a keyring that the user gives (KERNEL_KEYRING)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from harness.source.git import run_git
from harness.util.command import run
from harness.util.errors import UserError


def verify_tag(repo: Path, ref: str, *, name: str, keyring: Path) -> str | None:
    """Who signed a tag: the fingerprint of the key; None for a tag without a signature.

    ``ref`` is the tag in ``repo``, ``name`` what the user calls it, ``keyring`` a file of public
    keys, armoured or not.  Raises UserError when the signature is not a good one by such a key.
    """
    if not keyring.is_file():
        raise UserError(f"KERNEL_KEYRING names {keyring}, which is not a file")
    shown = run_git(["cat-file", "tag", ref], cwd=repo)
    if shown.returncode != 0 or b"\n-----BEGIN PGP SIGNATURE-----\n" not in shown.stdout:
        return None
    with tempfile.TemporaryDirectory(prefix="harness-gpg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--no-tty", "--no-autostart"]
        run([*gpg, "--import", str(keyring.absolute())])
        settings = ("gpg.program=gpg", "gpg.format=openpgp", "gpg.minTrustLevel=undefined")
        done = run_git(
            ["verify-tag", "--raw", ref], cwd=repo, env={"GNUPGHOME": home}, settings=settings
        )
    said = done.stderr.decode(errors="replace")
    key = re.search(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]+)", said, re.MULTILINE)
    good = re.search(r"^\[GNUPG:\] GOODSIG ", said, re.MULTILINE)
    # A key that has expired or was revoked gives a VALIDSIG without a GOODSIG.
    if done.returncode != 0 or not key or not good:
        raise UserError(f"tag {name} has no good signature by a key of {keyring}")
    return key[1]
