# SPDX-License-Identifier: GPL-2.0-only
"""A result in one file: the same bytes each time, verified elsewhere, refused when hostile."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.report import files
from harness.results import checksums
from harness.studies import bundle
from harness.studies.reply import draft
from harness.util.errors import Exit, UserError
from harness.util.paths import REPO
from tests.fakes.results import Fake, write

CELL = "zram.pageio"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write(
        tmp_path_factory.mktemp("bundle"), Fake(pairs=4, scatter=0.002, aa=True, cells=(CELL,))
    )
    for arm in ("base", "patch"):
        (results / f"{arm}.config").write_text("CONFIG_SWAP=y\n")
    for folder in (results / "boots").glob("*/*"):
        checksums.boot(folder)
    checksums.raw(results)
    files.make(results)
    checksums.report(results)
    draft.write(results, draft.make(results))
    return results


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "demo"))


def names(path: Path) -> list[str]:
    with bundle.unpacked(path) as folders:
        root = folders[0].parent
        return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_it_holds_what_a_reader_needs(results: Path) -> None:
    made = bundle.make([results])
    there = names(made.path)
    assert made.path == results.parent / "demo.tar.zst" and made.files == len(there)
    boot = f"demo/boots/{CELL}/00-base"
    for name in (
        "README.txt", "demo/manifest.json", "demo/base.config", "demo/patch.config",
        "demo/SHA256SUMS", "demo/reply.eml", "demo/report/report.html", f"{boot}/console.log",
        f"{boot}/samples.raw.gz", f"{boot}/workload.jsonl", f"{boot}/SHA256SUMS",
    ):  # fmt: skip
        assert name in there


def test_the_same_result_gives_the_same_bytes(results: Path, tmp_path: Path) -> None:
    first = bundle.make([results])
    other = Path(shutil.copytree(results, tmp_path / "elsewhere" / "demo"))
    for number, path in enumerate(sorted(other.rglob("*"))):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (number, number))
    (other / ".lock").write_text("")
    second = bundle.make([other], tmp_path / "second.tar.zst")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.sha256, first.tar_sha256) == (second.sha256, second.tar_sha256)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("harness-bundle")]


def test_it_is_verified_in_a_fresh_place(results: Path, tmp_path: Path) -> None:
    made = bundle.make([results])
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    made.path.rename(fresh / "got.tar.zst")
    shutil.rmtree(results)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "verify", "got.tar.zst"],
        cwd=fresh, env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("demo: all ") and "byte for byte" in done.stdout
    assert [path.name for path in fresh.iterdir()] == ["got.tar.zst"]


def repacked(path: Path, target: Path, change: dict[str, tuple[bytes, bytes]]) -> Path:
    """The same bundle with some bytes of some files replaced."""
    with bundle.unpacked(path) as folders:
        root = folders[0].parent
        for name, (old, new) in change.items():
            data = (root / name).read_bytes()
            assert old in data
            (root / name).write_bytes(data.replace(old, new, 1))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for one in sorted(p for p in root.rglob("*") if p.is_file()):
                archive.add(one, one.relative_to(root).as_posix())
    return packed(buffer.getvalue(), target)


def packed(tar: bytes, target: Path) -> Path:
    done = subprocess.run(["zstd", "-q", "-c"], input=tar, capture_output=True, check=True)
    target.write_bytes(done.stdout)
    return target


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("demo/reply.eml", b"worse\n", b"better\n", "reply.eml lacks a line"),
        ("demo/reply.eml", b"A/A 95", b"A/A 99", "reply.eml lacks a line"),
        ("demo/report/report.txt", b"worse: 1", b"worse: 0", "report/report.txt"),
        (f"demo/boots/{CELL}/01-patch/console.log", b"6.19", b"6.20", "changed"),
        ("demo/base.config", b"=y", b"=n", "base.config changed"),
    ],
)
def test_a_changed_bundle_is_told(
    name: str, old: bytes, new: bytes, words: str, results: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = bundle.make([results])
    forged = repacked(made.path, tmp_path / "forged.tar.zst", {name: (old, new)})
    assert main(["verify", str(forged)]) == Exit.INFRA
    assert words in capsys.readouterr().out


def test_what_is_not_as_recorded_is_not_packed(results: Path, tmp_path: Path) -> None:
    text = results / "report" / "report.txt"
    text.write_text(text.read_text() + "x")
    with pytest.raises(UserError, match="make report"):
        bundle.make([results])
    (results / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="changed"):
        bundle.make([results])
    (results / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match="has no SHA256SUMS"):
        bundle.make([results])


def test_a_link_is_not_followed_when_packing(results: Path, tmp_path: Path) -> None:
    path = results / "manifest.json"
    path.rename(tmp_path / "outside.json")
    path.symlink_to(tmp_path / "outside.json")
    with pytest.raises(UserError, match="is a link"):
        bundle.make([results])


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info.tobuf(tarfile.GNU_FORMAT) + (b"x".ljust(512, b"\0") if size == 1 else b"")


END = bytes(1024)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (member("../out"), "leads elsewhere"),
        (member("a/../../out"), "leads elsewhere"),
        (member("/tmp/out"), "leads elsewhere"),
        (member("a//b"), "leads elsewhere"),
        (member("a/.hidden"), "hidden"),
        (member("a\nb"), "no result has"),
        (member("a\\b"), "no result has"),
        (member("l", tarfile.SYMTYPE, 0, "/etc/passwd"), "no plain file"),
        (member("l", tarfile.LNKTYPE, 0, "/etc/passwd"), "no plain file"),
        (member("d", tarfile.CHRTYPE, 0), "no plain file"),
        (member("d", tarfile.BLKTYPE, 0), "no plain file"),
        (member("d", tarfile.FIFOTYPE, 0), "no plain file"),
        (member("huge", size=1 << 60), "larger than"),
        (member("a") + member("a"), "twice"),
        (member("a") + member("a/b"), "both a file and a folder"),
        (member("/".join("d" * 20)), "too deep"),
        (member("a/SHA256SUM"), "holds no result"),
        (b"no tar at all" * 100, "no whole bundle"),
        (member("cut", size=4000), "no whole bundle"),
    ],
)
def test_hostile_members_are_refused(
    stream: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = packed(stream + END, tmp_path / "evil.tar.zst")
    assert main(["verify", str(path)]) == Exit.USER
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) != [] and not list(scratch.iterdir()), "nothing is left"
    assert {one.name for one in tmp_path.iterdir()} == {"tmp", "evil.tar.zst"}


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_a_cut_bundle_is_told(keep: int, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle.make([results]).path
    path.write_bytes(path.read_bytes()[:keep])
    assert main(["verify", str(path)]) == Exit.USER
    assert "no whole bundle" in capsys.readouterr().err


def test_a_bundle_that_unpacks_to_too_much_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_MOST_BYTES", 1 << 20)
    info = tarfile.TarInfo("zeros")
    info.size = 2 << 20
    path = packed(info.tobuf() + bytes(2 << 20) + END, tmp_path / "bomb.tar.zst")
    with pytest.raises(UserError, match="larger"), bundle.unpacked(path):
        pass
