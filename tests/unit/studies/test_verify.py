# SPDX-License-Identifier: GPL-2.0-only
"""`verify` names every change to a result; seals cannot be renewed by accident."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli import main as cli
from harness.report import files
from harness.results import checksums
from harness.studies import verify
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"
BOOT = f"boots/{CELL}/00-base"
FAKE = Fake(pairs=3, scatter=0.003, cells=(CELL,), outcomes={(CELL, 1, "patch"): "panic"})


def _finish(results: Path) -> None:
    """What a comparison does to its folder, without a kernel."""
    (results / "experiment.json").write_text("{}\n")
    for folder in (results / "boots").glob("*/*"):
        if not (folder / checksums.NAME).exists():
            checksums.boot(folder)
    checksums.raw(results)
    files.make(results)
    checksums.report(results)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write(tmp_path_factory.mktemp("finished"), FAKE)
    _finish(results)
    return results


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "demo"))


def _paths(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _places(results: Path) -> list[str]:
    return [item.place for item in (*checksums.raw_differences(results), *_report(results))]


def _report(results: Path) -> tuple[checksums.FileDifference, ...]:
    return checksums.report_differences(results)


def _flip(path: Path, at: int, mask: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= mask
    path.write_bytes(data)


def test_a_clean_result_holds_and_is_not_written_to(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [finished, *finished.rglob("*")]}
    found = verify.verify(finished)
    assert found.holds and found.notes == ()
    assert found.files == len(_paths(finished)) - 1
    assert "byte for byte" in found.text() and found.text().count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in [finished, *finished.rglob("*")]} == before


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs sha256sum of coreutils")
def test_sha256sum_itself_agrees(results: Path) -> None:
    argv = ["sha256sum", "--strict", "--check", "--quiet", checksums.NAME]
    for folder in (results, results / BOOT):
        subprocess.run(argv, cwd=folder, check=True)
    _flip(results / BOOT / "console.log", 5, 1)
    for folder in (results, results / BOOT):
        assert subprocess.run(argv, cwd=folder, check=False, capture_output=True).returncode == 1


def test_a_flipped_byte_in_any_file_is_named(finished: Path) -> None:
    draw = random.Random(3)
    names = _paths(finished)
    assert {"manifest.json", "experiment.json", "report/report.txt", checksums.NAME} <= set(names)
    for name in names:
        path = finished / name
        whole = path.read_bytes()
        # The comment is no claim on a file; a note shows it.
        first = whole.index(b"\n") + 1 if name == checksums.NAME else 0
        for at in (first, len(whole) - 1, draw.randrange(first, len(whole))):
            try:
                _flip(path, at, 1 << draw.randrange(8))
                places = _places(finished)
            finally:
                path.write_bytes(whole)
            # A changed line of SHA256SUMS names the file that it was about, or itself.
            assert places if name == checksums.NAME else name in places, (name, at)
    assert _places(finished) == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_edit_of_a_raw_file_is_named(finished: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([p for p in _paths(finished) if p.startswith("boots/")]))
    path = finished / name
    whole = path.read_bytes()
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, min(begin + 4, len(whole))))
    changed = whole[:begin] + data.draw(st.binary(max_size=4)) + whole[end:]
    try:
        path.write_bytes(changed)
        places = _places(finished)
    finally:
        path.write_bytes(whole)
    assert (name in places) == (changed != whole)


def test_missing_and_added_files_are_named(results: Path) -> None:
    gone = [
        f"{BOOT}/samples.raw.gz",
        f"{BOOT}/{checksums.NAME}",
        "manifest.json",
        "report/metrics.csv",
    ]
    for name in gone:
        (results / name).unlink()
    added = [f"{BOOT}/notes", "boots/notes", f"boots/{CELL}/notes", "report/plots/x.svg"]
    for name in added:
        (results / name).write_text("")
    (results / "boots" / CELL / "09-base").symlink_to(results / BOOT)
    # Work under way, and what others keep beside a result, is none of it.
    (results / "boots" / CELL / ".09-patch.x").mkdir()
    (results / "boots" / CELL / ".09-patch.x" / "qemu.log").write_text("")
    (results / "my-notes.txt").write_text("")
    (results / ".lock").write_text("")
    found = {
        item.place: item.what for item in (*checksums.raw_differences(results), *_report(results))
    }
    assert {path for path, what in found.items() if what == "is missing"} == set(gone)
    assert {path for path, what in found.items() if "not listed" in what} == {
        *added,
        f"boots/{CELL}/09-base",
    }
    assert found.keys() == {*gone, *added, f"boots/{CELL}/09-base"}


def test_a_line_of_the_list_can_neither_vanish_nor_lead_away(results: Path) -> None:
    path = results / checksums.NAME
    whole = path.read_text()
    for name in ("manifest.json", f"{BOOT}/boot.json", "report/report.txt"):
        path.write_text(re.sub(rf"(?m)^\w+  {re.escape(name)}\n", "", whole))
        assert _places(results) == [name]
    for line in (
        f"{'0' * 64}  /etc/passwd\n",
        f"{'0' * 64}  boots/../../x\n",
        "what\n",
        whole[-9:],
    ):
        path.write_text(whole + line)
        assert set(_places(results)) == {checksums.NAME}, line


def _change_digit(path: Path, number: int) -> tuple[int, str, str]:
    """Change one digit of the numbered line that has a fraction; line number, old, new."""
    lines = path.read_text().split("\n")
    hits = [i for i, line in enumerate(lines) if re.search(r"\d\.\d", line)]
    at = hits[number % len(hits)]
    old = lines[at]
    lines[at] = re.sub(
        r"(\d\.)(\d)", lambda m: m[1] + str((int(m[2]) + 1) % 10), lines[at], count=1
    )
    path.write_text("\n".join(lines))
    return at + 1, old, lines[at]


@pytest.fixture(scope="module")
def fresh(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with verify.derived(finished) as made:
        return Path(
            shutil.copytree(made / "report", tmp_path_factory.mktemp("fresh") / "report")
        ).parent


@pytest.mark.parametrize("name", ["report.txt", "metrics.csv", "estimates.csv", "report.html"])
@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_changed_digit_of_the_report_is_named_though_hashes_are_renewed(
    results: Path, fresh: Path, name: str, number: int
) -> None:
    line, old, new = _change_digit(results / "report" / name, number)
    assert _places(results) == [f"report/{name}"]
    checksums.report(results)
    assert _places(results) == []
    (found,) = verify.compare(results, fresh)
    assert re.match(rf"report/{name} line {line}(:|, column )", found.place)
    said, given = found.what.split(" where the raw files give ")
    assert said != given and said.strip("'\"") in new and given.strip("'\"") in old


def test_report_files_of_every_kind_are_compared(results: Path, fresh: Path) -> None:
    folder = results / "report"
    svg, png = sorted((folder / "plots").glob("*.svg"))[0], sorted(folder.rglob("*.png"))[0]
    _flip(svg, 900, 1)
    _flip(png, 70, 1)
    (folder / "report.txt").write_text((folder / "report.txt").read_text() + "more\n")
    (folder / "metrics.csv").unlink()
    (folder / "extra.csv").write_text("")
    with_comma = (folder / "estimates.csv").read_text().replace(",", ",,", 1)
    (folder / "estimates.csv").write_text(with_comma)
    found = {item.place: item.what for item in verify.compare(results, fresh)}
    assert len(found) == 6
    assert "byte 70" in found[f"report/{png.relative_to(folder)}"]
    assert any(place.startswith(f"report/{svg.relative_to(folder)} line ") for place in found)
    assert "not there" in found["report/metrics.csv"]
    assert found["report/extra.csv"].startswith("is there")
    assert "report/estimates.csv line 1:" in found
    assert any(place.startswith("report/report.txt line ") for place in found)


def test_the_command_names_file_and_number(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results / BOOT / "workload.jsonl"
    path.write_text(path.read_text().replace('"value": 21548.0', '"value": 21549.0'))
    assert cli.main(["verify", str(results)]) == Exit.INFRA
    said = capsys.readouterr().out
    assert f"{BOOT}/workload.jsonl changed" in said
    assert re.search(
        r"report/metrics.csv line \d+, column value: 21548(\.0)? where the raw files give 21549",
        said,
    )


def test_damage_that_stops_the_report_still_names_the_file(results: Path) -> None:
    path = results / BOOT / "boot.json"
    path.write_text(path.read_text().replace('"insn"', '"wall"'))
    found = verify.verify(results)
    assert [item.place for item in found.recorded] == [f"{BOOT}/boot.json"]
    assert "different clocks" in found.derived[0].what


def test_another_harness_is_noted(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "made_with", lambda: "harness 9.9")
    found = verify.verify(results)
    assert found.holds
    assert "harness 9.9" in found.notes[0] and "matplotlib" in found.notes[0]


def test_a_report_of_other_code_is_held_to_its_figures(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = results / "report" / "report.html"
    page.write_text(page.read_text().replace("<body>", "<body><!-- other words -->"))
    table = results / "report" / "metrics.csv"
    table.write_text(table.read_text().replace(",control,", ",again,"))
    checksums.report(results)
    monkeypatch.setattr(checksums, "made_with", lambda: "harness 9.9")
    found = verify.verify(results)
    assert found.holds and "every figure of its 3 CSV tables follows" in found.text()
    rows = table.read_text().splitlines()
    cells = rows[1].split(",")
    cells[8] = "1" + cells[8]
    table.write_text("\n".join([rows[0], ",".join(cells), *rows[2:]]) + "\n")
    monkeypatch.undo()
    checksums.report(results)
    monkeypatch.setattr(checksums, "made_with", lambda: "harness 9.9")
    (wrong,) = verify.verify(results).derived
    assert wrong.place == "report/metrics.csv line 2, column value:"


@pytest.mark.parametrize("harm", ["change", "delete", "add", "list"])
def test_report_refuses_over_changed_raw_files(
    results: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = results / BOOT / "workload.jsonl"
    harms: dict[str, Callable[[], object]] = {
        "change": lambda: _flip(target, 40, 1),
        "delete": target.unlink,
        "add": lambda: (results / BOOT / "x").write_text(""),
        "list": lambda: _flip(results / BOOT / checksums.NAME, 3, 1),
    }
    harms[harm]()
    before = {name: (results / name).read_bytes() for name in _paths(results)}
    assert cli.main(["report", str(results)]) == Exit.USER
    assert BOOT in capsys.readouterr().err
    assert {name: (results / name).read_bytes() for name in _paths(results)} == before


def test_report_renews_only_its_own_lines(results: Path) -> None:
    whole = (results / checksums.NAME).read_text()
    _change_digit(results / "report/report.txt", 0)
    shutil.rmtree(results / "report/plots")
    assert cli.main(["report", str(results)]) == Exit.OK
    assert (results / checksums.NAME).read_text() == whole
    _flip(results / "manifest.json", 30, 1)
    checksums.report(results)
    assert (results / checksums.NAME).read_text() == whole


def test_a_comparison_goes_on_only_beside_sound_boots(results: Path, tmp_path: Path) -> None:
    _flip(results / BOOT / "console.log", 5, 1)
    with pytest.raises(UserError, match=re.escape(f"{BOOT}/console.log' changed")):
        checksums.resume(results)
    assert _places(results) == [f"{BOOT}/console.log"]
    # A comparison runs what has no record again, so that is no obstacle.
    record = (results / BOOT / "boot.json").read_bytes()
    (results / BOOT / "boot.json").unlink()
    checksums.resume(results)
    (results / BOOT / "boot.json").write_bytes(record)
    with pytest.raises(UserError, match=re.escape(f"remove '{results / BOOT}' to run")):
        checksums.resume(results)
    # The advice is followed: the boot is removed and run again, another pair is added.
    shutil.rmtree(results / BOOT)
    checksums.resume(results)
    assert _places(results) == []
    assert BOOT not in (results / checksums.NAME).read_text()
    more = write(tmp_path / "more", Fake(pairs=4, scatter=0.01, cells=(CELL,)))
    for name in ("00-base", "03-base", "03-patch"):
        shutil.copytree(more / "boots" / CELL / name, results / "boots" / CELL / name)
        checksums.boot(results / "boots" / CELL / name)
    assert checksums.unlisted(results) == tuple(
        f"boots/{CELL}/{name}" for name in ("00-base", "03-base", "03-patch")
    )
    assert checksums.raw_differences(results) == ()
    _flip(results / "boots" / CELL / "03-base" / "boot.json", 9, 1)
    assert [item.place for item in checksums.raw_differences(results)] == [
        f"boots/{CELL}/03-base/boot.json"
    ]
    _flip(results / "boots" / CELL / "03-base" / "boot.json", 9, 1)
    _finish(results)
    assert verify.verify(results).holds


def test_the_end_of_a_comparison_does_not_renew_what_it_kept(results: Path) -> None:
    _flip(results / BOOT / "console.log", 5, 1)
    (results / BOOT / checksums.NAME).unlink()
    checksums.boot(results / BOOT)
    checksums.raw(results)
    assert _places(results) == [f"{BOOT}/{checksums.NAME}", f"{BOOT}/console.log"]


def test_a_result_without_hashes_says_so_and_can_be_reported(tmp_path: Path) -> None:
    old = write(tmp_path, FAKE)
    assert cli.main(["report", str(old)]) == Exit.OK
    assert not (old / checksums.NAME).exists()
    with pytest.raises(UserError, match="no SHA256SUMS"):
        verify.verify(old)
    assert cli.main(["verify", str(old)]) == cli.main(["verify", str(tmp_path)]) == Exit.USER
    # A comparison that goes on seals what is there, also where a boot has no hashes of its own.
    checksums.resume(old)
    checksums.raw(old)
    checksums.report(old)
    assert verify.verify(old).holds
    _flip(old / BOOT / "boot.json", 2, 1)
    assert _places(old) == [f"{BOOT}/boot.json"]


_WRITE = """
import sys, pathlib
from harness.report import files
files.make(pathlib.Path(sys.argv[1]))
"""
_HOSTILE = "savefig.dpi: 30\nfont.size: 20\naxes.facecolor: red\nlines.linewidth: 9\n"


def test_a_report_is_the_same_bytes_wherever_it_is_made(results: Path, tmp_path: Path) -> None:
    made = {name: (results / name).read_bytes() for name in _paths(results)}
    shutil.rmtree(results / "report")
    (tmp_path / "matplotlibrc").write_text(_HOSTILE)
    surroundings = {
        "PYTHONHASHSEED": "12345",
        "PYTHONPATH": str(REPO),
        "TZ": "Pacific/Chatham",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "C",
        "COLUMNS": "20",
        "OMP_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F",
        "SOURCE_DATE_EPOCH": "1",
    }
    env = {name: os.environ[name] for name in ("HOME", "PATH")} | surroundings
    argv = [sys.executable, "-c", _WRITE, results.name]
    subprocess.run(argv, cwd=tmp_path, env=env, check=True)
    assert {name: (results / name).read_bytes() for name in _paths(results)} == made
