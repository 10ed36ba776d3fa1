# SPDX-License-Identifier: GPL-2.0-only
"""The body of an answer to a mailed series that was measured as several arms.

See `parts` for what a line must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.report import layout
from harness.report.layout import Block
from harness.results.manifest import UNKNOWN, Manifest
from harness.studies.arms import text
from harness.studies.arms.analysis import BASE, ArmStudy
from harness.studies.reply import parts
from harness.studies.reply.parts import Evidence, bullets, lined, titled, wrap

_FAILURES, _LONG = 8, 300


def body(
    study: ArmStudy,
    arms: Mapping[str, Manifest],
    evidence: Sequence[Evidence],
    *,
    long: bool = False,
) -> str:
    """The whole body; ``arms`` are the manifests of those that have one.

    long: with the other metrics and what was lost
    """
    blocks = _blocks(study, arms, evidence, long=long)
    return layout.page([line.rstrip() for line in block] for block in blocks)


def derived(said: str, study: ArmStudy) -> list[str]:
    """The lines with numbers that a mail which ``said`` so has of a study."""
    others = lined(text.metrics(study, "secondary"))
    long = bool(others) and f"\n{others[0]}\n" in said
    blocks = _derived(study, long=long)
    return [line for block in blocks for line in block if any(c.isdigit() for c in line)]


def _blocks(
    study: ArmStudy, arms: Mapping[str, Manifest], evidence: Sequence[Evidence], *, long: bool
) -> Iterator[Block]:
    base = next((one.arm(BASE) for one in arms.values()), None)
    on = parts.called(base) if base and base.name != UNKNOWN else study.base
    names = ", ".join(one.name for one in study.arms)
    yield wrap(
        f"Swap performance of {names} against {study.reference}, {on} ({study.version}), in fresh "
        "QEMU guests."
    )
    yield from _derived(study, long=long)
    yield wrap(text.family(study))
    yield wrap(text.INSN) if study.clock == "insn" else []
    yield list(bullets(_compared(study, arms)))
    yield ["To repeat it:", *parts.repeat([study.command], evidence)]
    made = evidence[0].made.partition(",")[0]
    yield [*parts.proof(evidence), *wrap(f"Tables made with {made}.")]


def _derived(study: ArmStudy, *, long: bool) -> Iterator[Block]:
    """The blocks whose numbers follow from the raw files: failures first, then the verdicts."""
    yield [line for one in text.outcome(study) for line in wrap(one)]
    yield lined(text.metrics(study, "primary"))
    if long:
        yield lined(text.metrics(study, "secondary"))
        lost = [one[:_LONG] for one in text.lost(study)]
        yield titled("Excluded boots", bullets(layout.capped(lost, _FAILURES)))


def _compared(study: ArmStudy, arms: Mapping[str, Manifest]) -> Iterator[str]:
    """What each arm is, and each series once, by its message-id."""
    yield from text.described(study)
    said = dict.fromkeys(
        line
        for one in arms.values()
        for series in filter(None, [one.arm("patch").series])
        for line in parts.series(series)
    )
    yield from said
