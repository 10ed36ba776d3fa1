# SPDX-License-Identifier: GPL-2.0-only
"""The counters that are given moved or not, and counters.csv, against counts that are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.report import counters, files, formats, tables, text
from harness.report.model import PhaseCount, Report
from harness.results import checksums, telemetry
from harness.studies import verify
from tests.fakes.results import PAGES, Fake, write

CELL = "zram-lz4.pageio"
FAKE = Fake(cells=(CELL,), pairs=3, aa=True)


def _report(root: Path, fake: Fake = FAKE) -> Report:
    return files.read(write(root, fake))


def _edit(results: Path, name: str, old: str, new: str) -> None:
    """Replace text in the samples of one boot, keeping the lengths of its files."""
    path = results / "boots" / CELL / name / "samples.raw.gz"
    found = telemetry.unpack(path.read_bytes())
    assert len(old) == len(new) and old.encode() in found
    path.write_bytes(telemetry.pack(found.replace(old.encode(), new.encode())))


def test_each_phase_moved_or_not(tmp_path: Path) -> None:
    (part,) = _report(tmp_path).parts
    assert part.counts == (
        PhaseCount("zram-lz4", "out", "pswpout", PAGES, PAGES),
        PhaseCount("zram-lz4", "out", "thp_swpout", 0, 512),
        PhaseCount("zram-lz4", "in", "pswpin", PAGES, PAGES),
        # The median of three pairs, which drift by a thousandth.
        PhaseCount("zram-lz4", "in", "pgfault", 99_984, 109_993),
    )
    assert "zswpin" not in part.absent and "swpin_zero" not in part.absent
    assert {"zswpout", "pgmajfault", "memcg pgscan_direct"} <= set(part.absent)
    rows = tables.always(part).rows
    assert rows[0] == ("zram-lz4, phase out", "", "", "")
    assert ("pgfault", "99984", "109993", "+10009") in rows
    assert ("pswpin", str(PAGES), str(PAGES), "0") in rows


def test_a_counter_that_is_zero_in_the_median_but_not_in_each_boot(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    # From 50 ms on: "out" begins at 20 and ends at 60 ms.
    path = results / "boots" / CELL / "01-patch" / "samples.raw.gz"
    head, mark, rest = telemetry.unpack(path.read_bytes()).partition(b"@sample 5 ")
    path.write_bytes(telemetry.pack(head + mark + rest.replace(b"zswpin 0", b"zswpin 7")))
    (part,) = files.read(results).parts
    assert PhaseCount("zram-lz4", "out", "zswpin", 0, 0) in part.counts


def test_all_forms_have_the_table(tmp_path: Path) -> None:
    report = _report(tmp_path)
    shown = text.render(report)
    assert "Counters by phase, moved or not\n" in shown
    assert "Without a row: zero in all boots of both kernels." in shown
    assert "### Counters by phase, moved or not" in formats.comparison(report, "markdown")
    told = json.loads(formats.comparison(report, "json"))["counters"]
    assert told[0] == {
        "workload": "pageio", "backend": "zram-lz4", "phase": "out", "name": "pswpout",
        "base": PAGES, "patch": PAGES,
    }  # fmt: skip


def test_a_counter_of_one_kernel(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    for pair in range(3):
        for arm in ("base", "control"):
            _edit(results, f"{pair:02d}-{arm}", "pswpin", "pgmajf")
    (part,) = files.read(results).parts
    (row,) = (row for row in part.counts if row.name == "pswpin")
    assert (row.base, row.patch) == (None, PAGES)
    assert ("pswpin", "-", str(PAGES), "-") in tables.always(part).rows


def test_kinds_of_allocstall_are_added_up(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    folder = results / "boots" / CELL
    for boot in folder.iterdir():
        path = boot / "samples.raw.gz"
        found = telemetry.unpack(path.read_bytes())
        # Two names as long as those that they replace; both count pages from 80 to 110 ms.
        found = found.replace(b"\npswpin ", b"\nallocstall_a ").replace(b"zswpin 0", b"zswpin 0")
        stream = b""
        for line in found.split(b"@file /proc/vmstat ")[0:1]:
            stream += line
        for piece in found.split(b"@file /proc/vmstat ")[1:]:
            size, _, rest = piece.partition(b"\n")
            body = rest[: int(size) + len(b"allocstall_a") - len(b"pswpin")]
            rest = rest[len(body) :]
            count = body.split(b"allocstall_a ")[1].split(b"\n")[0]
            body += b"allocstall_b " + count + b"\n"
            stream += b"@file /proc/vmstat %d\n" % len(body) + body + rest
        path.write_bytes(telemetry.pack(stream))
    (part,) = files.read(results).parts
    assert PhaseCount("zram-lz4", "in", "allocstall", 2 * PAGES, 2 * PAGES) in part.counts


def test_counters_csv_has_every_boot_and_no_counter_that_is_always_zero(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    files.make(results)
    with (results / "report" / "counters.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["cell", "arm", "pair", "phase", "counter", "unit", "value"]
    mine = {
        (row["arm"], row["pair"]): row["value"]
        for row in rows
        if (row["phase"], row["counter"]) == ("in", "vmstat pswpin")
    }
    boots = {(arm, str(pair)) for arm in ("base", "patch", "control") for pair in range(3)}
    assert mine == dict.fromkeys(boots, str(PAGES))
    names = {row["counter"] for row in rows}
    assert {"zram zram0 orig_data_size", "kthreads kswapd0 cpu_ns"} <= names
    assert "vmstat zswpin" not in names


def test_verify_finds_a_changed_count(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    checksums.raw(results)
    files.make(results)
    checksums.report(results)
    assert verify.verify(results).holds
    path = results / "report" / "counters.csv"
    path.write_text(path.read_text().replace(f",{PAGES}\n", f",{PAGES + 1}\n", 1))
    checksums.report(results)
    (found,) = verify.verify(results).derived
    assert found.place.startswith("report/counters.csv line ") and "column value" in found.place
    assert found.what == f"{PAGES + 1} where the raw files give {PAGES}"


@pytest.mark.parametrize(("pairs", "named"), [(2, False), (3, True), (6, True), (8, True)])
def test_a_change_that_chance_does_not_explain_is_named(
    tmp_path: Path, pairs: int, named: bool
) -> None:
    """pgfault changes by 10 % in all pairs alike; ranks of six pairs alone would not show it."""
    report = _report(tmp_path, Fake(cells=(CELL,), pairs=pairs, aa=True, scatter=0.001))
    (part,) = report.parts
    found = {row.name for row in counters.relevant(part.counters)}
    assert ("vmstat pgfault" in found) is named
    few = "Fewer than 3 pairs: no change of a counter can be told from chance."
    assert (few in " ".join(text.render(report).split())) is not named


def test_noise_is_not_named(tmp_path: Path) -> None:
    """A change of 2 % that scatters by 3 % moves now and then, which the adjusted p says."""
    report = _report(tmp_path, Fake(cells=(CELL,), pairs=3, aa=True, effect=1.02, scatter=0.03))
    (part,) = report.parts
    assert "vmstat pgfault" not in {row.name for row in counters.relevant(part.counters)}
    shown = text.render(report)
    assert "vmstat pgfault" not in shown and " q\n" not in shown
