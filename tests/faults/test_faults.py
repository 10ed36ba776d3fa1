# SPDX-License-Identifier: GPL-2.0-only
"""The fault matrix with comparisons that are played: it tells what holds from what does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.util.paths import REPO, Cache
from tests.fakes import comparison, qemu
from tests.faults import happened, matrix, room, same
from tests.faults.happened import Happened, Reference
from tests.faults.room import Ground, Room
from tests.faults.table import ExpectedOutcome, Fault

pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
DONE = (0, 3, 4)


def fault(
    by: str,
    *,
    name: str = "row",
    again: str = "same",
    status: Any = DONE,
    says: str = "",
    **more: Any,
) -> Fault:
    """A row of a table; ``more`` are its settings."""
    status = status if isinstance(status, tuple) else (status,)
    return Fault(
        name, "something breaks", by, ExpectedOutcome(5.0, status, "", says, (), again), more
    )


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("PATH", qemu.install(tmp_path / "qemu", {"exit": 0}))
    program = (sys.executable, str(Path(comparison.__file__)))
    monkeypatch.setattr(Room, "program", program)
    return Ground("debian/6.12", "no", Cache(tmp_path / "cache" / "swap-harness"))


@pytest.fixture
def reference(tmp_path: Path, ground: Ground) -> Iterator[Reference]:
    with Room(tmp_path / "undisturbed", ground) as place:
        assert place.compare().wait(30) in DONE
    yield Reference(place.results / room.CELL, 2 * comparison.BOOT_S)


def run(row: Fault, tmp_path: Path, ground: Ground, reference: Reference) -> matrix.FaultResult:
    done = matrix.run_row(row, tmp_path / "row", ground, reference)
    assert not list((tmp_path / "row").glob("tools-*.img"))
    return done


INTERRUPT: dict[str, Any] = {
    "target": "harness",
    "signals": ["INT"],
    "status": 130,
    "says": "run the same command",
}


@pytest.mark.parametrize(
    "row",
    [
        fault("signal", **INTERRUPT),
        fault("signal", **{**INTERRUPT, "signals": ["TERM"]}),
        fault("kills", times=2),
        fault("second", status=2, says="another comparison is writing"),
    ],
    ids=["interrupt", "terminate", "kills", "second"],
)
def test_a_sound_harness_holds(
    row: Fault,
    tmp_path: Path,
    ground: Ground,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if row.by == "second":
        monkeypatch.setenv("FAKE_COMPARISON", json.dumps({"hold": str(tmp_path / "hold")}))
    done = run(row, tmp_path, ground, reference)
    assert (done.held, done.faults) == ("yes", ())
    assert done.happened and "figures as undisturbed" in done.happened.notes[-1]


@pytest.mark.parametrize(
    ("row", "how", "words"),
    [
        (fault("signal", **INTERRUPT), {"half": True}, "half a result"),
        (fault("signal", **INTERRUPT), {"orphan": True}, "still runs"),
        (fault("signal", **{**INTERRUPT, "status": 6}), {}, "the command ended with 130"),
        (fault("signal", **{**INTERRUPT, "says": "good bye"}), {}, "nothing says 'good bye'"),
        (fault("kills", times=1), {"orphan": True}, "outlived the harness"),
        (fault("kills", times=1), {"noise": 2.0}, "swapin 0: 102 and not 100"),
    ],
)
def test_what_does_not_hold_is_found(
    row: Fault,
    how: dict[str, Any],
    words: str,
    tmp_path: Path,
    ground: Ground,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_COMPARISON", json.dumps(how))
    monkeypatch.setattr("tests.faults.ends._QUIET", 0.5)
    monkeypatch.setattr("tests.faults.ends._EARLY", 0.1)
    done = run(row, tmp_path, ground, reference)
    assert done.held == "NO" and any(words in sentence for sentence in done.faults), done.faults


def _namespaces() -> bool:
    argv = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="no user name spaces here")
def test_a_disk_that_fills_up_and_is_emptied(
    tmp_path: Path, ground: Ground, reference: Reference
) -> None:
    row = fault("full", status=6, says="No space left", place="results", size="8M")
    done = run(row, tmp_path, ground, reference)
    assert (done.held, done.faults) == ("yes", ())
    assert "2 boots, 4 figures" in (done.happened or Happened(0, 0)).notes[-1]
    assert not (tmp_path / "row" / "results" / "cell").exists(), "it was on the small disk"


def test_a_fault_that_cannot_be_brought_about_is_not_run(
    tmp_path: Path, ground: Ground, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.hosts._small_disk", _refuse)
    done = run(fault("full", place="results", size="8M"), tmp_path, ground, reference)
    assert done.held == "not run" and "none here" in done.faults[0]
    assert matrix.Matrix(tmp_path, (done,)).status == 4


def _refuse(*_: object) -> None:
    raise OSError("none here")


def test_the_table_is_written_after_each_row(
    tmp_path: Path, ground: Ground, monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
) -> None:
    def undisturbed(folder: Path, _: Ground) -> Reference:
        with Room(folder, ground) as place:
            place.compare().wait(30)
        return Reference(place.results / room.CELL, 1.0)

    monkeypatch.setattr(matrix, "undisturbed", undisturbed)
    rows = (fault("kills", times=1), fault("signal", name="other", **{**INTERRUPT, "status": 6}))
    done = matrix.run(rows, ground, tmp_path / "results")
    assert [row.held for row in done.rows] == ["yes", "NO"] and done.status == 6
    text = (done.folder / "faults.txt").read_text(encoding="utf-8")
    assert text == matrix.text(done) and "1 of 2 faults" in text and "DOES NOT HOLD" in text
    data = json.loads((done.folder / "faults.json").read_text(encoding="utf-8"))
    assert data["held"] is False and [row["held"] for row in data["rows"]] == ["yes", "NO"]
    assert "fault 2/2 other: something breaks" in heard.text


# The judge


GOOD = Happened(5, 1.0, "panic", "in boot: Kernel panic", "words", ("console.log",))
ROW = Fault("r", "w", "guest", ExpectedOutcome(2.0, (5,), "panic", "Kernel", ("console.log",)), {})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, ""),
        ({"status": 0}, "ended with 0"),
        ({"outcome": "hang"}, "'hang'"),
        ({"detail": "nothing"}, "nothing says"),
        ({"seconds": 2.1}, "noticed after 2.1 s"),
        ({"kept": ()}, "console.log was not kept"),
        ({"words": "Traceback (most recent"}, "traceback"),
        ({"faults": ("own",)}, "own"),
    ],
)
def test_each_expectation_is_judged(change: dict[str, Any], word: str) -> None:
    values = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    found = list(matrix.judge(ROW, Happened(**{**values, **change})))
    assert len(found) == bool(change) and (not change or word in found[0])


def test_two_results_are_held_against_each_other(reference: Reference, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(reference.folder, copy)
    assert same.compare(copy, reference.folder).faults == ()
    output = copy / "boots" / "zram.pageio" / "00-base" / "workload.jsonl"
    text = output.read_text(encoding="utf-8")
    output.write_text(text.replace("100.0", "100.9"), encoding="utf-8")
    like = same.compare(copy, reference.folder)
    assert like.faults == () and like.largest == pytest.approx(0.9 / 100.9)
    output.write_text(text.replace("100.0", "102.0").replace('"bad": 0', '"bad": 1'))
    assert len(same.compare(copy, reference.folder).faults) == 2
    output.write_text(text.splitlines()[1])
    assert "in one of the two only" in same.compare(copy, reference.folder).faults[0]
    shutil.rmtree(copy / "boots")
    assert same.compare(copy, reference.folder).faults == ("there is no boot",)
    assert happened.first_boot(copy) is None and (REPO / "harness").is_dir()
