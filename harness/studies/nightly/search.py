# SPDX-License-Identifier: GPL-2.0-only
"""Which patch moved a line: the command that finds it, and a night that runs it by itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from harness.build.pair import Context
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.run import manifest
from harness.source.gitnames import CLONE
from harness.studies.arms import choice
from harness.studies.bisect import measure as bisect
from harness.studies.bisect import outcome
from harness.studies.nightly import moves
from harness.studies.nightly.job import Job
from harness.studies.nightly.moves import Move
from harness.studies.nightly.store import NightlyComparison, Search
from harness.util.errors import HarnessError, InfraError, UserError

_PAIRS = 3
"""Of boots to begin with; the search adds more where it needs them."""


def asked(job: Job, past: Iterable[NightlyComparison], place: str) -> str:
    """What the history keeps of how a job was measured, as JSON.

    base, patch, git: what the search is over: the series, or the commits of a branch since the
    head that was measured before; spec: as `Job` has it; command: the search, without METRIC=
    place: the folder of its result below results/
    """
    base, patch = job.point.base, job.point.patch
    if job.point.head:
        heads = [one for one in past if _line(one) == job.line and one.key != job.key]
        base = heads[-1].revision if heads else base
        # Before the first head there is only a tag; a package has no commits to search.
        is_commit = bool(heads) or not re.search("[/:~]", base)
        patch = f"{base}..{job.point.head}" if is_commit else ""
    facts: dict[str, Any] = {"base": base, "patch": patch, "git": job.point.git}
    facts["spec"] = dict(job.spec)
    facts["command"] = _command(facts, place) if patch else ""
    return json.dumps(facts, sort_keys=True)


def _command(facts: Mapping[str, Any], place: str) -> str:
    try:
        one = _experiment(facts, "the plan of the night")
    except UserError:
        return ""  # nor could it be measured
    words = manifest.repeat_command(one, "bisect", git=CLONE if ".." in facts["patch"] else "")
    return words.replace(f"SPEC=results/{one.title}/", f"SPEC=results/{place}/")


def _line(one: NightlyComparison) -> tuple[str, str, str, str]:
    return (one.subject, one.base, one.suite, one.name)


def _experiment(facts: Mapping[str, Any], source: str, name: str | None = None) -> Experiment:
    given = dict(facts["spec"])
    given |= {"base": facts["base"], "patch": facts["patch"], "pairs": _PAIRS, "name": name}
    return spec.load(None, given, source=source)


def run(move: Move, context: Context, night: int) -> Search:
    """Search for the patch, below the night's folder; goes on with a search that was cut off.

    What cannot be searched is an answer, too.  Raises InfraError, which may pass.
    """
    begun, name = time.monotonic(), f"bisect-{move.id}"
    facts = moves.asked(move.at)
    context = replace(context, kernel_git=facts["git"] or context.kernel_git)
    try:
        one = choice.single(_experiment(facts, "the history", name), context, "bisect")
        done = bisect.bisect(one, move.line.metric, context)
    except InfraError:
        raise
    except HarnessError as error:
        return Search(move.id, night, int(error.status), None, "", str(error), name, 0.0)
    found = outcome.read(done.folder)
    culprit = found.culprit
    return Search(
        move.id, night, int(done.status), culprit.number if culprit else None,
        culprit.subject if culprit else "", next(iter(outcome.conclusion(found))), name,
        round(time.monotonic() - begun, 1),
    )  # fmt: skip


def wanted(found: Iterable[Move], explained: Iterable[str]) -> list[Move]:
    """What a night is to search for: moves that nobody explained and nobody searched yet."""
    known = set(explained)
    return [one for one in found if one.command and not one.search and one.id not in known]
