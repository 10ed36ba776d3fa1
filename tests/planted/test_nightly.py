# SPDX-License-Identifier: GPL-2.0-only
"""`harness nightly` over real kernels: a night killed and gone on with, then a revision arrives."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness.studies.nightly import store
from harness.util.errors import Exit
from harness.util.paths import REPO
from tests.e2e.test_compare import _SANDBOX
from tests.fakes import inbox

# One patch in three revisions, which differ in what a page costs: instructions.
COSTS = {1: 10, 2: 100, 3: 1000}
TITLE = "mm: calibration: more instructions per page swapped in"
NIGHTLY = """\
series:
  - {message_id: 1-0@mail.example, name: more}
bases: [debian/6.12]
mirror: [MIRROR]
backends: [zram]
workloads: [pageio]
accel: tcg
pairs: 3
most_pairs: 3
budget: 1h
"""


def _mail(version: int) -> bytes:
    """The revision as it is mailed."""
    (path,) = (REPO / f"kernels/series/calibration-in{COSTS[version]}/6.12").glob("*.patch")
    text = path.read_text("ascii").split("\n", 1)[1]
    text = re.sub(r"^Subject: .*", f"Subject: [PATCH v{version}] {TITLE}", text, flags=re.M)
    text = re.sub(r"^From: .*", f"From: {inbox.DEV}", text, count=1, flags=re.M)
    date = f"Date: Thu, 0{version} Jan 2026 00:00:00 +0000"
    text = re.sub(r"^Date: .*", date, text, count=1, flags=re.M)
    return f"Message-ID: <{version}-0@mail.example>\n{text}".encode()


def _argv(folder: Path) -> list[str]:
    words = ["nightly", "--config", str(folder / "nightly.yaml")]
    words += ["--results", str(folder / "results"), *_SANDBOX]
    return [sys.executable, "-m", "harness", *words]


def _night(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        _argv(folder), cwd=REPO, stdout=subprocess.PIPE, text=True, check=False, timeout=5000
    )
    print(done.stdout)
    return done.returncode, done.stdout


def _boots(folder: Path) -> dict[str, int]:
    """Every boot that has its result, and when that was written."""
    found = (folder / "results").rglob("boot.json")
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found}


def _killed(folder: Path) -> dict[str, int]:
    """Begin a night and kill the harness once two boots are done; the boots."""
    with subprocess.Popen(_argv(folder), cwd=REPO, start_new_session=True) as harness:
        until = time.monotonic() + 4000
        while len(_boots(folder)) < 2:
            assert harness.poll() is None, "the night ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.2)
        os.kill(harness.pid, signal.SIGKILL)
    return _boots(folder)


def test_a_revision_arrives_and_a_killed_night_goes_on(tmp_path: Path) -> None:
    mirror = inbox.archive(tmp_path / "list.git", [_mail(1), _mail(2)])
    (tmp_path / "nightly.yaml").write_text(NIGHTLY.replace("MIRROR", str(mirror)), "ascii")

    before = _killed(tmp_path)
    status, _ = _night(tmp_path)
    first = _boots(tmp_path)
    assert status == Exit.WORSE
    assert before.items() <= first.items(), "a boot of before the kill was lost"

    status, said = _night(tmp_path)
    assert "nothing is new" in said
    assert _boots(tmp_path) == first

    inbox.archive(mirror, [_mail(3)])
    status, _ = _night(tmp_path)
    assert status == Exit.WORSE
    third = _boots(tmp_path)
    assert first.items() <= third.items()
    # The boots of the base serve all revisions: three new ones, beside links to old ones.
    new = [name for name in third.keys() - first.keys() if "-patch/" in name]
    assert len(new) == 3

    with store.opened(tmp_path / "results/nightly" / store.NAME) as history:
        revisions = {one.key: one.revision for one in history.comparisons()}
        found = {
            revisions[one.key]: one.estimate_pct
            for one in history.estimates()
            if one.metric == "swapin"
        }
    assert set(found) == {"v1", "v2", "v3"}
    one, two, three = (found[name] or 0.0 for name in ("v1", "v2", "v3"))
    # The differences are known: 90 and 900 instructions.
    assert abs((three - two) / (two - one) - 10) < 0.5
    report = tmp_path / "results/nightly/report"
    assert {"trend.html", "trend.txt", "junit.xml"} <= {path.name for path in report.iterdir()}
