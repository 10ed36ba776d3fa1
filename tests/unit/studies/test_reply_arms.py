# SPDX-License-Identifier: GPL-2.0-only
"""The mail that answers a series which was measured as several arms."""

from __future__ import annotations

from typing import Any

import pytest

from harness.build.pair import Context
from harness.cli import main as cli
from harness.experiment import spec
from harness.experiment.spec import Experiment
from harness.report import table
from harness.studies import bundle, verify
from harness.studies.arms import analysis, text
from harness.studies.arms import measure as arms
from harness.studies.reply import draft
from harness.util.errors import UserError
from tests.fakes.figures import Guests

TWO = {"one": {"patch": "v6.12..one"}, "both": {"patch": "v6.12..main"}}
PROOF = {"file": "/proc/vmstat", "key": "x", "above": 0, "when": "done"}


def experiment(**more: Any) -> Experiment:
    given = {"base": "v6.12", "patch": "v6.12..main", "backends": "zram", "workloads": "pageio"}
    return spec.load(None, {**given, "name": "mine", **more})


@pytest.mark.parametrize("long", [False, True])
def test_all_arms_are_in_one_mail_and_verified(
    context: Context, fake: Guests, capsys: pytest.CaptureFixture[str], long: bool
) -> None:
    folder = arms.arms(experiment(arms=TWO), context).folder
    assert cli.main(["reply", str(folder), *(["--long=yes"] if long else [])]) == 0
    mail = capsys.readouterr().out
    lines = mail.splitlines()
    assert mail.isascii() and max(map(len, lines)) <= 72 and (long or len(lines) <= 60)
    head, _, body = mail.partition("\n\n")
    assert "Subject: swap: " in head
    assert not [
        one for one in body.splitlines() if one.startswith((" ", ">")) or one != one.rstrip()
    ]
    said = " ".join(body.split())
    assert said.startswith(
        "Swap performance of one, both against base, git:v6.12 (6.12.3-harness), in fresh QEMU "
        "guests. worse: 2, better: 0, equivalent: 0, undecided: 0. Against base: primary metrics"
    )
    # The table is that of arms.txt.
    found = text.metrics(analysis.analyse(folder), "primary")
    assert [row[0] for row in found.rows[1:]] == ["base", "control", "one", "both"]
    assert set(table.text(found)) <= set(lines)
    assert ("other metrics" in body) is long
    assert "The 2 comparisons of one cell and metric are a family" in said
    assert "make repeat RESULT=mine.tar.zst KERNEL_GIT=../linux" in body
    assert "one-series.mbox" in said and "both-series.mbox" in said
    assert verify.verify(folder).holds
    with bundle.unpacked(bundle.make([folder]).path) as (there,):
        path = there / draft.NAME
        path.write_text(path.read_text().replace("+10.0", "+11.0"))
        assert not verify.verify(there).holds


def test_a_failed_arm_is_the_first_thing_said(context: Context, fake: Guests) -> None:
    fake.unproven = ("both",)
    switched = {**TWO, "both": {**TWO["both"], "proof": PROOF}}
    folder = arms.arms(experiment(arms=switched), context).folder
    body = draft.make(folder).partition("\n\n")[2]
    assert body.split("\n\n")[1].startswith("FAILED ARM both: ")
    with pytest.raises(UserError, match="the reply of several arms takes no OVERHEAD="):
        draft.make(folder, overhead=folder)


def test_one_arm_is_no_family(context: Context, fake: Guests) -> None:
    folder = arms.arms(experiment(arms={"one": TWO["one"]}), context).folder
    said = " ".join((folder / "report/arms.txt").read_text().split())
    assert "Each cell and metric has one comparison, with an interval of 95 %." in said
    assert "1 comparisons" not in said and "Bonferroni" not in said
