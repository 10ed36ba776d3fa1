# SPDX-License-Identifier: GPL-2.0-only
"""The sizes of the kernels in each form of a report; "not recorded" where a result has none."""

from __future__ import annotations

import json
from pathlib import Path

from harness.report import bloat, files, formats
from harness.results import checksums, sizes
from harness.results.sizes import KernelSize, Sizes
from harness.studies import verify
from harness.studies.reply import draft
from tests.fakes.results import Fake, write

FUNCTIONS = {f"f{number:02d}": 100 for number in range(14)}
BASE = KernelSize(5_000_000, 1_700_000, 300_000, FUNCTIONS | {"gone": 5})
PATCH = KernelSize(
    5_000_159, 1_700_000, 299_999,
    {name: 100 + 10 * place for place, name in enumerate(FUNCTIONS)} | {"f00": 90, "new": 62},
)  # fmt: skip
FAKE = Fake(cells=("zram-lz4.pageio",), pairs=3, aa=True)


def test_ten_functions_and_how_many_there_are() -> None:
    table = bloat.table(Sizes.of(BASE, PATCH))
    assert table.rows[:4] == (
        ("text", "5000000", "5000159", "+159"),
        ("data", "1700000", "1700000", "0"),
        ("bss", "300000", "299999", "-1"),
        ("functions: 13 grew, 1 shrank, 1 new, 1 gone; grew most:", "", "", ""),
    )
    assert table.rows[4] == ("f13", "100", "230", "+130")
    assert ("new", "-", "62", "+62") in table.rows and len(table.rows) == 4 + 10
    said = bloat.line(Sizes.of(BASE, PATCH))
    assert said == (
        "Size: text +159, data 0, bss -1 bytes; functions: 13 grew, 1 shrank, 1 new, 1 gone."
    )
    assert bloat.table(Sizes.of(BASE, BASE)).rows[3][0] == "functions: none changed"


def test_the_mail_counts_functions_as_the_report_does() -> None:
    """A function that is new did not grow."""
    grown = {name: size + 30 for name, size in FUNCTIONS.items() if name < "f03"}
    found = Sizes.of(BASE, KernelSize(5_000_159, 1, 2, {**BASE.functions, **grown, "new": 62}))
    said = "functions: 3 grew, 1 new"
    assert bloat.table(found).rows[3][0] == f"{said}; grew most:"
    assert bloat.line(found).endswith(f"bytes; {said}.")


def test_every_form_has_them(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    sizes.write(results, Sizes.of(BASE, PATCH))
    checksums.raw(results)
    folder = files.make(results).folder
    checksums.report(results)
    text = (folder / "report.txt").read_text()
    assert "Size of the kernels\nbytes" in text and "\nf13 " in text and "not recorded" not in text
    page = (folder / "report.html").read_text()
    assert '<th scope="row">f13</th>' in page and "+130" in page
    report = files.read(results)
    assert "| f13 | 100 | 230 | +130 |" in formats.comparison(report, "markdown")
    assert json.loads(formats.comparison(report, "json"))["sizes"]["patch"]["text"] == 5_000_159
    for long in (False, True):
        draft.write(results, mail := draft.make(results, long=long))
        assert ("Size: text +159" in mail, "\nf13 " in mail) == (not long, long)
        assert verify.verify(results).holds
    path = results / sizes.NAME
    path.write_text(path.read_text().replace("230", "239"))
    found = verify.verify(results)
    assert sizes.NAME in {one.place for one in found.recorded}
    assert any("report.txt" in one.place for one in found.derived)


def test_a_result_without_them_says_so(tmp_path: Path) -> None:
    results = write(tmp_path, FAKE)
    checksums.raw(results)
    folder = files.make(results).folder
    for name in ("report.txt", "report.html"):
        assert "Size of the kernels: not recorded." in (folder / name).read_text()
    report = files.read(results)
    assert "Size of the kernels: not recorded." in formats.comparison(report, "markdown")
    assert "Size" not in draft.make(results)
