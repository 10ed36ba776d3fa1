# SPDX-License-Identifier: GPL-2.0-only
"""``make repeat``: a result, or a bundle of one, as an experiment that measures it again.

What a result says of the machine that made it (scheduler, sandbox, repository, jobs) does not
count: it may come from a stranger, and this machine's user says how things are done here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.build.pair import is_shipped
from harness.experiment import spec
from harness.experiment.meant import Meant
from harness.experiment.settings import Host
from harness.experiment.spec import Experiment
from harness.results import checksums, listing, manifest, record
from harness.results.manifest import UNKNOWN, ResultKind
from harness.results.record import kind_of
from harness.run import evidence
from harness.run.evidence import SPEC
from harness.studies import bundle
from harness.util.errors import UserError

_log = logging.getLogger(__name__)

_FIRST = (ResultKind.REVISIONS, ResultKind.COMPARE)
"""What a bundle of several results is a bundle of."""
_MANY = {
    ResultKind.NIGHTLY: "what was new in its nights",
    ResultKind.CASES: "many cases, each of which has settings of its own",
}
"""What is no single experiment, and of what it is."""


def find(word: str, root: Path) -> Path:
    """What RESULT= names: as `listing.find` says, or a bundle.  UserError says how to get one."""
    paths = (Path(word), root / word)
    if word.endswith(bundle.SUFFIX) and not any(path.exists() for path in paths):
        folder = Path(word).name.removesuffix(bundle.SUFFIX)
        raise UserError(f"there is no '{word}': make bundle RESULT={folder} writes it")
    return listing.find(word, root)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The results folder at ``path``, or that in the bundle there, which is unpacked meanwhile."""
    if not path.is_file():
        yield path
        return
    with bundle.unpacked(path) as folders:
        kinds = {kind_of(one): one for one in reversed(folders)}
        chosen = next((kinds[kind] for kind in _FIRST if kind in kinds), folders[0])
        others = [one.name for one in folders if one != chosen]
        if others and kind_of(chosen) is not ResultKind.REVISIONS:
            _log.info(f"{path} also holds {', '.join(others)}: unpack it to repeat that")
        yield chosen


def experiment(
    folder: Path, asked: Host, *, name: str | None = None, parallel: int | None = None
) -> Experiment:
    """The experiment that a result was made from, to be run on this machine.

    UserError where it has no spec file, is of many experiments, or a file is not as
    recorded.
    """
    kind = kind_of(folder)
    if what := _MANY.get(kind):
        raise UserError(f"'{folder}' is of {what}: repeat one of its comparisons, a folder in it")
    checksums.guard(folder)
    name = name or f"{folder.resolve().name}-repeat"
    if not (folder / SPEC).is_file():
        raise UserError(_older(folder, kind))
    one = spec.load(folder / SPEC, {"name": name, "parallel": parallel}, command=kind.target)
    needed = list(evidence.needs(one.meant))
    if not needed:
        raise UserError(_older(folder, kind))
    for fragment in one.kernels.fragments:
        if not is_shipped(fragment) and fragment not in one.meant.fragments:
            raise UserError(f"'{folder}' has no copy of the config fragment '{fragment}'")
    for cell in one.cells():
        if cell.workload.own and not evidence.holds(folder, cell.workload.own):
            raise UserError(
                f"'{folder}' has no copy of the program '{cell.workload.name}': its spec file "
                "names one elsewhere"
            )
    _log.info(f"it needs {'; '.join(needed)}; the rest is in {folder.name}")
    git = asked.kernel_git or _clone(one.host.kernel_git)
    return replace(one, host=replace(asked, kernel_git=git))


def _older(folder: Path, kind: ResultKind) -> str:
    """What is said of a result that kept nothing; its spec file may lack what was asked, too."""
    found = manifest.load(folder).command
    if kind.record != manifest.NAME:
        found = str(record.read(folder, kind).get("command") or UNKNOWN)
    said = f"'{folder}' kept neither patches nor trees (an older version made it)"
    return said if found == UNKNOWN else f"{said}: what measures it again is '{found}'"


def _clone(place: str | None) -> str | None:
    """The result's repository where it is a folder of this machine."""
    return place if place and Path(place).expanduser().is_dir() else None


def same(old: Path, new: Path) -> str:
    """A sentence on the trees of a result and of its repetition."""
    before, after = _trees(old), _trees(new)
    if not before:
        return f"'{old.name}' does not say which trees it measured."
    differ = [arm for arm, tree in before.items() if after.get(arm) != tree]
    if differ:
        told = ", ".join(
            f"{arm} {before[arm][:12]} before, {after.get(arm, UNKNOWN)[:12]} now" for arm in differ
        )
        return f"Other trees than in {old.name}: {told}."
    told = ", ".join(f"{arm} {tree}" for arm, tree in before.items())
    return f"The same trees as in {old.name}: {told}."


def _trees(folder: Path) -> dict[str, str]:
    """Tree ids by arm, as the manifest or the spec file has them."""
    found = {name: one.tree for name, one in manifest.load(folder).arms.items()}
    if not found and (folder / SPEC).is_file():
        meant = spec.load(folder / SPEC, {}).meant
        found = _meant("", meant)
        for name, one in meant.revisions.items():
            found |= _meant(f"{name} ", one)
    return {arm: tree for arm, tree in found.items() if tree != UNKNOWN}


def _meant(prefix: str, meant: Meant) -> dict[str, str]:
    other = meant.patch or meant.head
    found = {"base": meant.base.tree if meant.base else None, "patch": other and other.tree}
    return {f"{prefix}{arm}": tree for arm, tree in found.items() if tree}
