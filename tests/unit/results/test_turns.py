# SPDX-License-Identifier: GPL-2.0-only
"""What is left of a boot's figures where its vCPUs run in turn."""

from __future__ import annotations

import pandas as pd

from harness.results import turns


def test_figures_of_single_processes_go_and_those_of_all_stay() -> None:
    names = ["access", "free", "slowest", "fairness", "access_cpu"]
    tables = {
        "raw_metrics": pd.DataFrame({"name": names, "value": [1.0] * 5}),
        "hists": pd.DataFrame({"hist": ["h"]}),
        "phases": pd.DataFrame({"cpu_ns": [5.0]}),
        "boots": pd.DataFrame({"cell": ["zram.usemem"]}),
    }
    left = turns.valid(tables)
    assert list(left["raw_metrics"]["name"]) == ["access", "free"]
    assert left["hists"].empty and left["phases"]["cpu_ns"].isna().all()
    assert left["boots"] is tables["boots"]
