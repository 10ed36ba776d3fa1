# SPDX-License-Identifier: GPL-2.0-only
"""Waits by lock: what a phase adds to the kernel's own sums, base against patch."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from harness.report import analysis, files, formats, text, waits
from harness.report.model import Report
from harness.results import frames, manifest, telemetry
from tests.fakes.results import PHASES, Fake, write

_HEAD = "lock_stat version 0.4\n"
_CELL = "zram-lz4.pageio"


def _line(lock: str, contentions: int, longest: float, total: float) -> str:
    average = total / contentions if contentions else 0.0
    return (
        f"{lock:>40}: 0 {contentions} 0.10 {longest:.2f} {total:.2f} {average:.2f} "
        "0 900 0.10 2.00 90.00 0.10\n"
    )


def _samples(arm: str) -> bytes:
    """Waits for zone->lock before the phases, in "out" and in "in"; for list->lock in "in" alone.

    The patch waits twice as often, and as long, in "out".
    """
    twice = 2 if arm == "patch" else 1
    count, total = 100 + 10 * twice, 900.0 + 200.0 * twice
    sums = (
        [("zone->lock", 100, 50.0, 900.0)],
        [("zone->lock", count, 80.0, total)],
        [("zone->lock", count, 80.0, total)],
        [("zone->lock", count + 5, 80.0, total + 60.0), ("list->lock", 3, 4.0, 9.0)],
    )
    marks = [(f"{name}:{edge}", at) for name, *ends in PHASES for edge, at in _edges(ends)]
    stream = b""
    for seq, ((mark, at), locks) in enumerate(zip(marks, sums, strict=True)):
        body = _HEAD + "".join(_line(*lock) for lock in locks)
        body += _line("never->waited", 0, 0.0, 0.0)
        stream += f"@sample {seq} {at} mark:{mark}\n@file /proc/lock_stat {len(body)}\n".encode()
        stream += f"{body}\n@end {seq} {at + 50_000} {seq * 60_000}\n".encode()
    return stream


def _edges(ends: list[int]) -> list[tuple[str, int]]:
    return [*zip(("begin", "end"), ends, strict=True)]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    made = write(tmp_path, Fake(pairs=3, cells=(_CELL,)))
    for folder in (made / "boots" / _CELL).iterdir():
        arm = folder.name.partition("-")[2]
        (folder / "samples.raw.gz").write_bytes(telemetry.pack(_samples(arm)))
    return made


def _report(results: Path) -> Report:
    return analysis.analyse(frames.load(results), manifest.load(results), results)


def test_a_phase_has_the_waits_between_its_marks(results: Path) -> None:
    found = {(one.phase, one.lock): (one.base, one.patch) for one in _report(results).waits}
    assert list(found) == [("out", "zone->lock"), ("in", "zone->lock"), ("in", "list->lock")]
    base, patch = found["out", "zone->lock"]
    assert (base.contentions, patch.contentions) == pytest.approx((10, 20))
    assert (base.waited_ns, patch.waited_ns) == pytest.approx((200_000, 400_000))
    assert (base.longest_ns, patch.longest_ns) == (80_000, 80_000)
    # None in "in" was longer than the longest before it.
    base, _ = found["in", "zone->lock"]
    assert base.contentions == pytest.approx(5) and base.longest_ns is None
    base, _ = found["in", "list->lock"]
    assert base.contentions == pytest.approx(3) and base.longest_ns == 4000


def test_a_boot_without_a_wait_counts_as_none(results: Path) -> None:
    quiet = results / "boots" / _CELL / "00-base" / "samples.raw.gz"
    stream = telemetry.unpack(quiet.read_bytes()).replace(b"list->lock: 0 3", b"list->lock: 0 0")
    quiet.write_bytes(telemetry.pack(stream))
    (found,) = (one for one in _report(results).waits if one.lock == "list->lock")
    assert found.base.contentions == pytest.approx(2)
    assert found.patch.contentions == pytest.approx(3)


def test_every_format_has_the_waits(results: Path) -> None:
    written = files.make(results)
    shown = text.render(written.report)
    begin = shown.index(f"\n{waits.TITLE}\n")
    section = " ".join(shown[begin : begin + 1200].split())
    assert f"{_CELL}, phase out" in section
    assert "zone->lock 10 20 200.000 400.000 80.0000 80.0000" in section
    assert "not what waiting costs" in section
    assert all(len(line) <= 72 for line in shown.split("\n"))
    assert "<h2>Waits by lock</h2>" in (written.folder / "report.html").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO((written.folder / "waits.csv").read_text("utf-8"))))
    assert [rows[1][name] for name in ("phase", "lock", "arm", "waited_ns")] == [
        "out", "zone->lock", "patch", "400000",
    ]  # fmt: skip
    data = json.loads(formats.comparison(written.report, "json"))
    assert data["waits"][0]["patch"]["contentions"] == pytest.approx(20)
    assert "### Waits by lock" in formats.comparison(written.report, "markdown")


def test_kernels_that_count_none_have_no_section(tmp_path: Path) -> None:
    results = write(tmp_path, Fake(pairs=3, cells=(_CELL,)))
    written = files.make(results)
    assert not written.report.waits and not (written.folder / "waits.csv").exists()
    assert waits.TITLE not in text.render(written.report)
