# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's public trees, ``kernels/trees.yaml``, and the clone that the user stands in."""

from __future__ import annotations

import re
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from harness.source.gitnames import is_full_id
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import is_kernel_checkout
from harness.util.yamlfile import Model, Named, Regex, Text, matching

_PORTS = {"git": 9418, "http": 80, "https": 443}
_PATIENCE = 15.0
"""Seconds for a server to take a connection: git itself waits for minutes."""

_URL = r"(git|https?)://[^\s/?#]+(/[^\s?#]*)?"
_Url = Annotated[Text, matching(_URL, "a URL like https://git.kernel.org")]


@dataclass(frozen=True, slots=True)
class _Tree(Model):
    """``path`` below the server; ``names`` of its tags and branches."""

    name: Text
    path: Text
    names: Regex


@dataclass(frozen=True, slots=True)
class _Trees(Model):
    server: _Url
    trees: Named[_Tree]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A public tree: ``names`` is the pattern of the tags and branches that it is asked for."""

    name: str
    url: str
    names: str

    def may_have(self, rev: str) -> bool:
        """Whether it is to be asked for that tag, branch or commit; never for part of an id."""
        return is_full_id(rev) or re.fullmatch(self.names, rev) is not None

    @property
    def server(self) -> str:
        """Its scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a revision is looked for that KERNEL_GIT does not have, in this order.

    clone: of the kernel, found where the user stands
    """

    clone: str | None = None
    upstreams: tuple[Upstream, ...] = ()


NOWHERE = Elsewhere()


def read(path: Path, *, mirror: str | None = None) -> tuple[Upstream, ...]:
    """The trees of a file; ``mirror`` (KERNEL_MIRROR) is a server in place of the file's.

    Raises UserError for a mistake in either.
    """
    if mirror and not re.fullmatch(_URL, mirror):
        raise UserError(
            f"KERNEL_MIRROR is {mirror!r}, which is not the URL of a server with kernel.org's "
            "paths, like https://git.kernel.org"
        )
    found = yamlfile.load(path, _Trees)
    server = (mirror or found.server).rstrip("/")
    return tuple(Upstream(one.name, f"{server}/{one.path}", one.names) for one in found.trees)


def clone_around(folder: Path) -> str | None:
    """The checkout of the kernel that a folder is or lies in, None if it is in none."""
    places = (folder, *folder.parents)
    return next((str(one) for one in places if is_kernel_checkout(one)), None)


def unreachable(server: str) -> str:
    """Why no connection to a server can be made, "" if it can, or if a proxy makes it."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        return "its port is no number"
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return ""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except TimeoutError:
        return f"no answer in {_PATIENCE:.0f} s"
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
