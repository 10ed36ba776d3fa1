# SPDX-License-Identifier: GPL-2.0-only
"""Several vCPUs under the instruction clock: which figures their common clock leaves valid.

QEMU runs the vCPUs in turn in one thread; a turn lasts until the next timer, or until the vCPU
halts or spins in PAUSE.  The instructions of all of them advance one clock.  So an elapsed time
is what all CPUs executed, and exact; a task's CPU time, its latency and its stalls have in them
what other CPUs executed meanwhile, and are no figures of that task.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

_OF_A_TASK = (
    "cpu", "user", "system", "server_cpu", "stall", "longest_stall", "latest_wakeup",
    "bench_p50", "bench_p95", "bench_p99", "bench_max",
    "init", "throughput", "throughput_per_process", "free_time_per_process",
    "slowest", "fairness",
)  # fmt: skip


def valid(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The frames of `frames.Frames` by name, without what is no figure where vCPUs run in turn."""
    names = tables["raw_metrics"]["name"].astype(str)
    is_of_a_task = names.isin(_OF_A_TASK) | names.str.endswith("_cpu")
    return {
        **tables,
        "raw_metrics": tables["raw_metrics"][~is_of_a_task],
        "hists": tables["hists"].iloc[:0],
        "phases": tables["phases"].assign(cpu_ns=float("nan")),
    }
