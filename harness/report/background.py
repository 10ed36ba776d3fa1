# SPDX-License-Identifier: GPL-2.0-only
"""What ran in the phases of a workload beside its processes, where all instructions are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from harness.results import pairing
from harness.results.collected import BOOT
from harness.results.frames import ARMS, Frames
from harness.results.pairing import Counted

_PHASE = [*BOOT, "name", "round"]
_NUMBER = re.compile(r"[/:].*$")
"""Of a thread's name, what tells CPUs and work queues apart: kworker/u2:1-flush is a kworker."""


@dataclass(frozen=True, slots=True)
class PhaseLoad:
    """One arm's boots in one phase of one cell; medians over boots, per round, in instructions.

    busy: all that the guest executed; program: CPU time of the workload's processes
    sampler: time that its samples inside of the phase took
    threads: CPU time of kernel threads between the phase's marks, most first.  The marks lie
        outside of the phase, so that may be more than what is inside.
    """

    cell: str
    phase: str
    arm: str
    busy: float
    program: float
    sampler: float
    threads: tuple[tuple[str, float], ...]

    @property
    def beside(self) -> float:
        """All but the workload: the idle task with the interrupts that it takes, kernel
        threads, other programs, the sampler."""
        return self.busy - self.program


def gather(data: Frames, used: Counted, workload: str) -> tuple[PhaseLoad, ...]:
    """The counted phases of a workload; empty where nothing was counted."""
    counted = data.phases["busy_ns"].notna() & data.phases["cpu_ns"].notna()
    phases = data.phases[(data.phases["workload"] == workload) & counted]
    phases = pairing.kept(phases, used)
    phases = phases[~phases["name"].str.startswith("hist_") & phases["arm"].isin(ARMS)]
    if phases.empty:
        return ()
    threads = _threads(data, workload)
    found = []
    for (cell, phase, arm), group in phases.groupby(["cell", "name", "arm"], sort=True):
        mine = _medians(group, ["busy_ns", "cpu_ns", "sampler_ns"])
        beside = threads[
            (threads["cell"] == cell) & (threads["phase"] == phase) & (threads["arm"] == arm)
        ]
        spent = beside.groupby("thread")["value"].median().sort_values(ascending=False)
        found.append(
            PhaseLoad(
                cell=str(cell),
                phase=str(phase),
                arm=str(arm),
                busy=mine["busy_ns"],
                program=mine["cpu_ns"],
                sampler=mine["sampler_ns"],
                threads=tuple((str(name), float(value)) for name, value in spent.items()),
            )
        )
    return tuple(found)


def _medians(group: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """Over boots, of the means over rounds."""
    means = group.groupby(BOOT, observed=True)[names].mean().fillna(0)
    return {name: float(means[name].median()) for name in names}


def _threads(data: Frames, workload: str) -> pd.DataFrame:
    """CPU time of each kernel thread that spent any: one row a boot, phase and name, per round."""
    rows = data.deltas[
        (data.deltas["probe"] == "kthreads")
        & (data.deltas["workload"] == workload)
        & (data.deltas["value"] > 0)
    ]
    rows = rows.assign(thread=rows["key"].astype(str).str.replace(_NUMBER, "", regex=True))
    keys = [*BOOT, "phase", "thread"]
    rounds = rows.groupby([*keys, "round"], observed=True)["value"].sum().reset_index()
    return rounds.groupby(keys, observed=True)["value"].mean().reset_index()
