# SPDX-License-Identifier: GPL-2.0-only
"""arms.txt: ASCII, at most 72 columns: failed arms first, then each metric with every arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.report import layout, table
from harness.report.layout import capped, listed, paragraphs, section
from harness.report.model import no_verdict
from harness.report.numbers import change, interval, number
from harness.report.table import Table, columns, heading_row
from harness.stats.verdict import Kind
from harness.studies.arms.analysis import BASE, ArmStudy, MetricLine

_LISTED, _LONG, _SHORT = 40, 300, 200
_BETTER = {"lower": "; less is better", "higher": "; more is better"}
INSN = "The instruction clock does not see caches, TLB, lock contention or device time."


def render(study: ArmStudy) -> str:
    """The whole text: failed arms, primary metrics, the others, what was lost, the method."""
    return layout.page(
        (
            *_answer(study),
            section("Arms", listed(described(study))),
            table.text(metrics(study, "secondary")),
            section("What failed", listed(capped([one[:_LONG] for one in lost(study)], _LISTED))),
            section("How to read this", listed(_method(study))),
            section("Where the rest is", paragraphs(_rest(study))),
        )
    )


def summary(study: ArmStudy) -> str:
    """The answer on one screen."""
    return layout.page(_answer(study))


def lost(study: ArmStudy) -> list[str]:
    """The boots that failed, a sentence each."""
    return [*study.lost, *(text for one in study.arms for text in one.lost)]


def said(study: ArmStudy) -> list[str]:
    """The first lines: what failed, the verdicts, what was compared."""
    return [*outcome(study), f"Arms of '{study.name}' on {study.base} ({study.version})"]


def outcome(study: ArmStudy) -> list[str]:
    """What failed, and the verdicts."""
    found = [f"FAILED ARM {one.name}: {one.failure[:_SHORT]}" for one in study.failed]
    hurt = [one.name for one in study.arms if one.lost and not one.failure]
    if study.lost or hurt:
        names = [BASE, *hurt] if study.lost else hurt
        found.append(f"Boots failed of {', '.join(names)}: see below.")
    return [*found, _verdicts(study)]


def _answer(study: ArmStudy) -> list[list[str]]:
    return [list(paragraphs(said(study))), table.text(metrics(study, "primary"))]


def _verdicts(study: ArmStudy) -> str:
    found = study.verdicts
    if not found:
        return "No arm has a value of a primary metric."
    counts = Counter(one.kind for one in found)
    if counts[Kind.NONE] == len(found):
        return no_verdict(found)
    kinds = [Kind.WORSE, Kind.BETTER, Kind.EQUIVALENT, Kind.UNDECIDED]
    kinds += [Kind.NONE] if counts[Kind.NONE] else []
    return ", ".join(f"{kind}: {counts[kind]}" for kind in kinds) + "."


def metrics(study: ArmStudy, role: str) -> Table:
    """Every arm against the reference, one row each, below its cell and metric."""
    primary = role == "primary"
    judged = ("verdict",) if primary else ()
    heads = ("arm", "median", "change", f"{study.level:.3g} % interval", "n", *judged)
    rows: list[tuple[str, ...]] = []
    for line in (one for one in study.lines if one.role == role):
        rows.append(heading_row(_heading(line), len(heads)))
        rows.append((study.reference, number(line.median), *[""] * (len(heads) - 2)))
        for one in line.effects:
            own = one.verdict.change
            row = [one.arm, number(one.median), change(own), interval(own), str(own.n)]
            rows.append(tuple([*row, one.said] if primary else row))
    title = f"Against {study.reference}: {'primary' if primary else 'other'} metrics"
    return Table(title, columns(*heads), tuple(rows))


def _heading(line: MetricLine) -> str:
    return f"{line.cell} {line.metric}, {line.unit or 'no unit'}{_BETTER.get(line.direction, '')}"


def described(study: ArmStudy) -> Iterator[str]:
    """What each base and arm is, one line each."""
    for name, compiler in study.compilers.items():
        yield f"{name}: {study.base}, version {study.version}{_compiled(compiler)}"
    several = len(study.bases) > 1
    for one in study.arms:
        yield f"{one.name}: {one.what}{f', on {one.base}' if several else ''}"


def _compiled(compiler: str) -> str:
    return f", compiled by {compiler}" if compiler else ""


def _method(study: ArmStudy) -> Iterator[str]:
    if others := study.bases[1:]:
        yield (
            f"{' and '.join(others)}: the tree of base by another compiler, with its own control. "
            "Against base, an arm is compared with the base of its own compiler, and that one with "
            "base: it is no arm and has no verdict."
        )
    yield (
        f"A block boots {BASE}, control ({BASE} again) and every arm once, in random order with "
        f"one guest seed. Each arm is compared with {study.reference} pair by pair."
    )
    yield family(study)
    yield (
        "Verdicts follow the rule of any comparison, at that level, with the noise of base "
        "against control."
        if study.has_control
        else "Base was not compared with itself (A/A), so there are no verdicts, only numbers."
    )
    yield (
        "An arm that does not apply, build, take its switch or show the proof that it ran is a "
        "failed arm: no figure of it is given."
    )
    if study.clock == "insn":
        yield INSN


def family(study: ArmStudy) -> str:
    """How the error of several comparisons is accounted for."""
    if study.family == 1:
        return "Each cell and metric has one comparison, with an interval of 95 %."
    return (
        f"The {study.family} comparisons of one cell and metric are a family: each is made at "
        f"{study.level:.4g} %, so that all of them err in at most one of twenty (Bonferroni). The "
        f"report of each arm has its own 95 % intervals against {BASE}."
    )


def _rest(study: ArmStudy) -> Iterator[str]:
    yield f"Command: {study.command}"
    folders = [one.folder for one in study.arms if one.folder]
    yield f"Each arm against {BASE}, with its boots: {', '.join(folders) or 'none'}, folders here."
    yield "Every number: report/arms.csv. Any two arms: REFERENCE= of make report."
