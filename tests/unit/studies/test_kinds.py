# SPDX-License-Identifier: GPL-2.0-only
"""Every kind of result can be reported, verified and bundled, or it is said why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.cli import main as cli
from harness.report import files
from harness.results import checksums, record
from harness.results.manifest import ResultKind
from harness.studies import bundle, kinds, verify
from harness.studies.calibrate.report import ALL_BACKENDS as SERIES
from harness.studies.reply import draft
from harness.util.errors import Exit, UserError
from tests.fakes import results as fake_results
from tests.fakes.results import SWAPIN, Fake


def test_no_kind_is_forgotten() -> None:
    assert set(kinds.KINDS) == set(ResultKind)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """A calibration whose weights are all there, sealed."""
    folder = tmp_path / "calibration"
    for series in SERIES:
        added = int(series.removeprefix("calibration-in")) if "-in" in series else 0
        fake = Fake(cells=("zram-lz4.pageio",), effect=1 + added / SWAPIN, scatter=1e-5)
        result = fake_results.write(tmp_path, fake)
        for boot in (result / "boots").glob("*/*"):
            checksums.boot(boot)
        checksums.raw(result)
        files.make(result)
        checksums.report(result)
        folder.mkdir(exist_ok=True)
        result.rename(folder / series)
    record.write(folder, ResultKind.CALIBRATE, {"name": folder.name, "series": SERIES})
    checksums.raw(folder)
    kinds.report(folder)
    return folder


def test_a_calibration_is_reported_verified_and_bundled(
    calibration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (calibration / "calibration.txt").read_text()
    (calibration / "calibration.txt").unlink()
    assert cli.main(["report", str(calibration)]) == Exit.OK
    assert capsys.readouterr().out == text
    assert cli.main(["verify", str(calibration)]) == Exit.OK
    capsys.readouterr()
    made = bundle.make([calibration])
    shutil.rmtree(calibration)
    assert cli.main(["verify", str(made.path)]) == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(SERIES)


def test_a_changed_study_is_named_and_neither_reported_nor_bundled(calibration: Path) -> None:
    (calibration / ResultKind.CALIBRATE.record).write_text('{"schema": 2, "kind": "calibrate"}')
    found = verify.verify(calibration)
    assert [item.place for item in found.recorded] == ["calibrate.json"] and not found.holds
    for act in (kinds.report, lambda folder: bundle.make([folder])):
        with pytest.raises(UserError, match=r"calibrate\.json.* changed"):
            act(calibration)


def test_a_changed_part_is_named(calibration: Path) -> None:
    boot = next((calibration / SERIES[1] / "boots").glob("*/00-base"))
    (boot / "workload.jsonl").write_text("")
    found = verify.verify(calibration)
    assert not found.recorded and not found.holds
    bad = next(part for part in found.parts if part.folder.name == SERIES[1])
    assert [item.place for item in bad.recorded] == [
        f"{boot.relative_to(bad.folder).as_posix()}/workload.jsonl"
    ]


def test_a_part_without_hashes_is_noted(calibration: Path) -> None:
    (calibration / SERIES[0] / checksums.NAME).unlink()
    found = verify.verify(calibration)
    assert any(SERIES[0] in note and "not checked" in note for note in found.notes)


def test_what_a_kind_has_not_is_said(calibration: Path) -> None:
    with pytest.raises(UserError, match="kind calibrate: its report has one format"):
        kinds.render(calibration, "csv")
    with pytest.raises(UserError, match="kind calibrate: a reply is drafted from one comparison"):
        draft.make(calibration)
