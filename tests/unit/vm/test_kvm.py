# SPDX-License-Identifier: GPL-2.0-only
"""Each way in which KVM commonly fails is told with its remedy; the hosts are folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.vm import kvm

MSR = "QEMU ended with 1: qemu-system-x86_64: error: failed to set MSR 0x10a to 0xc04"
HANG = "/dev/kvm opens, but a guest hangs (no sign of life in 20 s)"


def host(root: Path, flags: str, *, device: bool = True) -> Path:
    (root / "proc").mkdir()
    text = f"processor\t: 0\nflags\t\t: fpu {flags} sse2\nbugs\t\t: vmx_of_no_flag\n"
    (root / "proc/cpuinfo").write_text(text, encoding="utf-8")
    (root / "dev").mkdir()
    if device:
        (root / "dev/kvm").touch(0o660)
    return root


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        ("vmx", "modprobe kvm_intel"),
        ("svm hypervisor", "modprobe kvm_amd"),
        ("hypervisor", "its host must offer nested virtualization"),
        ("avx", "in the firmware"),
    ],
)
def test_without_the_device_the_cpu_says_why(tmp_path: Path, flags: str, remedy: str) -> None:
    root = host(tmp_path, flags, device=False)
    (told,) = kvm.remedies("there is no /dev/kvm", root)
    assert told.startswith("no /dev/kvm") and remedy in told


def test_a_device_without_the_right_to_open_it_names_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (told,) = kvm.remedies("failed to initialize kvm: Permission denied", host(tmp_path, "vmx"))
    assert "usermod -aG " in told and "setfacl -m u:$USER:rw /dev/kvm" in told
    assert kvm._group(tmp_path / "dev/kvm") in told


@pytest.mark.parametrize(
    ("reason", "flags", "remedy"),
    [
        (MSR, "vmx hypervisor", "register 0x10a"),
        ("QEMU ended with 1: KVM internal error. Suberror: 1", "vmx hypervisor", "newer one"),
        (HANG, "vmx hypervisor", "kvm_intel nested=1"),
    ],
)
def test_what_qemu_said_has_its_remedy(
    tmp_path: Path, reason: str, flags: str, remedy: str
) -> None:
    (told,) = kvm.remedies(reason, host(tmp_path, flags))
    assert remedy in told


def test_what_nobody_knows_has_no_remedy(tmp_path: Path) -> None:
    assert list(kvm.remedies(HANG, host(tmp_path, "vmx"))) == []


@pytest.mark.parametrize(
    ("said", "feature"),
    [
        (MSR, "arch-capabilities"),
        ("failed to set MSR 0x48d to 0x5600000016", "vmx"),
        ("failed to set MSR 0x492 to 0x0", "vmx"),
        ("failed to set MSR 0x493 to 0x0", ""),
        ("no message", ""),
    ],
)
def test_the_feature_behind_a_register(said: str, feature: str) -> None:
    assert kvm.feature_at_fault(said) == feature
