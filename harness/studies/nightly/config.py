# SPDX-License-Identifier: GPL-2.0-only
"""nightly.yaml: what is followed, what is measured of it, and how long a night may take."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import SkipValidation

from harness.experiment import settings, spec, suite
from harness.experiment.spec import Experiment
from harness.results import address
from harness.series import registry
from harness.series.basis import AUTO
from harness.series.mail import lore
from harness.source.gitnames import check_revision
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.paths import at_home
from harness.util.yamlfile import (
    Check,
    Items,
    Model,
    Positive,
    Slug,
    SomeItems,
    Text,
    Wanted,
    matching,
    one_of,
)

_OURS = ("path", "sha256", "units")
"""Fields of `Config` that are no keys."""
_UNITS = {"h": 3600.0, "m": 60.0, "": 3600.0}
PAIRS = 6
"""From six pairs on intervals rest on ranks and hold for any noise."""


_Repository = Annotated[Text, Check(at_home)]


def _mail(value: str) -> str:
    if lore.parse(value) is None:
        raise Wanted("a message-id or the URL of a mail")
    return value


def _revision(value: str) -> str:
    check_revision(value)
    return value


@dataclass(frozen=True, slots=True)
class FollowedSeries(Model):
    """A series to follow: a name of the registry, the id of a mail, or a change-id.

    from_: the first revision that matters, like "v3"; "" for all
    bases: as the file has them for all, where its own are left out
    """

    name: Slug
    series: Text = ""
    message_id: Annotated[Text, Check(_mail)] = ""
    change_id: Text = ""
    from_: Annotated[Text, matching(r"(RFC-)?v[1-9]\d*", "a revision like v3")] = ""
    bases: SomeItems[Text] = ()


@dataclass(frozen=True, slots=True)
class Branch(Model):
    """A branch to follow: ``ref`` of the repository ``git`` (path or URL).

    git, bases: as the file has them for all, where its own are left out
    """

    name: Slug
    ref: Annotated[Text, Check(_revision)]
    git: _Repository = ""
    bases: SomeItems[Text] = ()


def _followed(item: Any) -> Any:
    """A word is a name of the registry or the id of a mail; a mapping says which it means."""
    if isinstance(item, str):
        item = {"message_id" if "@" in item else "series": item}
    if not isinstance(item, dict):
        raise Wanted("a name, a message-id or a mapping")
    item = {k.replace("-", "_") if isinstance(k, str) else k: v for k, v in item.items()}
    kinds = [key for key in ("series", "message_id", "change_id") if key in item]
    if len(kinds) != 1 and kinds != ["message_id", "change_id"]:
        raise ValueError("give one of series, message_id and change_id")
    called = item[kinds[-1]]
    if kinds == ["message_id"]:
        called = re.sub(r"[^\w.-]+", "-", str(called))
    return {"name": called, **item}


def _branch(item: Any) -> Any:
    if not isinstance(item, dict):
        raise Wanted("a mapping with ref and bases")
    return {"name": str(item.get("ref")).rpartition("/")[2], **item}


def _mirror(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ":".join(value)
    return value


def _seconds(value: Any) -> float:
    """8, "8h" and "30m": a bare number is hours."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hm]?)", str(value).strip())
    if not match or float(match[1]) <= 0:
        raise Wanted("hours, like 8h, or 30m")
    return float(match[1]) * _UNITS[match[2]]


def _no(value: Any) -> Any:
    """YAML reads a bare no as false."""
    return "no" if value is False else value


def _board(value: str) -> str:
    try:
        return address.board(value)
    except ValueError as error:
        raise Wanted(str(error)) from error


