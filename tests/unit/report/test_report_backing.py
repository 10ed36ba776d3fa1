# SPDX-License-Identifier: GPL-2.0-only
"""Kernels whose memory is in huge pages to another extent: said where the verdict stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.report import files, summary, text
from harness.results import telemetry
from tests.fakes.results import Fake, write

CELL = "zram-lz4.pageio"
MTHP = "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/stats/anon_fault_alloc"
STAT = "/sys/fs/cgroup/harness/memory.stat"
MIB = 1 << 20


def results(root: Path, end: Mapping[str, Mapping[str, str]]) -> Path:
    """A result with these files at the end of its one phase, by arm; at its begin all are zero."""
    made = write(root, Fake(cells=(CELL,), pairs=3, aa=True))
    for boot in (made / "boots" / CELL).iterdir():
        arm = boot.name.partition("-")[2]
        there = end["patch" if arm == "patch" else "base"]
        stream = b""
        for seq, edge in enumerate(("begin", "end")):
            stream += f"@sample {seq} {seq * 1000} mark:out:{edge}\n".encode()
            for path, content in there.items():
                shown = content
                if edge == "begin":
                    words = [line.split() for line in content.splitlines()]
                    shown = "".join(f"{' '.join([*one[:-1], '0'])}\n" for one in words)
                stream += f"@file {path} {len(shown)}\n{shown}\n".encode()
            stream += f"@end {seq} {seq * 1000 + 1} 0\n".encode()
        (boot / "samples.raw.gz").write_bytes(telemetry.pack(stream))
    return made


def said(root: Path, base: Mapping[str, str], patch: Mapping[str, str]) -> tuple[str, ...]:
    report = files.read(results(root, {"base": base, "patch": patch}))
    (part,) = report.parts
    shown = " ".join(text.render(report).split())
    screen = " ".join(" ".join(summary.text(report, root)).split())
    for sentence in part.backing:
        # In the first lines, above the verdicts.
        assert 0 <= shown.index(sentence) < shown.index("zram-lz4.pageio 10")
        assert sentence in screen
    return part.backing


def vmstat(faults: int, huge: int = 0) -> str:
    return f"pgfault {faults}\nthp_fault_alloc {huge}\n"


def test_what_faults_bring_in(tmp_path: Path) -> None:
    # 16384 pages: one fault each; and in 31 huge pages of 512 with 512 single ones.
    base = {"/proc/vmstat": vmstat(16_384)}
    patch = {"/proc/vmstat": vmstat(512 + 31, 31)}
    assert said(tmp_path, base, patch) == (
        "zram-lz4.pageio: huge pages hold 0 % of base's memory and 97 % of patch's that faults "
        "bring in (phase out): a change of its figures may be that alone.",
    )


def test_pages_of_each_size_count_where_the_kernel_has_them(tmp_path: Path) -> None:
    # 512 of 64 kB are 8192 pages, of which vmstat says nothing.
    base = {"/proc/vmstat": vmstat(512 + 8192), MTHP: "512\n"}
    patch = {"/proc/vmstat": vmstat(16_384), MTHP: "0\n"}
    (found,) = said(tmp_path, base, patch)
    assert "huge pages hold 50 % of base's memory and 0 % of patch's that faults bring" in found


def test_what_is_in_memory_at_the_end(tmp_path: Path) -> None:
    base = {STAT: f"anon {64 * MIB}\nanon_thp {16 * MIB}\n"}
    patch = {STAT: f"anon {64 * MIB}\nanon_thp 0\n"}
    (found,) = said(tmp_path, base, patch)
    assert "huge pages hold 25 % of base's memory and 0 % of patch's in memory at its end" in found


def test_alike_is_not_said(tmp_path: Path) -> None:
    base = {"/proc/vmstat": vmstat(543, 31), STAT: f"anon {64 * MIB}\nanon_thp {16 * MIB}\n"}
    patch = {"/proc/vmstat": vmstat(600, 31), STAT: f"anon {64 * MIB}\nanon_thp {15 * MIB}\n"}
    assert said(tmp_path, base, patch) == ()


def test_of_little_memory_nothing_is_said(tmp_path: Path) -> None:
    base = {"/proc/vmstat": vmstat(500), STAT: f"anon {MIB}\nanon_thp 0\n"}
    patch = {"/proc/vmstat": vmstat(1, 1), STAT: f"anon {MIB}\nanon_thp {MIB}\n"}
    assert said(tmp_path, base, patch) == ()
