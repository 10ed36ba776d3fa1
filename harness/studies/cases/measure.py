# SPDX-License-Identifier: GPL-2.0-only
"""``make cases``: each case on each kernel, a comparison for each pair of kernels."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.build import pair
from harness.build.pair import Context, KernelPair
from harness.experiment import case
from harness.experiment.case import ReportedCase
from harness.experiment.spec import Experiment
from harness.results import checksums, record
from harness.results.manifest import ResultKind
from harness.run import identity
from harness.studies import compare
from harness.studies.cases import report, trial
from harness.studies.cases.trial import Trial
from harness.studies.compare import Boots
from harness.studies.result import StudyResult, sealed
from harness.util.errors import Exit, HarnessError, KernelFailure, UserError

_log = logging.getLogger(__name__)

PAIRS = 1
"""Boots of each kernel: a report is seen or not, and under the instruction clock a figure of one
boot is good to parts in ten thousand."""


@dataclass(frozen=True, slots=True)
class CasesRequest:
    """What is asked for.

    kernels: names of kernels and series; cases: names, empty for all
    name: of the result; more: settings of all comparisons; folder: where the cases are
    """

    kernels: tuple[str, ...]
    cases: tuple[str, ...] = ()
    name: str = "cases"
    more: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = case.FOLDER


def cases(asked: CasesRequest, context: Context) -> StudyResult:
    """Run what is missing of all comparisons, then judge each case on each kernel.

    A case that a kernel cannot run is no failure.  Raises the harness's typed errors; UserError
    for a kernel or a case that is not there.
    """
    chosen = case.chosen(asked.cases, folder=asked.folder)
    if not asked.kernels:
        raise UserError("cases needs KERNELS=, e.g. KERNELS='debian/6.12 v6.19 vswap-v3'")
    if twice := next((one for one in asked.kernels if asked.kernels.count(one) > 1), None):
        raise UserError(f"KERNELS names '{twice}' twice")
    folder = context.results / asked.name
    identity.claimed(folder, ResultKind.CASES)
    more = {**asked.more, "pairs": asked.more.get("pairs") or PAIRS, "aa": False}
    run = _Cases(dataclasses.replace(context, results=folder), more)
    trials, failures = trial.plan(asked.kernels, more, context)
    groups: dict[tuple[str, ...], list[ReportedCase]] = {}
    for one in chosen:
        if not one.cannot:
            groups.setdefault(_built_with(one, more), []).append(one)
    # That of most cases, with nothing on top, first; those with lockdep last.
    for _, group in sorted(groups.items(), key=lambda item: (len(item[0]), item[0])):
        for each in trials:
            run.run(group, each)
    facts = {
        "name": folder.name,
        "command": _command(asked),
        "kernels": list(asked.kernels),
        "failures": failures,
        "cases": [_facts(one, run.done.get(one.name, [])) for one in chosen],
    }
    record.write(folder, ResultKind.CASES, facts)
    made = sealed(folder, report.make)
    return dataclasses.replace(made, done=run.boots)


def _built_with(one: ReportedCase, more: Mapping[str, Any]) -> tuple[str, ...]:
    """What its kernels have on top, but for what its cells need: others get that, too."""
    kernels = one.experiment(more).kernels
    return (*kernels.config, *kernels.fragments, kernels.cc)


def _command(asked: CasesRequest) -> str:
    words = [f"KERNELS='{' '.join(asked.kernels)}'"]
    words += [f"CASES='{' '.join(asked.cases)}'"] if asked.cases else []
    return " ".join(["make cases", *words])


def _facts(one: ReportedCase, ran: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A case as it was, so that its result is read without the folder of the case."""
    signs = [
        {key: value for key, value in dataclasses.asdict(sign).items() if value not in (None, ())}
        for sign in one.seen
    ]
    said = {"title": one.title, "report": list(one.report), "kernels": one.kernels}
    told = {"reported": one.reported, "scaled": one.scaled, "cannot": one.cannot}
    return {"name": one.name, **said, **told, "seen": signs, "trials": list(ran)}


class _Cases:
    """The comparisons so far.

    done: by case, what the record says of each trial; boots: that this call ran
    """

    def __init__(self, context: Context, more: Mapping[str, Any]) -> None:
        self._context, self._more = context, more
        self.done: dict[str, list[dict[str, Any]]] = {}
        self.boots = 0

    def run(self, group: Sequence[ReportedCase], each: Trial) -> None:
        """Some cases of one configuration on two kernels, which are built once for all."""
        experiments = {one.name: one.experiment({**self._more, **each.settings}) for one in group}
        needed = {
            name
            for one in experiments.values()
            for cell in one.cells()
            for name in cell.backend.fragments
        }
        kernels = ", ".join(each.arms)
        _log.info(f"{kernels}: {', '.join(experiments)}")
        try:
            first, *_ = experiments.values()
            own = first.kernels.fragments
            wanted = (*sorted(needed - {*own}), *own)
            planned = pair.plan(each.trees, first.changed(fragments=wanted), self._context)
            made = planned.build()
        except (KernelFailure, UserError) as error:
            _log.warning(f"{kernels}: {error}")
            for name in experiments:
                self._note(name, each, failure=error)
            return
        for name, one in experiments.items():
            label = f"{name}.{each.name}"
            self._compare(name, one.changed(fragments=wanted, name=label), each, made)

    def _compare(self, name: str, one: Experiment, each: Trial, made: KernelPair) -> None:
        _log.info(f"case {name} on {', '.join(each.arms)}")
        try:
            boots = Boots(made=made, alone=True)
            with compare.measured(one, self._context, boots) as (folder, ran):
                compare.report(folder)
                checksums.report(folder)
        except (KernelFailure, UserError) as error:
            _log.warning(f"{name}: {error}")
            self._note(name, each, failure=error)
            return
        self.boots += ran.done
        self._note(name, each, folder=folder.name)

    def _note(
        self, name: str, each: Trial, *, folder: str = "", failure: HarnessError | None = None
    ) -> None:
        is_kernel = failure is not None and failure.status is Exit.KERNEL
        self.done.setdefault(name, []).append(
            {
                "folder": folder,
                "kernels": dict(each.arms),
                "has_series": "patch" in each.settings,
                "failure": str(failure or ""),
                "is_kernel_failure": is_kernel,
            }
        )
