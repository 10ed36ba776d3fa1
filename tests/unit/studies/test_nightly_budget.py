# SPDX-License-Identifier: GPL-2.0-only
"""The order of a night, its budget, a night that is killed: comparisons are written, not run."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.build import pair
from harness.build.pair import Context
from harness.experiment.spec import Experiment
from harness.results.manifest import ResultKind
from harness.series.mail.lore import MailSource
from harness.studies import ability, compare
from harness.studies.nightly import agenda, config, measure, news, store
from harness.studies.nightly.config import Config
from harness.studies.nightly.job import Subject
from harness.studies.nightly.news import News
from harness.studies.nightly.store import NightlyComparison, StoredEstimate
from harness.studies.result import StudyResult
from harness.util.errors import Exit, InfraError
from harness.util.paths import REPO, Cache
from harness.util.sandbox import OFF
from tests.fakes import results as fake_results
from tests.fakes.results import Fake

POINTS = (
    Subject("toy", "series", "v2", "2026-01-02", "toy-v2", "", "v6.12", age=0),
    Subject("toy", "series", "v1", "2026-01-01", "toy-v1", "", "v6.12", age=1),
)
FILE = "series: [vswap]\nbackends: [zram, zswap]\nworkloads: [pageio]\npairs: 3\nbudget: 1h\n"


@dataclass
class Pretended:
    """Stands for compare.compare.

    effect: by folder of the point; seconds: what each takes after the first ``quick`` ones
    """

    effects: dict[str, float] = field(default_factory=dict)
    scatter: float = 0.0
    seconds: float = 0.0
    quick: int = 0
    kill_at: int = 0
    broken: str = ""
    ran: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, experiment: Experiment, context: Context, **_: Any) -> StudyResult:
        target = context.results / experiment.title
        place = f"{context.results.name}/{experiment.title}"
        self.ran.append((place, experiment.schedule.pairs))
        if len(self.ran) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if place == self.broken:
            raise InfraError("the disk is full")
        if len(self.ran) > self.quick:
            time.sleep(self.seconds)
        shutil.rmtree(target, ignore_errors=True)
        cell = experiment.cells()[0].name
        effect = self.effects.get(context.results.name, 1.0)
        fake = Fake(pairs=experiment.schedule.pairs, effect=effect, scatter=self.scatter, aa=True,
                    cells=(cell,))  # fmt: skip
        made = fake_results.write(context.results / "new", fake)
        made.rename(target)
        (context.results / "new").rmdir()
        return StudyResult(
            ResultKind.COMPARE,
            target,
            "",
            target / "report",
            Exit.WORSE if effect > 1.01 else Exit.OK,
            done=1,
        )


def pretend(monkeypatch: pytest.MonkeyPatch, points: tuple[Subject, ...], **more: Any) -> Pretended:
    """No kernel, no list: only the order of things."""
    made = Pretended(**more)
    monkeypatch.setattr(compare, "compare", made)
    monkeypatch.setattr(ability, "abilities", lambda _: [])
    monkeypatch.setattr(pair, "make", lambda *_: ({}, ()))
    monkeypatch.setattr(news, "look", lambda *_, **__: News(points, ()))
    return made


def asked(folder: Path, text: str = FILE) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nightly.yaml").write_text(text)
    return config.load(folder / "nightly.yaml", registry_folder=measure.REGISTRY)


def context(folder: Path) -> Context:
    mail_source = MailSource(cache=folder / "mails")
    return Context(Cache(folder / "cache"), folder / "results", OFF, mail_source)


# The order


def row(
    point: Subject, name: str, *, key: str = "k", status: int = 0, pairs: int = 3
) -> NightlyComparison:
    return NightlyComparison(
        1, key, point.subject, point.kind, point.revision, point.date, point.base, "",
        name, "f", pairs, 1, 60.0, status,
    )  # fmt: skip


def found(key: str, verdict: str, more: int | None = None) -> StoredEstimate:
    return StoredEstimate(
        1, key, "c", "m", "primary", "b", "w", "", "lower", 1.0, 1.0, 1.0, 3, 0.1, 0.0,
        0.2, verdict, "", more, None,
    )  # fmt: skip


def test_what_tells_most_comes_first(tmp_path: Path) -> None:
    asking = asked(tmp_path, FILE.replace("[zram, zswap]", "[zram, zswap, swapfile, brd]"))
    old, new = POINTS[1], dataclasses.replace(POINTS[0], revision="v3", patch="toy-v3")
    names = [f"{backend}.pageio" for backend in ("zram", "zswap", "swapfile")]
    past = [row(old, name, key=name) for name in names]
    said = [found(names[0], "equivalent"), found(names[1], "undecided"), found(names[2], "worse")]
    jobs = agenda.plan(asking, [POINTS[1], new], past, said)
    order = ["brd", "swapfile", "zswap", "zram"]
    assert [(job.point.revision, job.name.partition(".")[0]) for job in jobs] == [
        *(("v3", backend) for backend in order), *(("v1", backend) for backend in order),
    ]  # fmt: skip
    assert [job.why for job in jobs[:4]] == [
        "never measured", "moved last time", "undecided last time", "steady last time",
    ]  # fmt: skip


def test_what_is_undecided_gets_more_pairs_up_to_a_limit(tmp_path: Path) -> None:
    asking = asked(tmp_path)
    first = agenda.plan(asking, POINTS, [], [])
    assert [job.point.revision for job in first] == ["v2", "v2", "v1", "v1"]
    keys = {job.key for job in first}
    assert len(keys) == 4 and keys == {job.key for job in agenda.plan(asking, POINTS, [], [])}

    def again(*, pairs: int = 3, more: int | None = 2, status: int = 4) -> list[tuple[str, int]]:
        past = [row(job.point, job.name, key=job.key) for job in first[1:]]
        past.append(row(POINTS[0], first[0].name, key=first[0].key, pairs=pairs, status=status))
        jobs = agenda.plan(asking, POINTS, past, [found(first[0].key, "undecided", more)])
        return [(job.why, job.pairs) for job in jobs]

    assert again() == [("undecided: 5 pairs in all", 5)]
    assert again(more=500) == [("undecided: 6 pairs in all", 6)], "twice the pairs is the default"
    assert again(pairs=6, more=500) == [] and again(more=None) == []
    assert again(status=Exit.INFRA, more=None) == [("undecided last time", 3)], "tried again"


# The budget


def test_a_budget_that_runs_out_reports_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first has all the time that a busy machine may take; the second is cut off.
    fake = pretend(monkeypatch, POINTS, seconds=60, quick=1)
    asking = dataclasses.replace(asked(tmp_path), budget=6)
    begun = time.monotonic()
    done = measure.nightly(asking, context(tmp_path))
    assert time.monotonic() - begun < 30 and done.done == 1
    assert done.status is Exit.UNDECIDED, "what was not run has not passed"
    assert "NOT DONE: the budget was spent" in done.text and len(done.text.splitlines()) > 20
    begun_first = [place.split("/")[0] for place, _ in fake.ran[:2]]
    assert begun_first == ["toy-v2-on-v6.12"] * 2
    with store.opened(tmp_path / "results/nightly" / store.NAME) as history:
        ended = history.nights()[0]
        assert (ended.state, ended.left_over) == ("budget spent", 4 - done.done)
    junit = (tmp_path / "results/nightly/report/junit.xml").read_text()
    assert junit.count("the budget was spent") == 4 - done.done
    fake.seconds = 0
    rest = measure.nightly(dataclasses.replace(asking, budget=3600), context(tmp_path))
    assert rest.done == 4 - done.done and rest.status is Exit.OK


def test_what_would_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = pretend(monkeypatch, POINTS[:1])
    measure.nightly(asked(tmp_path), context(tmp_path))
    with store.opened(tmp_path / "results/nightly" / store.NAME) as history:
        history._base.execute("update comparisons set seconds = 9000 where name like 'zram%'")
        history._base.commit()
    fake.ran.clear()
    new = dataclasses.replace(POINTS[0], revision="v3", patch="toy-v3")
    monkeypatch.setattr(news, "look", lambda *_, **__: News((new,), ()))
    done = measure.nightly(asked(tmp_path), context(tmp_path))
    assert [place for place, _ in fake.ran] == ["toy-v3-on-v6.12/zswap.pageio"]
    assert done.status is Exit.UNDECIDED


# Killed


SCRIPT = """
import sys
from pathlib import Path
import pytest
from tests.unit.studies import test_nightly_budget as us
folder, at = Path(sys.argv[1]), int(sys.argv[2])
with pytest.MonkeyPatch.context() as patch:
    fake = us.pretend(patch, us.POINTS, kill_at=at)
    done = us.measure.nightly(us.asked(folder), us.context(folder))
    print(done.done, int(done.status), *(place for place, _ in fake.ran))
