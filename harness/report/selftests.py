# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests on both kernels: what passed on base and fails on patch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.report.model import Regression, Tested
from harness.results import pairing
from harness.results.frames import CONTROL, Frames
from harness.results.ktap import Result
from harness.results.manifest import Manifest

_LOG_LINES = 20
_BAD = {Result.FAIL, Result.LOST}
# The gravest of what a test came to in several boots stands for all of them.
_GRAVEST = (Result.LOST, Result.FAIL, Result.SKIP, Result.XFAIL, Result.PASS)
_RUNNER = "selftests: "


def gather(data: Frames, manifest: Manifest) -> tuple[Tested, ...]:
    """One entry for each cell whose boots ran the kernel's own tests."""
    cells: dict[str, list[Any]] = {}
    for row in pairing.rows(data.tests):
        cells.setdefault(str(row.cell), []).append(row)
    unbuilt = tuple(_unbuilt(manifest))
    return tuple(_cell(cell, rows, unbuilt) for cell, rows in sorted(cells.items()))


def _cell(cell: str, rows: list[Any], unbuilt: tuple[str, ...]) -> Tested:
    base, patch = (_by_name(rows, arms) for arms in (("base", CONTROL), ("patch",)))
    worse = [name for name in patch if _regressed(base.get(name, []), patch[name])]
    # A program fails because a test in it does: told is that test.
    told = [name for name in worse if not any(other.startswith(f"{name} > ") for other in worse)]
    return Tested(
        cell=cell,
        counts=(("base", _counts(base)), ("patch", _counts(patch))),
        regressions=tuple(_regression(cell, name, base, patch) for name in sorted(told)),
        changes=tuple(_changes(base, patch, set(worse))),
        unbuilt=unbuilt,
    )


def _by_name(rows: Iterable[Any], arms: tuple[str, ...]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        if row.arm in arms:
            found.setdefault(str(row.name).removeprefix(_RUNNER), []).append(row)
    return found


def _regressed(base: list[Any], patch: list[Any]) -> bool:
    return (
        bool(base)
        and all(row.result == Result.PASS for row in base)
        and any(row.result in _BAD for row in patch)
    )


def _regression(
    cell: str, name: str, base: Mapping[str, list[Any]], patch: Mapping[str, list[Any]]
) -> Regression:
    mine = patch[name]
    bad = [row for row in mine if row.result in _BAD]
    first = bad[0]
    log = first.log
    outer = name.rpartition(" > ")[0]
    if not log and outer:
        # It said nothing itself; what its program printed is all there is.
        log = next((row.log for row in patch.get(outer, ()) if row.pair == first.pair), ())
    return Regression(
        cell=cell,
        test=name,
        base=len(base[name]),
        failed=len(bad),
        patch=len(mine),
        directive=str(first.directive),
        boot=f"{first.pair:02d}-{first.arm}",
        log=tuple(log[-_LOG_LINES:]),
    )


def _gravest(rows: Iterable[Any]) -> Result:
    seen = {row.result for row in rows}
    return next(result for result in _GRAVEST if result in seen)


def _counts(tests: Mapping[str, list[Any]]) -> str:
    """ "12 pass, 1 fail, 3 skip": tests without tests of their own, the gravest of all boots."""
    found = Counter(_gravest(rows) for rows in tests.values() if not any(row.inner for row in rows))
    return ", ".join(f"{found[result]} {result}" for result in reversed(_GRAVEST) if found[result])


def _changes(
    base: Mapping[str, list[Any]], patch: Mapping[str, list[Any]], worse: set[str]
) -> Iterator[str]:
    """Tests that came to something else and are no regression, one sentence each."""
    for name in sorted((base.keys() | patch.keys()) - worse):
        one, other = (_told(tests.get(name, [])) for tests in (base, patch))
        if one != other:
            yield f"{name}: base {one}, patch {other}"


def _told(rows: list[Any]) -> str:
    found = Counter(str(row.result) for row in rows)
    if len(found) > 1:
        return " and ".join(f"{count} x {result}" for result, count in sorted(found.items()))
    return next(iter(found), "does not have it")


def _unbuilt(manifest: Manifest) -> Iterator[str]:
    for arm, tests in sorted(manifest.selftests.items()):
        for test, reason in sorted(tests.missing.items()):
            yield f"{arm}: {test} is not built: {reason}"
