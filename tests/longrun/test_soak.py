# SPDX-License-Identifier: GPL-2.0-only
"""What the soak calls a leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.longrun import hosts, soak
from tests.longrun.soak import Reading

_STILL = Reading(0, 5, 20, 9, 300.0, 20000.0, 0.0, 3)


def test_what_stays_is_no_leak() -> None:
    looks = [replace(_STILL, boots=boots, rss=300.0 + boots) for boots in range(200)]
    parts = soak.tenths(looks)
    assert len(parts) == 10
    assert soak.risen(parts) == []


def test_one_file_more_every_fifty_boots_is_found() -> None:
    looks = [replace(_STILL, boots=boots, files=20 + boots // 50) for boots in range(200)]
    assert soak.risen(soak.tenths(looks)) == ["files rose from 20 to 23"]


def test_what_only_comes_and_goes_with_a_boot_is_no_leak() -> None:
    looks = [
        replace(_STILL, boots=boots, temporary=3 + look, processes=5 + look)
        for boots in range(200)
        for look in range(3)
    ]
    assert soak.risen(soak.tenths(looks)) == []


def test_a_report_that_says_something_else_is_found(tmp_path: Path) -> None:
    def report(name: str, change: str, verdict: str) -> Path:
        (tmp_path / name / "report").mkdir(parents=True)
        rows = f"primary,zram.pageio,{change},{verdict}\nsecondary,zram.pageio,9,\n"
        text = f"role,cell,change_pct,verdict\n{rows}"
        (tmp_path / name / "report" / "estimates.csv").write_text(text, encoding="utf-8")
        return tmp_path / name

    local = report("local", "0.98", "worse")
    assert hosts.differences(report("same", "1.00", "worse"), local)[1] == []
    assert len(hosts.differences(report("far", "1.08", "worse"), local)[1]) == 1
    assert len(hosts.differences(report("other", "0.98", "undecided"), local)[1]) == 1
