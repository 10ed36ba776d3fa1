# SPDX-License-Identifier: GPL-2.0-only
"""``make cases`` on toy kernels: which kernels are booted together, and what a case comes to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.build.pair import Context
from harness.experiment import case
from harness.experiment.case import Sign
from harness.experiment.settings import Host
from harness.studies import kinds, repeat, verify
from harness.studies.cases import finding, trial
from harness.studies.cases.finding import Seen
from harness.studies.cases.measure import CasesRequest, cases
from harness.util.errors import Exit, UserError
from tests.fakes import guests, inbox, tree
from tests.fakes.figures import Guests

HEAVY = "v6.12+v6.12..main"


def folder(root: Path, **cases_given: dict[str, Any]) -> Path:
    """A folder of cases; each has what a case must say."""
    for name, more in cases_given.items():
        said = {"title": "T", "report": ["1@example.org"], "kernels": "all", "reported": "Slow."}
        spec = {"spec": {"backends": ["zram"], "workloads": ["pageio"]}}
        place = root / "cases-of-test" / name
        place.mkdir(parents=True)
        data = said | ({} if "cannot" in more else spec) | more
        (place / case.NAME).write_text(yaml.safe_dump(data), encoding="utf-8")
    return root / "cases-of-test"


def table(result: Path) -> dict[tuple[str, str], str]:
    with (result / "report/cases.csv").open(encoding="utf-8", newline="") as lines:
        return {(row["case"], row["kernel"]): row["result"] for row in csv.DictReader(lines)}


def test_each_kernel_is_booted_once_a_case_and_judged_by_its_own_boots(
    context: Context, fake: Guests, tmp_path: Path
) -> None:
    place = folder(
        tmp_path,
        dear={"seen": [{"metric": "swapin", "above": 10_700}]},
        dearer={"seen": [{"metric": "swapin", "against": "base", "above": 10}]},
        never={"cannot": "needs pages of 64K"},
    )
    kernels = ("v6.12", "v6.13", HEAVY)
    done = cases(CasesRequest(kernels, folder=place), context)
    assert table(done.folder) == {
        ("dear", "v6.12"): "not seen",
        ("dear", "v6.13"): "seen",
        ("dear", HEAVY): "seen",
        ("dearer", "v6.12"): "cannot",
        ("dearer", "v6.13"): "cannot",
        ("dearer", HEAVY): "seen",
        ("never", "v6.12"): "cannot",
        ("never", "v6.13"): "cannot",
        ("never", HEAVY): "cannot",
    }
    # v6.12 is the base of the series and serves itself; v6.13 is booted with what is left: itself.
    # The boots of one cell serve both cases.
    assert done.status is Exit.WORSE and "needs pages of 64K" in done.text
    assert f"{HEAVY} shows what its base does not: dear, dearer." in " ".join(done.text.split())
    assert "https://lore.kernel.org/all/1@example.org/" in done.text
    assert verify.verify(done.folder).holds
    assert kinds.report(done.folder).text == done.text


def test_what_the_base_shows_too_is_not_the_doing_of_a_second_series(
    context: Context, fake: Guests, tmp_path: Path
) -> None:
    """The base is in the column of one trial, and was booted beside each series."""
    place = folder(tmp_path, old={"seen": [{"metric": "swapin", "above": 9_000}]})
    kernels = ("v6.12", "v6.12+v6.12..v6.13", HEAVY)
    done = cases(CasesRequest(kernels, folder=place), context)
    assert set(table(done.folder).values()) == {"seen"} and done.status is Exit.OK
    assert done.text.startswith("No series shows a case that its base does not show.")
    assert len(fake.ran) == 3
    alone = cases(CasesRequest((HEAVY,), folder=place, name="alone"), context)
    assert alone.status is Exit.OK


def test_the_same_call_again_boots_nothing(context: Context, fake: Guests, tmp_path: Path) -> None:
    place = folder(tmp_path, dear={"seen": [{"metric": "swapin", "above": 10_700}]})
    request = CasesRequest(("v6.12", HEAVY), folder=place)
    cases(request, context)
    before = len(fake.ran)
    again = cases(request, context)
    assert len(fake.ran) == before == 2 and again.done == 0


def test_kernels_without_a_series_are_booted_in_pairs(context: Context, fake: Guests) -> None:
    inbox.git(Path(str(context.kernel_git)), "tag", "v6.14", "main")
    kernels = ("v6.12", "v6.13", "v6.14", "v6.13+v6.13..v6.14")
    trials, failures = trial.plan(kernels, {}, context)
    assert not failures
    assert [dict(one.arms) for one in trials] == [
        {"v6.12": "base", "v6.14": "patch"},
        {"v6.13": "base", "v6.13+v6.13..v6.14": "patch"},
    ]
    ((alone,), _) = trial.plan(("v6.13",), {}, context)
    assert dict(alone.arms) == {"v6.13": "base"}


def test_a_kernel_that_does_not_survive_has_failed_and_its_base_has_not(
    tmp_path: Path, fake: Guests
) -> None:
    repo = guests.series(tmp_path / "linux", ["int panics;"])
    place = folder(
        tmp_path,
        dear={"seen": [{"metric": "swapin", "above": 9_000}]},
        dies={"seen": [{"outcome": ["panic"]}]},
    )
    request = CasesRequest(("v6.12", HEAVY), folder=place)
    done = cases(request, guests.context(tmp_path, repo))
    found = table(done.folder)
    assert found[("dear", "v6.12")] == "seen" and found[("dear", HEAVY)] == "failed"
    assert found[("dies", "v6.12")] == "not seen" and found[("dies", HEAVY)] == "seen"
    assert "failed: panic: Kernel panic" in " ".join(done.text.split())


def test_a_patch_that_does_not_compile_fails_in_its_own_column(
    tmp_path: Path, fake: Guests
) -> None:
    repo = guests.series(tmp_path / "linux", ["#error no"])
    place = folder(tmp_path, dear={"seen": [{"metric": "swapin", "above": 9_000}]})
    request = CasesRequest((HEAVY,), folder=place)
    done = cases(request, guests.context(tmp_path, repo))
    assert table(done.folder) == {("dear", HEAVY): "failed"}
    assert done.status is Exit.KERNEL and not fake.ran


@pytest.mark.parametrize(
    ("kernels", "chosen", "said"),
    [
        ((), (), "cases needs KERNELS="),
        (("v6.12", "v6.12"), (), "KERNELS names 'v6.12' twice"),
        (("v6.12",), ("slwo",), "no case 'slwo'; did you mean 'slow'"),
        (("v6.99",), (), "v6.99"),
    ],
)
def test_a_mistake_is_told_before_anything_is_built(
    context: Context,
    fake: Guests,
    tmp_path: Path,
    kernels: tuple[str, ...],
    chosen: tuple[str, ...],
    said: str,
) -> None:
    place = folder(tmp_path, slow={"seen": [{"metric": "swapin", "above": 1}]})
    with pytest.raises(UserError, match=said):
        cases(CasesRequest(kernels, chosen, folder=place), context)
    assert not fake.ran


def test_a_line_of_the_console_shows_a_case(context: Context, fake: Guests, tmp_path: Path) -> None:
    place = folder(tmp_path, lock={"seen": [{"console": "possible recursive locking"}]})
    done = cases(CasesRequest(("v6.12", HEAVY), folder=place), context)
    assert set(table(done.folder).values()) == {"not seen"} and done.status is Exit.OK
    (result,) = (path.parent for path in done.folder.glob("*/manifest.json"))
    boot = result / "boots/zram.pageio/00-patch"
    (boot / finding.CONSOLE).write_text("[ 1.0] WARNING: possible recursive locking detected\n")
    ran = {
        "folder": result.name, "kernels": {"v6.12": "base", HEAVY: "patch"},
        "has_series": True, "failure": "", "is_kernel_failure": False,
    }  # fmt: skip
    sign = Sign(console="possible recursive locking")
    found = finding.find(done.folder, ran, HEAVY, [sign])
    assert found.seen is Seen.SEEN and found.said.endswith("possible recursive locking detected")
    assert finding.find(done.folder, ran, "v6.12", [sign]).seen is Seen.NOT_SEEN


def test_the_whole_is_not_repeated_and_says_what_is(
    context: Context, fake: Guests, tmp_path: Path
) -> None:
    place = folder(tmp_path, dear={"seen": [{"metric": "swapin", "above": 10_700}]})
    done = cases(CasesRequest(("v6.12", HEAVY), folder=place), context)
    with pytest.raises(UserError, match="repeat one of its comparisons"):
        repeat.experiment(done.folder, Host())


def test_a_case_has_kernels_with_the_options_that_it_asks_for(tmp_path: Path, fake: Guests) -> None:
    repo = guests.series(tmp_path / "linux", [])
    tree.write(repo, {"Kconfig": f'{tree.KCONFIG}config COSTS_500\n\tbool "Costs 500 a page"\n'})
    inbox.git(repo, "commit", "-q", "-a", "-m", "mm: an option")
    inbox.git(repo, "tag", "v6.13")
    seen = [{"metric": "swapin", "above": 10_250}]
    spec = {"backends": ["zram"], "workloads": ["pageio"]}
    place = folder(
        tmp_path, with_it={"seen": seen, "spec": {**spec, "config": ["COSTS_500=y"]}},
        without={"seen": seen},
    )  # fmt: skip
    done = cases(CasesRequest(("v6.13",), folder=place), guests.context(tmp_path, repo))
    assert table(done.folder) == {("with_it", "v6.13"): "seen", ("without", "v6.13"): "not seen"}
