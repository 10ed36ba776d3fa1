# SPDX-License-Identifier: GPL-2.0-only
"""nightly.yaml: what is followed, what is measured of it, and how long a night may take."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.experiment import spec, suite
from harness.experiment.spec import Experiment
from harness.series import registry
from harness.series.basis import AUTO
from harness.series.mail import lore
from harness.source.gitnames import check_revision
from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.yamlfile import nearest

_OWN = ("name", "budget", "most_pairs", "series", "branches", "bases", "suites", "kernel_git",
        "lore", "mirror")  # fmt: skip
# What a spec file has, too, but a nightly job decides for each comparison.
_DECIDED = ("base", "patch", "upto", "head", "name", "suite")
_SPEC = tuple(one.name for one in dataclasses.fields(Experiment) if one.name not in _DECIDED)
_SERIES = ("name", "series", "message_id", "change_id", "from", "bases")
_BRANCH = ("name", "git", "ref", "bases")
_UNITS = {"h": 3600.0, "m": 60.0, "": 3600.0}
PAIRS = 6
"""From six pairs on intervals rest on ranks and hold for any noise."""


@dataclass(frozen=True, slots=True)
class FollowedSeries:
    """A series to follow: a name of the registry, the id of a mail, or a change-id.

    since: the first revision that matters, like "v3"; "" for all
    """

    name: str
    listed: str = ""
    message_id: str = ""
    change_id: str = ""
    since: str = ""
    bases: tuple[str, ...] = (AUTO,)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch to follow: ``ref`` of the repository ``git`` (path or URL)."""

    name: str
    git: str
    ref: str
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A whole nightly.yaml.

    budget: seconds of work a night; most_pairs: where adding pairs to what is undecided ends
    units: experiments without kernels, each one back-end by one workload, with the suite's name
    """

    path: Path
    name: str
    sha256: str
    budget: float
    most_pairs: int
    series: tuple[FollowedSeries, ...]
    branches: tuple[Branch, ...]
    units: tuple[tuple[str, Experiment], ...]
    kernel_git: str | None
    lore: str | None
    mirror: str | None


def load(path: Path, *, registry_folder: Path) -> Config:
    """Read a nightly.yaml.  UserError naming the file, and the key that is wrong in it."""
    place = str(path)
    data = _read(path)
    _keys(place, data, (*_OWN, *_SPEC))
    bases = _texts(place, "bases", data.get("bases", [AUTO]))
    kernel_git = _text(place, "kernel_git", data.get("kernel_git"))
    series = tuple(
        _series(f"{place}: series {number}", item, bases, registry_folder)
        for number, item in enumerate(_list(place, "series", data), 1)
    )
    branches = tuple(
        _branch(f"{place}: branches {number}", item, bases, kernel_git)
        for number, item in enumerate(_list(place, "branches", data), 1)
    )
    names = [one.name for one in series] + [one.name for one in branches]
    if not names:
        raise UserError(f"{place} follows nothing: give it 'series' or 'branches'")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{place}: two things are called '{name}': give one another 'name'")
    units = tuple(_units(place, data))
    pairs = units[0][1].pairs
    return Config(
        path=path,
        name=_slug(place, "name", data.get("name", "nightly")),
        sha256=hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest(),
        budget=_seconds(place, data.get("budget", "8h")),
        most_pairs=_whole(place, "most_pairs", data.get("most_pairs", 2 * pairs)),
        series=series,
        branches=branches,
        units=units,
        kernel_git=kernel_git,
        lore=_text(place, "lore", data.get("lore")),
        mirror=_mirror(place, data.get("mirror")),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yamlfile.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read: {error.strerror}; kernels/nightly.yaml is an example"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise UserError(f"'{path}' is not a mapping of keys")
    return data


def _keys(place: str, data: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in data:
        if key not in known:
            raise UserError(f"{place}: unknown key '{key}'{nearest(str(key), known)}")


def _series(place: str, item: Any, bases: tuple[str, ...], folder: Path) -> FollowedSeries:
    """A word is a name of the registry or the id of a mail; a mapping says which it means."""
    if isinstance(item, str):
        item = {"message_id" if "@" in item else "series": item}
    if not isinstance(item, dict):
        raise UserError(f"{place} is {item}; it must be a name, a message-id or a mapping")
    item = {str(key).replace("-", "_"): value for key, value in item.items()}
    _keys(place, item, _SERIES)
    kinds = [key for key in ("series", "message_id", "change_id") if key in item]
    if len(kinds) != 1 and kinds != ["message_id", "change_id"]:
        raise UserError(f"{place}: give one of series, message_id and change_id")
    listed = _text(place, "series", item.get("series")) or ""
    if listed:
        registry.read(listed, registry=folder)
    message_id = _text(place, "message_id", item.get("message_id")) or ""
    if message_id and lore.parse(message_id) is None:
        raise UserError(f"{place}: '{message_id}' is neither a message-id nor the URL of a mail")
    change_id = _text(place, "change_id", item.get("change_id")) or ""
    since = _text(place, "from", item.get("from")) or ""
    if since and not re.fullmatch(r"(RFC-)?v[1-9]\d*", since):
        raise UserError(f"{place}: 'from' is '{since}'; it must be a revision like v3")
    called = item.get("name", listed or change_id or re.sub(r"[^\w.-]+", "-", message_id))
    return FollowedSeries(
        name=_slug(place, "name", called),
        listed=listed,
        message_id=message_id,
        change_id=change_id,
        since=since,
        bases=_texts(place, "bases", item["bases"]) if "bases" in item else bases,
    )


def _branch(place: str, item: Any, bases: tuple[str, ...], kernel_git: str | None) -> Branch:
    if not isinstance(item, dict):
        raise UserError(f"{place} is {item}; it must be a mapping with ref and bases")
    _keys(place, item, _BRANCH)
    ref = _text(place, "ref", item.get("ref"))
    git = _text(place, "git", item.get("git")) or kernel_git
    if not ref or not git:
        raise UserError(f"{place}: give 'ref', and 'git' (or 'kernel_git' for all branches)")
    try:
        check_revision(ref)
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    mine = _texts(place, "bases", item["bases"]) if "bases" in item else bases
    if AUTO in mine:
        raise UserError(f"{place}: a branch is not made on a base: give 'bases', like [v6.19]")
    name = item.get("name", ref.rpartition("/")[2])
    return Branch(_slug(place, "name", name), git, ref, mine)


def _units(place: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Experiment]]:
    """One back-end by one workload each, so that the order of a night goes by cells."""
    common = {key: data[key] for key in _SPEC if key in data}
    common.setdefault("pairs", PAIRS)
    # All settings at once: a mistake is said before the first of them is used.
    whole = spec.load(None, common, source=place)
    if "suites" not in data:
        for workload in whole.workloads:
            for backend in whole.backends:
                yield "", dataclasses.replace(whole, backends=(backend,), workloads=(workload,))
        return
    for key in ("backends", "workloads"):
        if key in data:
            raise UserError(f"{place}: suites and {key} were both given; use one of them")
    for name in _texts(place, "suites", data["suites"]):
        for group in suite.groups(name):
            for workload in group.workloads:
                for backend in group.backends:
                    yield (
                        name,
                        dataclasses.replace(
                            whole,
                            backends=(backend,),
                            workloads=(workload,),
                            preset=whole.preset or group.preset,
                            guest={**(whole.guest or {}), **group.guest} or None,
                        ),
                    )


def _list(place: str, key: str, data: Mapping[str, Any]) -> list[Any]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise UserError(f"{place}: '{key}' must be a list")
    return value


def _text(place: str, key: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{place}: '{key}' is {value}, which is no text; put it in quotes")
    return value.strip()


def _texts(place: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{place}: '{key}' must be a list with something in it")
    return tuple(str(_text(place, key, one)) for one in value)


def _slug(place: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
        raise UserError(f"{place}: '{key}' is '{value}'; letters, digits, '.', '_', '-' only")
    return value


def _mirror(place: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return _text(place, "mirror", value)
    return ":".join(_texts(place, "mirror", value))


def _seconds(place: str, value: Any) -> float:
    """8, "8h" and "30m": a bare number is hours."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hm]?)", str(value).strip())
    if not match or float(match[1]) <= 0:
        raise UserError(f"{place}: 'budget' is '{value}'; it must be hours, like 8h, or 30m")
    return float(match[1]) * _UNITS[match[2]]


def _whole(place: str, key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{place}: '{key}' is '{value}'; it must be a whole number from 1")
    return value