@dataclass(frozen=True, slots=True)
class Config(Model):
    """A whole nightly.yaml.

    budget: seconds of work a night; most_pairs: where adding pairs to what is undecided ends; by
        default twice the pairs of the first night
    keep: nights after which an old result is thinned, None to keep all; see `thin`
    bisect: "auto" spends what is left of a night on searches for what moved; else "no"
    board: the address at which the board can be read, "" for none
    units: experiments without kernels, each one back-end by one workload, with the suite's name:
        of the other keys, which are those of a spec file
    """

    path: Path
    sha256: str = ""
    name: Slug = "nightly"
    budget: Annotated[float, Check(_seconds, first=True)] = 8 * 3600.0
    most_pairs: Positive = 0
    keep: Positive | None = None
    bisect: Annotated[str, one_of(("auto", "no")), Check(_no, first=True)] = "no"
    board: Annotated[str, Check(_board)] = ""
    bases: SomeItems[Text] = (AUTO,)
    suites: SomeItems[Text] = ()
    kernel_git: _Repository | None = None
    lore: Text | None = None
    mirror: Annotated[str, Check(_mirror, first=True)] = ""
    series: Items[Annotated[FollowedSeries, Check(_followed, first=True)]] = ()
    branches: Items[Annotated[Branch, Check(_branch, first=True)]] = ()
    units: SkipValidation[tuple[tuple[str, Experiment], ...]] = ()


def load(path: Path, *, registry_folder: Path) -> Config:
    """Read a nightly.yaml.  UserError naming the file, and the key that is wrong in it."""
    place = str(path)
    if not path.exists():
        raise UserError(f"'{path}' cannot be read; kernels/nightly.yaml is an example")
    data = yamlfile.read(path)
    own = [one.name for one in dataclasses.fields(Config) if one.name not in _OURS]
    unknown = yamlfile.unknown(data, (*own, *_spec_keys()))
    if unknown:
        raise UserError(f"{place}: {unknown}")
    read = yamlfile.check({key: data[key] for key in own if key in data}, Config, place, path=path)
    series = tuple(replace(one, bases=one.bases or read.bases) for one in read.series)
    for one in series:
        if one.series:
            registry.read(one.series, registry=registry_folder)
    branches = tuple(
        replace(one, git=one.git or read.kernel_git or "", bases=one.bases or read.bases)
        for one in read.branches
    )
    for number, branch in enumerate(branches, 1):
        entry = f"{place}: branches, entry {number}"
        if not branch.git:
            raise UserError(f"{entry}: give 'git' (or 'kernel_git' for all branches)")
        if AUTO in branch.bases:
            raise UserError(f"{entry}: a branch is not made on a base: give 'bases', like [v6.19]")
    names = [one.name for one in series] + [one.name for one in branches]
    if not names:
        raise UserError(f"{place} follows nothing: give it 'series' or 'branches'")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{place}: two things are called '{name}': give one another 'name'")
    units = tuple(_units(place, data, read.suites))
    text = json.dumps(data, sort_keys=True, default=str)
    return replace(
        read,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        most_pairs=read.most_pairs or 2 * units[0][1].schedule.pairs,
        series=series,
        branches=branches,
        units=units,
    )


def _spec_keys() -> tuple[str, ...]:
    """The keys of a spec file that a night's comparisons have in common."""
    return tuple(name for name, one in settings.stored().items() if one.nightly)


def _units(
    place: str, data: Mapping[str, Any], suites: Sequence[str]
) -> Iterator[tuple[str, Experiment]]:
    """One back-end by one workload by one arm each: the order of a night goes by cells."""
    for name, unit in _all_arms(place, data, suites):
        for arm, declared in (unit.kernels.arms or {}).items():
            yield name, unit.changed(arms={arm: declared})
        if not unit.kernels.arms:
            yield name, unit


def _all_arms(
    place: str, data: Mapping[str, Any], suites: Sequence[str]
) -> Iterator[tuple[str, Experiment]]:
    common = {key: data[key] for key in _spec_keys() if key in data}
    common.setdefault("pairs", PAIRS)
    # All settings at once: a mistake is said before the first of them is used.
    # A program of the user's own lies beside the file, as with a spec file.
    whole = spec.load(None, common, source=place, home=Path(place).parent)
    matrix = whole.matrix
    if not suites:
        for workload in matrix.workloads:
            for backend in matrix.backends:
                yield "", whole.changed(backends=(backend,), workloads=(workload,))
        return
    for key in ("backends", "workloads"):
        if key in data:
            raise UserError(f"{place}: suites and {key} were both given; use one of them")
    for name in suites:
        for group in suite.groups(name):
            for workload in group.workloads:
                for backend in group.backends:
                    yield (
                        name,
                        whole.changed(
                            backends=(backend,),
                            workloads=(workload,),
                            preset=matrix.preset or group.preset,
                            guest={**(matrix.guest or {}), **group.guest} or None,
                        ),
                    )
