# SPDX-License-Identifier: GPL-2.0-only
"""case.yaml: what it must say, and what is said of a mistake in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.experiment import case
from harness.experiment.case import Sign
from harness.util.errors import UserError

GOOD: dict[str, Any] = {
    "title": "A case",
    "report": ["20260101000000.1-1-somebody@example.org"],
    "kernels": "v6.12",
    "reported": "Something was slow.",
    "spec": {"backends": ["zram"], "workloads": ["pageio"]},
    "seen": [{"metric": "swapin", "above": 5}],
}


def written(folder: Path, data: dict[str, Any], name: str = "slow") -> Path:
    (folder / name).mkdir()
    (folder / name / case.NAME).write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder


def test_a_case_is_settings_and_signs(tmp_path: Path) -> None:
    made = case.load("slow", folder=written(tmp_path, GOOD))
    one = made.experiment({"base": "v6.12", "pairs": 2})
    assert [cell.name for cell in one.cells()] == ["zram.pageio"] and one.schedule.pairs == 2
    assert made.seen[0].shown == "swapin above 5"


def test_a_program_of_a_case_is_in_its_folder(tmp_path: Path) -> None:
    spec = {"backends": ["zram"], "workloads": [{"./repro.c": {"memcg": "64M"}}]}
    folder = written(tmp_path, {**GOOD, "spec": spec, "seen": [{"console": "lock"}]})
    (folder / "slow" / "repro.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
    (cell,) = case.load("slow", folder=folder).experiment({}).cells()
    assert cell.workload.own and cell.workload.own.place == folder / "slow" / "repro.c"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spec": None}, "slow/case.yaml: needs 'spec' and 'seen', or 'cannot'"),
        ({"seen": []}, "needs 'spec' and 'seen', or 'cannot'"),
        ({"cannot": "needs arm64"}, "'cannot' stands in place of 'spec' and 'seen'"),
        ({"spec": {"patch": "x"}}, "'spec' has 'patch', which the run decides"),
        ({"spec": {"backends": ["zramm"]}}, "no back-end 'zramm'; did you mean 'zram'?"),
        ({"seen": [{"metric": "swapin"}]}, "'above' or 'below' a number"),
        ({"seen": [{"metric": "a", "console": "b", "above": 1}]}, "one of console, outcome"),
        ({"seen": [{"metric": "a", "above": 1, "below": 2}]}, "'above' or 'below' a number"),
        ({"seen": [{"console": "("}]}, "must be a regular expression"),
        ({"seen": [{"console": "x", "above": 1}]}, "'above' or 'below' a number"),
        ({"seen": [{"metric": "a", "over": "b", "above": 1}]}, "needs 'cell'"),
        (
            {"seen": [{"metric": "swapin", "cell": "zram.pageoi", "above": 1}]},
            "there is no cell 'zram.pageoi'; did you mean 'zram.pageio'?",
        ),
        ({"name": "x"}, "unknown key 'name'"),
        ({"home": "/"}, "unknown key 'home'"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_file(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    data = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(UserError) as caught:
        case.load("slow", folder=written(tmp_path, data))
    assert "workloads/cases/slow/case.yaml" in str(caught.value) and said in str(caught.value)


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no case 'slwo'; did you mean 'slow'"):
        case.chosen(["slwo"], folder=written(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("sign", "shown", "value", "holds"),
    [
        (
            Sign(metric="free", against="base", above=10),
            "change of free from base above 10 %",
            11,
            True,
        ),
        (
            Sign(metric="t", cell="a.b", over="c.b", below=0.5),
            "t in a.b / c.b below 0.5",
            0.5,
            False,
        ),
        (Sign(metric="swapin", above=12345), "swapin above 12345", 12346, True),
    ],
)
def test_a_sign_says_its_limit_and_holds_beyond_it(
    sign: Sign, shown: str, value: float, holds: bool
) -> None:
    assert sign.shown == shown and sign.holds(value) is holds


def test_a_message_id_is_an_address_and_an_address_stays() -> None:
    assert case.address("1@example.org") == "https://lore.kernel.org/all/1@example.org/"
    assert case.address("https://example.org/x@y") == "https://example.org/x@y"
