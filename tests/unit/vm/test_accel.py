# SPDX-License-Identifier: GPL-2.0-only
"""The accelerator check: a verdict from a guest that ran, kept as long as it can hold."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from harness.util.errors import InfraError, UserError
from harness.util.paths import Cache
from harness.vm import accel
from tests.fakes import qemu

PASS = 85


class Bench:
    """A cache, and a fake QEMU that counts how often it ran."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, patch
        self.cache = Cache(folder / "cache")

    def qemu(self, **scenario: Any) -> None:
        self._patch.setenv("PATH", qemu.install(self.folder / "bin", scenario))

    def boot_id(self, value: str) -> None:
        self._patch.setattr(accel, "_boot_id", lambda: value)

    def check(self, name: str = "tcg") -> accel.AccelCheck:
        return accel.check(name, cache=self.cache)

    def choose(self, wanted: str) -> accel.Accelerator:
        return accel.choose(wanted, cache=self.cache)

    @property
    def runs(self) -> int:
        pids = self.folder / "bin" / "pids"
        return len(pids.read_text(encoding="utf-8").split()) if pids.exists() else 0


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, monkeypatch)
    image = tmp_path / "check.img"
    image.write_bytes(bytes(512))
    monkeypatch.setattr(accel, "_assemble", lambda _: image)
    made.boot_id("one")
    return made


def test_a_guest_that_ran_is_a_yes(bench: Bench) -> None:
    bench.qemu(exit=PASS)
    verdict = bench.check()
    assert verdict.works
    assert "ran under tcg" in verdict.reason


@pytest.mark.parametrize("status", [0, 1, 42])
def test_any_other_end_is_a_no_in_qemus_words(bench: Bench, status: int) -> None:
    bench.qemu(exit=status, stderr="failed to initialize kvm: Permission denied\nmore\n")
    verdict = bench.check()
    assert not verdict.works
    assert f"ended with {status}: failed to initialize kvm: Permission denied" in verdict.reason


def test_a_silent_end_still_has_a_reason(bench: Bench) -> None:
    bench.qemu(exit=1)
    assert "no message" in bench.check().reason


def test_a_guest_that_hangs_is_ended_at_the_deadline(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "_DEADLINE", 0.5)
    bench.qemu(exit=None)
    start = time.monotonic()
    verdict = bench.check()
    assert not verdict.works and "hangs" in verdict.reason
    assert time.monotonic() - start < 5
    assert qemu.running(bench.folder / "bin") == []


def test_a_good_verdict_is_kept(bench: Bench) -> None:
    bench.qemu(exit=PASS)
    assert bench.check() == bench.check()
    assert bench.runs == 1


def test_a_hang_of_kvm_is_kept_so_that_nobody_waits_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(accel, "_DEADLINE", 0.3)
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    bench.qemu(exit=None)
    first = bench.check("kvm")
    assert first == bench.check("kvm")
    assert not first.works
    assert bench.runs == 1


def test_a_hang_of_tcg_is_a_busy_host_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "_DEADLINE", 0.3)
    bench.qemu(exit=None)
    assert not bench.check().works
    bench.check()
    assert bench.runs == 2


def test_another_boot_or_another_qemu_is_checked_anew(bench: Bench) -> None:
    bench.qemu(exit=PASS)
    bench.check()
    bench.boot_id("two")
    bench.check()
    assert bench.runs == 2
    bench.qemu(exit=1, version="QEMU emulator version 9.9 (fake)")
    assert not bench.check().works
    assert bench.runs == 3


def test_another_check_is_run_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench.qemu(exit=PASS)
    bench.check()
    changed = tmp_path / "accel-check.S"
    shutil.copy(accel._SOURCE, changed)
    changed.write_text(changed.read_text("utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr(accel, "_SOURCE", changed)
    bench.check()
    assert bench.runs == 2


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "3", '"x"', '{"key": "x"}'])
def test_a_broken_record_is_not_believed(bench: Bench, content: str) -> None:
    bench.qemu(exit=PASS)
    bench.check()
    (bench.cache.accel_checks / "tcg.json").write_text(content, encoding="utf-8")
    assert bench.check().works
    assert bench.runs == 2


