# SPDX-License-Identifier: GPL-2.0-only
"""The walks of several arms side by side: walk.txt with a block for each arm.  Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.report import layout, table
from harness.report.layout import capped, listed, paragraphs, section
from harness.report.table import Table, heading_row
from harness.results import record as records
from harness.results.manifest import ResultKind
from harness.studies.walk import analysis, text
from harness.studies.walk.analysis import Walk

_FEWEST = 2
"""Rows of each arm on the first screen, at least."""


@dataclass(frozen=True, slots=True)
class ArmWalks:
    """A walk of several arms.  each: by arm; what: the kernel and switch of each, a clause."""

    name: str
    command: str
    each: Mapping[str, Walk]
    what: Mapping[str, str]

    @property
    def some(self) -> Walk:
        """Any of them: base and patches are those of all."""
        return next(iter(self.each.values()))


def is_several(folder: Path) -> bool:
    """Whether a walk is one of several arms.  UserError where it is no walk."""
    return bool(analysis.named(records.read(folder, ResultKind.WALK)))


def analyse(folder: Path) -> ArmWalks:
    """Read results/<name> of a walk of several arms.  UserError as `analysis.analyse`."""
    data = records.read(folder, ResultKind.WALK)
    arms = data["arms"]
    return ArmWalks(
        str(data["name"]),
        str(data["command"]),
        {
            str(one["name"]): analysis.analyse(folder / one["folder"], family=len(arms))
            for one in arms
        },
        {str(one["name"]): str(one["what"]) for one in arms},
    )


def render(found: ArmWalks) -> str:
    """The whole text: the answer, each metric at each patch, what was lost, the method."""
    failed = [one[: text.LONG] for one in failures(found)]
    blocks: list[Iterable[str]] = [
        *_answer(found),
        section("Arms", listed(f"{name}: {what}" for name, what in found.what.items())),
        table.text(_joined(found, lambda walk: [text.stops(walk)])),
        *(table.text(one) for one in metrics(found)),
        *(table.text(one) for one in _each(found, lambda walk: [*text.changed(walk)])),
        *(
            table.text(one)
            for one in _each(found, lambda walk: [text.memory(one) for one in walk.memory])
        ),
        section(
            "What failed", listed(capped(failed, text.LISTED, ": see the report of each patch"))
        ),
        section("How to read this", listed(text.method(found.some))),
        section("Where the rest is", paragraphs(_rest(found))),
    ]
    return layout.page(blocks)


def summary(found: ArmWalks) -> str:
    """The answer on one screen: what failed first, then the patches that change something."""
    return layout.page(_answer(found))


def failures(found: ArmWalks) -> list[str]:
    """What failed of each arm; once what failed of the base, which several share."""
    said = ((name, one) for name, walk in found.each.items() for one in text.failures(walk))
    shared = {one for walk in found.each.values() for one in walk.lost}
    return list(dict.fromkeys(one if one in shared else f"{name}: {one}" for name, one in said))


def said(found: ArmWalks) -> Iterator[str]:
    """What was tried of each arm, and what its changes came to."""
    for name, walk in found.each.items():
        yield f"{name}: {text.outcome(walk)}"
    yield from capped(
        [one[: text.SHORT] for one in failures(found)], text.FAILURES, " failures: see below"
    )
    for name, walk in found.each.items():
        yield f"{name}: {text.conclusion(walk)}"


def _answer(found: ArmWalks) -> list[list[str]]:
    some = found.some
    names = ", ".join(found.each)
    title = (
        f"Walk '{found.name}': {some.title}, patch by patch on {some.base} ({some.version}), "
        f"arms {names}"
    )
    doubts = dict.fromkeys(one for walk in found.each.values() for one in walk.doubts)
    head = list(paragraphs((title, *said(found), *doubts)))
    left = layout.SCREEN - len(head) - 4 - len(found.each)
    most = max(left // len(found.each), _FEWEST)
    return [head, table.text(own_changes(found, most))]


def own_changes(found: ArmWalks, most: int) -> Table:
    """Of each arm, the own changes that have a verdict of worse or better, or the largest."""
    return _joined(found, lambda walk: [text.own_changes(walk, most)])


def metrics(found: ArmWalks) -> list[Table]:
    """What each patch changes of a metric, a block for each arm."""
    return _each(found, lambda walk: [text.metric(walk, line) for line in walk.lines])


def _each(found: ArmWalks, tables: Callable[[Walk], Sequence[Table]]) -> list[Table]:
    """For each title, one table with a block for each arm that has one."""
    made = {name: {_topic(one): one for one in tables(walk)} for name, walk in found.each.items()}
    topics = dict.fromkeys(topic for one in made.values() for topic in one)
    return [
        _blocks({name: one[topic] for name, one in made.items() if topic in one})
        for topic in topics
    ]


def _topic(one: Table) -> str:
    """What a table is of: its title up to what only that arm has."""
    return one.title.partition(";")[0]


def _joined(found: ArmWalks, tables: Callable[[Walk], Sequence[Table]], title: str = "") -> Table:
    """One table with a block for each arm."""
    return _blocks({name: tables(walk)[0] for name, walk in found.each.items()}, title)


def _blocks(each: Mapping[str, Table], title: str = "") -> Table:
    first = next(iter(each.values()))
    notes = dict.fromkeys(note for one in each.values() for note in one.notes)
    shared = [note for note in notes if all(note in one.notes for one in each.values())]
    own = [
        f"{name}: {note}" for name, one in each.items() for note in one.notes if note not in shared
    ]
    width = len(first.columns)
    rows: list[tuple[str, ...]] = []
    for name, one in each.items():
        is_alike = title or one.title == first.title
        rows += [heading_row(name if is_alike else f"{name}: {one.title}", width), *one.rows]
    return Table(title or first.title, first.columns, tuple(rows), (*shared, *own))


def _rest(found: ArmWalks) -> Iterator[str]:
    yield (
        f"Each arm has a walk of its own, {', '.join(found.each)}, folders here, with its 95 % "
        "intervals; each patch in it has a results folder, patch-NN, with a report; 'make verify' "
        "checks all. Values: walk.csv. Waterfalls: walk.html."
    )
    yield f"To repeat it: {found.command}"
