# SPDX-License-Identifier: GPL-2.0-only
"""What a search for the responsible patch came to, in words and as data.  Runs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.report import layout, table
from harness.report.layout import listed, paragraphs, section
from harness.report.numbers import change, interval
from harness.report.table import Table, columns
from harness.results import record
from harness.results.manifest import UNKNOWN, ResultKind
from harness.stats.search import RISK, Side
from harness.studies.bisect.model import Bisection, Look
from harness.studies.result import StudyResult
from harness.util import atomic
from harness.util.errors import Exit, UserError

_SPREAD = 0.5
"""A patch with a smaller share of the whole effect is not the one to blame alone."""


def sentence(look: Look) -> str:
    """One answer as a line of progress."""
    if look.change is None and look.count is None:
        return f"patch {look.step.number} is skipped: {look.why}"
    like = {
        Side.BASE: "it is like the base",
        Side.SERIES: "it is like the whole series",
        Side.SKIP: "undecided, skipped",
    }[look.side]
    if look.change is None:
        return f"patch {look.step.number}: {look.count:.1f}: {like}"
    return f"patch {look.step.number}: {change(look.change)} {interval(look.change)}: {like}"


def render(found: Bisection) -> str:
    """bisect.txt: ASCII, at most 72 columns: the answer, each patch that was tested, the method."""
    head = f"Bisection '{found.name}': {found.facts['series']} on {found.facts['base']}"
    return layout.page(
        (
            paragraphs((head, *conclusion(found))),
            table.text(_counts(found.looks) if found.counts else _looks(found.looks)),
            section("How to read this", listed(_method(found))),
            section("How to repeat it", paragraphs([found.command])),
        )
    )


def as_data(found: Bisection) -> dict[str, Any]:
    """bisect.json: plain values; `read` undoes it."""
    return {
        **TypeAdapter(Bisection).dump_python(found, mode="json"),
        "suspects": list(found.found.suspects) if found.found else [],
        "culprit": asdict(found.culprit) if found.culprit else None,
        "share": found.share,
    }


def read(folder: Path) -> Bisection:
    """The search that results/<name>/bisect.json describes.  UserError if it holds no search."""
    data = record.read(folder, ResultKind.BISECT)
    try:
        return TypeAdapter(Bisection).validate_python(_upgraded(data))
    except (ValidationError, KeyError, TypeError) as error:
        raise UserError(f"'{folder / ResultKind.BISECT.record}' cannot be read: {error}") from error


def _upgraded(data: dict[str, Any]) -> dict[str, Any]:
    """A record of schema 1, which named only the patches that were looked at."""
    if data["schema"] > 1:
        return data
    looks = [{**one, **{key: _change(one[key]) for key in ("change", "halfway")}, "step": one}
             for one in data["looks"]]  # fmt: skip
    known = {one["number"]: one for one in (*looks, *filter(None, [data["culprit"]]))}
    blank = {"subject": UNKNOWN, "commit": UNKNOWN}
    suspects = data["suspects"]
    asked = [(one["number"], one["side"]) for one in looks]
    found = {"low": suspects[0] - 1, "high": suspects[-1], "asked": asked} if suspects else None
    return {
        **data,
        "facts": {key: data[key] for key in ("base", "version", "series", "title", "count")},
        "whole": _change(data["whole"]),
        "own": _change(data["own"]),
        "steps": [{"number": i, **blank, **known.get(i, {})} for i in range(1, data["count"] + 1)],
        "found": found,
        "looks": looks,
    }


def _change(one: dict[str, Any] | None) -> dict[str, Any] | None:
    """A change of schema 1, without its differences."""
    lacking = {"coverage": None, "p": None, "differences": ()}
    return {**one, **lacking, "estimate_pct": one["pct"]} if one else None


def make(folder: Path) -> StudyResult:
    """Write bisect.txt of results/<name> again from bisect.json.  Runs nothing."""
    found = read(folder)
    text = render(found)
    atomic.text(folder / "bisect.txt", text)
    status = Exit.OK if found.culprit else Exit.UNDECIDED
    return StudyResult(ResultKind.BISECT, folder, text, folder / "bisect.txt", status)


def conclusion(found: Bisection) -> Iterator[str]:
    """What the search came to, in sentences: the answer first."""
    one, own = found.culprit, found.own
    if found.found is None and found.counts:
        yield (
            "Nothing to search for: the whole series changes it by no more than twice "
            f"{found.counts.still:.1f}, of which nothing follows."
        )
    elif found.found is None:
        yield (
            "Nothing to search for: the interval of the whole series' effect covers zero with "
            f"{found.whole.n} pairs. More pairs (MOST_PAIRS=) may show an effect."
        )
    elif one:
        yield f'Patch {one.number} is the first responsible: "{one.subject}" ({one.commit[:12]}).'
    else:
        low, high = found.found.suspects[0], found.found.suspects[-1]
        yield f"Not pinned down: it is one of the patches {low} to {high}; see below."
    if own is not None and own.estimate_pct is not None:
        whose = "On its own it changes" if one else "Together they change"
        part = "" if found.share is None else f": {100 * found.share:.0f} % of the whole effect"
        yield f"{whose} {found.metric} by {change(own)} {interval(own)}, n = {own.n}{part}."
    if found.counts and found.found and found.share is not None:
        yield (
            f"{'On its own it changes' if one else 'Together they change'} {found.counts.what} by "
            f"{found.counts.change(found.found.high, found.found.low):+.1f}: "
            f"{100 * found.share:.0f} % of the whole effect."
        )
    if one and found.share is not None and found.share < _SPREAD:
        yield (
            "That is less than half: the effect is spread over several patches, and this is the "
            "one at which it passes the middle. 'make walk' shows what each patch adds."
        )
    if counts := found.counts:
        whole = counts.patches[len(found.steps)]
        yield (
            f"The whole series of {len(found.steps)} patches changes {counts.what}, for each "
            f"{counts.unit} of {counts.metric} in {found.cell}, from {counts.base:.1f} to "
            f"{whole:.1f}, {whole - counts.base:+.1f}."
        )
        return
    yield (
        f"The whole series of {len(found.steps)} patches changes {found.metric} in {found.cell} by "
        f"{change(found.whole)} {interval(found.whole)}, n = {found.whole.n}."
    )


def _looks(looks: Sequence[Look]) -> Table:
    heads = ("patch", "from base", "from half", "interval", "n", "like")
    return Table(
        "The patches that were tested",
        columns(*heads),
        tuple(
            (
                str(look.step.number),
                change(look.change) if look.change else "-",
                change(look.halfway) if look.halfway else "-",
                interval(look.halfway) if look.halfway else "-",
                str(look.halfway.n) if look.halfway else "0",
                look.side.value,
            )
            for look in looks
        ),
        tuple(f"Patch {look.step.number}: {look.why}" for look in looks if look.why),
    )


def _counts(looks: Sequence[Look]) -> Table:
    return Table(
        "The patches that were tested",
        columns("patch", "count", "like"),
        tuple(
            (
                str(look.step.number),
                "-" if look.count is None else f"{look.count:.1f}",
                look.side.value,
            )
            for look in looks
        ),
        tuple(f"Patch {look.step.number}: {look.why}" for look in looks if look.why),
    )


def _method(found: Bisection) -> Iterator[str]:
    if found.counts:
        yield (
            "One boot of each kernel under a plugin of QEMU counts it. A patch is like the series "
            "if its count lies beyond halfway between base and series, and undecided within "
            f"{found.counts.still:.1f} of that: so much changes by itself."
        )
    else:
        yield from _intervals(found)
    yield (
        f"{found.builds} patched kernels were built or tried, the whole series included (log2 of "
        f"{len(found.steps)} is {math.log2(len(found.steps)):.1f}), and {found.boots} boots run; "
        "those of the base are shared by all."
    )
    yield "The instruction clock does not see caches, TLB, lock contention or device time."


def _intervals(found: Bisection) -> Iterator[str]:
    yield (
        f"Intervals are at {100 * found.level:.2f} %, so that a whole search names a wrong patch "
        f"by chance in at most {100 * RISK:.0f} of 100."
    )
    yield (
        "'half' is halfway between base and series. A patch is like the series if its interval "
        "from there, pair by pair, lies on the series' side."
    )
