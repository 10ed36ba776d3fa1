# SPDX-License-Identifier: GPL-2.0-only
"""Why KVM runs no guest here, and what to do about it.

The words that are looked for are those of the kernel and of QEMU; no host whose KVM runs guests was
at hand, so the remedies were not tried.
"""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

_DEVICE = "dev/kvm"
_MSR = re.compile(r"failed to set MSR (0x[0-9a-f]+)", re.IGNORECASE)
_FEATURES = {
    0x10A: "arch-capabilities",
    0x122: "rtm",
    0x345: "pdcm",
    0x6E0: "tsc-deadline",
    0xDA0: "xsaves",
    **dict.fromkeys(range(0x480, 0x493), "vmx"),
}
"""The feature of ``-cpu host`` that brings a model-specific register."""
_OLD = ("internal error", "entry failed", "unexpected exit", "doesn't support", "unsupported")


def feature_at_fault(said: str) -> str:
    """The CPU feature to leave out where QEMU cannot set a register of it; "" if none is known."""
    found = _MSR.search(said)
    return _FEATURES.get(int(found[1], 16), "") if found else ""


def remedies(reason: str, root: Path = Path("/")) -> Iterator[str]:
    """What to do where KVM failed for ``reason``, in words of the accelerator check."""
    flags = _flags(root)
    if not (root / _DEVICE).exists():
        yield _no_device(flags)
    elif not os.access(root / _DEVICE, os.R_OK | os.W_OK):
        group = _group(root / _DEVICE)
        yield (
            f"no right to open /dev/kvm: usermod -aG {group} $USER and log in again, or for now "
            "setfacl -m u:$USER:rw /dev/kvm"
        )
    elif found := _MSR.search(reason):
        yield (
            f"QEMU cannot set the register {found[1]} of this CPU: a newer QEMU or kernel may, "
            "or the feature that brings it is to be left out of the CPU model"
        )
    elif any(word in reason.lower() for word in _OLD):
        yield "QEMU may be older than this CPU: try a newer one, e.g. of Debian's backports"
    elif "hypervisor" in flags:
        yield (
            "this machine is a guest itself, and nested virtualization does not work in it: "
            "its host needs kvm_intel nested=1 (kvm_amd nested=1) and the CPU model host"
        )


def _no_device(flags: Collection[str]) -> str:
    if "vmx" in flags or "svm" in flags:
        return f"no /dev/kvm: modprobe {'kvm_intel' if 'vmx' in flags else 'kvm_amd'}"
    if "hypervisor" in flags:
        return (
            "no /dev/kvm: this machine is a guest itself, and its host must offer nested "
            "virtualization (kvm_intel nested=1 or kvm_amd nested=1, CPU model host)"
        )
    return "no /dev/kvm: turn VT-x or AMD-V on in the firmware, if the CPU has it"


def _flags(root: Path) -> frozenset[str]:
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _group(path: Path) -> str:
    number = path.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
