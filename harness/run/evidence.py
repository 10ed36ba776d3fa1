# SPDX-License-Identifier: GPL-2.0-only
"""The patches and trees of a result, kept beside its spec.yaml: what was measured, for later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from harness.build.pair import Trees, is_shipped
from harness.experiment import spec
from harness.experiment.defaults import PROGRAMS
from harness.experiment.meant import Meant, MeantTree
from harness.experiment.program import Program
from harness.experiment.spec import Experiment
from harness.series import kept
from harness.source.gitstore import GitStore
from harness.util import atomic

SPEC = "spec.yaml"
BASE, HEAD = "base.diff", "head.diff"


def keep(folder: Path, trees: Trees, store: GitStore, *, prefix: str = "") -> Meant:
    """Write the series, and what is needed of trees that only this machine has; what they are.

    ``prefix`` begins the names of the files.
    """
    base = kept.keep_tree(trees.base, f"{prefix}{BASE}", folder=folder, store=store)
    if trees.applied is not None:
        name = f"{prefix}{kept.SERIES}"
        return Meant(folder, base, patch=kept.keep_series(trees.applied, folder, name=name))
    head = kept.keep_tree(
        trees.other, f"{prefix}{HEAD}", folder=folder, store=store, base=trees.base
    )
    return Meant(folder, base, head)


def keep_fragments(folder: Path, experiment: Experiment) -> dict[str, str]:
    """Copy the config fragments of the user's own into ``folder``; by name, the file."""
    own = [name for name in experiment.kernels.fragments if not is_shipped(name)]
    found = {}
    for number, name in enumerate(own, 1):
        place = Path(experiment.meant.fragment(name))
        if place.is_file():
            found[name] = f"fragment-{number}.config"
            atomic.binary(folder / found[name], place.read_bytes())
    return found


def keep_programs(folder: Path, experiment: Experiment) -> None:
    """Copy the programs of the user's own into ``folder``, where its spec file names them."""
    for cell in experiment.cells():
        own = cell.workload.own
        if own is None or own.place is None:
            continue
        home = folder / PROGRAMS / own.folder
        home = home / own.place.name if own.place.is_dir() else home
        for name, path in own.files:
            if path != home / name:
                atomic.binary(home / name, path.read_bytes())


def holds(folder: Path, own: Program) -> bool:
    """Whether all that a program is made of is among the copies in a result: a stranger's spec
    file may name any file of this user."""
    home = (folder / PROGRAMS).resolve()
    return all(path.resolve().is_relative_to(home) for _, path in own.files)


def programs(folder: Path) -> list[str]:
    """The files of those copies, as they are named in the result."""
    found = (path for path in (folder / PROGRAMS).rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def as_data(meant: Meant) -> dict[str, Any]:
    """As plain data for a spec file: without what is empty, and without the folder."""
    return dict(_plain(meant))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        names = [one.name for one in fields(value) if one.name != "folder"]
        found = {name: _plain(getattr(value, name)) for name in names}
        return {key: one for key, one in found.items() if one not in (None, {}, [], ())}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def files(folder: Path) -> list[str]:
    """The files of a result with its patches, with the diff of a tree, or of programs."""
    fragments = sorted(path.name for path in folder.glob("fragment-*.config"))
    # Those of an arm or revision begin with its name.
    patches = sorted(
        path.name for name in (kept.SERIES, BASE, HEAD) for path in folder.glob(f"*{name}")
    )
    return [*patches, *fragments, *programs(folder)]


def needed(folder: Path) -> list[str]:
    """What `needs` says of a result; none if its spec file says nothing."""
    path = folder / SPEC
    return list(needs(spec.load(path, {}).meant)) if path.is_file() else []


def needs(meant: Meant) -> Iterator[str]:
    """What somebody else needs beside the result's files to have its trees, one phrase each."""
    said = set()
    for tree in (meant.base, meant.head, *(one.base for one in meant.revisions.values())):
        phrase = _needed(tree) if tree else ""
        if phrase and phrase not in said:
            said.add(phrase)
            yield phrase


def _needed(tree: MeantTree) -> str:
    name, commit = tree.on or tree.name, tree.on_commit or tree.commit
    kind, _, rest = name.partition(":")
    if name.startswith("debian/"):
        series, _, version = name.removeprefix("debian/").partition("=")
        return f"Debian's package linux-source-{series} {version}".rstrip()
    if kind == "git":
        what = f"commit {commit}"
        named = "" if re.fullmatch(r"[0-9a-f]{40}", rest) else f" ({rest})"
        return f"KERNEL_GIT, a clone of the kernel that has {what}{named}"
    if kind == "tar":
        return f"the tarball {rest}"
    return f"the folder {rest}, of which no diff could be kept"