def test_a_refusal_that_can_be_mended_is_asked_again(bench: Bench) -> None:
    bench.qemu(exit=1, stderr="Could not access KVM kernel module: Permission denied\n")
    assert not bench.check().works
    bench.qemu(exit=PASS)  # the user was put into the group
    assert bench.check().works


VERDICTS = {
    "both": {"kvm": True, "tcg": True},
    "no kvm": {"kvm": False, "tcg": True},
    "none": {"kvm": False, "tcg": False},
}


def fixed(works: dict[str, bool], patch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []

    def check(name: str, **_: object) -> accel.AccelCheck:
        asked.append(name)
        return accel.AccelCheck(name, works[name], 0.1, f"{name} because")

    patch.setattr(accel, "check", check)
    return asked


@pytest.mark.parametrize(
    ("host", "wanted", "expected"),
    [
        ("both", "auto", "kvm"),
        ("both", "tcg", "tcg"),
        ("both", "kvm", "kvm"),
        ("no kvm", "auto", "tcg"),
        ("no kvm", "tcg", "tcg"),
    ],
)
def test_choice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, host: str, wanted: str, expected: str
) -> None:
    asked = fixed(VERDICTS[host], monkeypatch)
    chosen = bench.choose(wanted)
    assert chosen.name == expected
    assert "because" in chosen.reason
    assert wanted == "auto" or asked == [wanted], "what was asked for alone is checked"


def test_kvm_asked_for_where_there_is_none_is_the_users_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed(VERDICTS["no kvm"], monkeypatch)
    with pytest.raises(UserError, match=r"kvm was asked for but runs no guest here.*because"):
        bench.choose("kvm")


def test_no_accelerator_at_all_is_the_machines_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed(VERDICTS["none"], monkeypatch)
    with pytest.raises(InfraError, match="kvm because; tcg: tcg because"):
        bench.choose("auto")


def test_a_missing_qemu_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfraError, match="qemu-system-x86_64 is not installed"):
        accel.choose("auto", cache=Cache(tmp_path))


@pytest.mark.skipif(shutil.which(accel.QEMU) is None, reason="QEMU is not installed")
def test_the_boot_sector_runs_under_the_real_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer rounds than in earnest: what counts here is that paging and long mode are reached.
    monkeypatch.setattr(accel, "_LOOPS", 1_000_000)
    verdict = accel.check("tcg", cache=Cache(tmp_path))
    assert verdict.works, verdict.reason
    assert verdict.seconds < 10
    assert (tmp_path / "accel-checks" / "tcg.json").is_file(), "the verdict is kept"


def test_a_register_that_qemu_cannot_set_leaves_its_feature_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fake fails as QEMU did on a nested host until two features are left out."""
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    place = tmp_path / "own"
    place.mkdir()
    program = place / accel.QEMU
    program.write_text(
        """#!/bin/sh
case "$*" in
*--version*) echo "QEMU emulator version 7.2.22" ;;
*-vmx*) exit 85 ;;
*-arch-capabilities*) echo "error: failed to set MSR 0x48d to 0x16" >&2; exit 1 ;;
*) echo "warning: something" >&2; echo "error: failed to set MSR 0x10a to 0xc" >&2; exit 1 ;;
esac
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    for verdict in (bench.check("kvm"), bench.check("kvm")):  # the second from the cache
        assert verdict.works
        assert verdict.without == ("arch-capabilities", "vmx")
        assert verdict.reason.endswith("once its CPU went without arch-capabilities, vmx")
    assert bench.choose("auto").without == ("arch-capabilities", "vmx")
    assert accel.cpu("kvm", verdict.without) == "host,-arch-capabilities,-vmx"


def test_a_register_of_no_known_feature_is_a_no(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(accel, "_KVM", tmp_path)
    bench.qemu(exit=1, stderr="error: failed to set MSR 0x999 to 0x0\n")
    verdict = bench.check("kvm")
    assert not verdict.works and verdict.without == ()
    assert "failed to set MSR 0x999" in verdict.reason
