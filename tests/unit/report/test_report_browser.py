# SPDX-License-Identifier: GPL-2.0-only
"""The page in a real browser, at the width of a phone and of a desk: whole, nothing beside it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.report import files
from harness.studies.overhead import report as overhead
from tests.fakes import overhead as fake_overhead
from tests.fakes.results import Fake, write

WIDTHS = (390, 1280)
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")

# A frame has its own width, so media queries answer as on a screen of that size.
_FRAMES = """<!DOCTYPE html><body>%s<pre id="found">nothing</pre><script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument, root = page.documentElement;
    const drawn = [...page.querySelectorAll("figure svg")];
    const box = (one) => one.getBoundingClientRect();
    const wide = [...page.querySelectorAll("body *")].filter((one) =>
      !one.closest(".scroll") && !one.closest("pre") && !one.closest("svg")
      && box(one).right > root.clientWidth + 1);
    return {
      width: root.clientWidth, content: root.scrollWidth,
      images: [...page.images].filter((one) => !one.naturalWidth).length,
      drawn: drawn.length, flat: drawn.filter((one) => box(one).height < 50).length,
      wide: wide.map((one) => one.tagName + " " + one.textContent.slice(0, 60)),
      small: drawn.filter((one) => box(one).width < 250).length,
      unnamed: drawn.filter((one) => !one.getAttribute("aria-label")).length,
      links: [...page.querySelectorAll("a[href]")].map((one) => one.href),
      text: root.innerText.length,
    };
  });
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script></body>"""


def seen(page: Path, tmp_path: Path) -> tuple[list[dict[str, Any]], str]:
    """What the browser makes of the page at each width, and what it complains of."""
    frames = "".join(
        f'<iframe src="{page.as_uri()}" style="width:{w}px;height:2000px;border:0"></iframe>'
        for w in WIDTHS
    )
    outer = tmp_path / "frames.html"
    outer.write_text(_FRAMES % frames)
    done = subprocess.run(
        [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--disable-dev-shm-usage", "--allow-file-access-from-files", "--disable-extensions",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000",
         "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}",
         "--window-size=1800,2200", "--dump-dom", outer.as_uri()],
        capture_output=True, text=True, check=False, timeout=180,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    complaints = "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
    return json.loads(html.unescape(found[1])), complaints


def check(page: Path, tmp_path: Path, figures: int) -> None:
    frames, complaints = seen(page, tmp_path)
    assert not complaints
    assert [frame["width"] for frame in frames] == list(WIDTHS), "no scroll bar takes room"
    for frame in frames:
        assert frame["content"] <= frame["width"], frame["wide"]
        assert not frame["wide"]
        assert frame["images"] == 0
        assert frame["drawn"] == figures and frame["flat"] == 0 and frame["unnamed"] == 0
        assert frame["small"] == 0, "a figure that nobody can read"
        assert frame["text"] > 3000
        for link in frame["links"]:
            assert Path(link.removeprefix("file://").split("#")[0]).exists(), link


def test_a_comparison(tmp_path: Path) -> None:
    cells = ("zram-with-a-rather-long-name-of-a-back-end.pageio", "zswap.pageio")
    fake = Fake(
        pairs=7, scatter=0.01, aa=True, cells=cells, outcomes={(cells[1], 0, "patch"): "oops"}
    )
    folder = files.make(write(tmp_path, fake)).folder
    figures = len(list((folder / "plots").glob("*.svg")))
    assert figures == 9
    check(folder / "report.html", tmp_path, figures)


def test_memory_overhead(tmp_path: Path) -> None:
    folder = overhead.make(fake_overhead.write(tmp_path)).folder / "report"
    check(folder / "overhead.html", tmp_path, len(list((folder / "plots").glob("*.svg"))))
