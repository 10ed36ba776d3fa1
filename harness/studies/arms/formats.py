# SPDX-License-Identifier: GPL-2.0-only
"""A study of arms in the format that another program, a web page or a CI system reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from harness.report import formats, layout
from harness.report.formats import JunitCase
from harness.report.numbers import change, interval
from harness.report.table import markdown, marked
from harness.stats.verdict import Kind
from harness.studies.arms import report, text
from harness.studies.arms.analysis import ArmEffect, ArmStudy

_BAD = {Kind.WORSE: "failure", Kind.UNDECIDED: "skipped", Kind.NONE: "skipped"}


def render(study: ArmStudy, name: str) -> str:
    """A result of `make compare ARMS=` in the format called `name`."""
    if name == "text":
        return text.render(study)
    if name == "csv":
        return report.values(study)
    if name == "json":
        return formats.json_text(_data(study))
    if name == "junit":
        return formats.junit(study.name, list(_cases(study)))
    blocks = [[f"# {marked(study.name)}"], [f"**{marked(line)}**  " for line in text.said(study)]]
    for role in ("primary", "secondary"):
        table = text.metrics(study, role)
        blocks += [[f"## {marked(table.title)}"], markdown(table)] if table.rows else []
    return layout.page(blocks)


def _data(study: ArmStudy) -> dict[str, Any]:
    return {
        "schema": formats.SCHEMA,
        "name": study.name,
        "clock": study.clock,
        "opening": text.said(study),
        "base": study.base,
        "compilers": study.compilers,
        "reference": study.reference,
        "level_pct": study.level,
        "pairs": study.pairs,
        "arms": [dataclasses.asdict(one) for one in study.arms],
        "metrics": [
            {**dataclasses.asdict(line), "effects": [_effect(one) for one in line.effects]}
            for line in study.lines
        ],
        "failures": list(study.lost),
        "command": study.command,
    }


def _effect(one: ArmEffect) -> dict[str, Any]:
    found = one.verdict
    return {
        "arm": one.arm, "reference": one.reference, "before": one.before, "median": one.median,
        "change": dataclasses.asdict(found.change), "verdict": one.said, "reason": found.reason,
    }  # fmt: skip


def _cases(study: ArmStudy) -> Iterator[JunitCase]:
    """Worse is a failure, a failed arm or boot an error; what is undecided has not passed."""
    for arm in study.failed:
        yield JunitCase(arm.name, "arm", "error", arm.failure)
    for line in study.primary:
        for one in (one for one in line.effects if one.judged):
            found = one.verdict
            said = f"{found.kind}: {change(found.change)} {interval(found.change)}"
            said += f" against {one.reference}, n = {found.change.n}"
            bad = _BAD.get(found.kind, "")
            yield JunitCase(f"{one.arm}.{line.cell}", line.metric, bad, said, found.reason)
    for arm in study.arms:
        for text_of in arm.lost:
            yield JunitCase(arm.name, "boot", "error", text_of)
    for text_of in study.lost:
        yield JunitCase(study.bases[0], "boot", "error", text_of)