"""


def call(folder: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", SCRIPT, str(folder), str(kill_at)]
    return subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=False)


def test_a_night_that_is_killed_goes_on(tmp_path: Path) -> None:
    killed = call(tmp_path, 3)
    assert killed.returncode == -signal.SIGKILL
    plan = agenda.read(tmp_path / "results/nightly" / agenda.NAME)
    assert plan is not None and [job.state for job in plan.jobs] == ["done", "done", "todo", "todo"]
    again = call(tmp_path, 0)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split()[:2] == ["2", "0"]
    assert [place.split("/")[0] for place in again.stdout.split()[2:]] == ["toy-v1-on-v6.12"] * 2
    with store.opened(tmp_path / "results/nightly" / store.NAME) as history:
        nights, rows = history.nights(), history.comparisons()
        assert [one.state for one in nights] == ["whole"] and len(rows) == 4
        assert {one.night for one in rows} == {1}
    assert not (tmp_path / "results/nightly" / agenda.NAME).exists()
    assert "4 of 4 comparisons done" in " ".join(
        (tmp_path / "results/nightly/report/trend.txt").read_text().split()
    )


def test_an_open_night_of_another_file_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = pretend(monkeypatch, POINTS)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure.nightly(asked(tmp_path), context(tmp_path))
    monkeypatch.setattr(compare, "compare", fake)
    other = asked(tmp_path, FILE.replace("[zram, zswap]", "[zram]"))
    assert measure.nightly(other, context(tmp_path)).done == 2
    with store.opened(tmp_path / "results/nightly" / store.NAME) as history:
        assert [one.state for one in history.nights()] == ["replaced", "whole"]


def test_a_machine_at_fault_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = pretend(monkeypatch, POINTS[:1], broken="toy-v2-on-v6.12/zram.pageio")
    done = measure.nightly(asked(tmp_path), context(tmp_path))
    assert done.status is Exit.INFRA and "INFRA: toy-v2-on-v6.12: the disk is full" in done.text
    fake.broken = ""
    done = measure.nightly(asked(tmp_path), context(tmp_path))
    assert (done.status, done.done) == (Exit.OK, 1)


# The trend


def test_the_trend_marks_where_the_level_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = tuple(
        Subject("toy", "series", f"v{n}", f"2026-01-{n:02d}", f"toy-v{n}", "", "v6.12", age=9 - n)
        for n in range(1, 10)
    )
    # Nothing is exactly the same twice.
    effects = {one.folder: (1.002 if n < 6 else 1.05) + 0.0004 * (n % 3)
               for n, one in enumerate(points, 1)}  # fmt: skip
    pretend(monkeypatch, points, effects=effects, scatter=0.0005)
    done = measure.nightly(asked(tmp_path), context(tmp_path))
    assert done.status is Exit.WORSE
    words = " ".join(done.text.split())
    assert words.count("At v6 the level moved here from +0.26% to +5.04%") == 2
    lines = done.text.splitlines()
    assert max(map(len, lines)) <= 72 and done.text.isascii()
    page = (tmp_path / "results/nightly/report/trend.html").read_text()
    assert page.count("level moved here") >= 4 and "At v6 the level moved here" in page
