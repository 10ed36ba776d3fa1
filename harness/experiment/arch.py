# SPDX-License-Identifier: GPL-2.0-only
"""The architecture of host and guest: all that is not the same on another one, in one record.

Another architecture is one more `Architecture`, its kernel configuration fragment
(kernels/config/<name>.config), its accelerator check (vm-images/) and its line in packages.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Where QEMU's machine puts memory, in bytes.

    Memory up to ``low_whole`` lies in one piece below ``high``; of more, all but ``low_split`` lies
    above it.  ``firmware`` is what the firmware keeps at the top of the lower piece: ACPI tables
    and SeaBIOS, some hundred KiB.  The kernel's image, unpacked and not, and its first allocations
    lie below ``kernel``; ``align`` is the alignment of a persistent region.
    """

    low_whole: int
    low_split: int
    high: int
    firmware: int
    kernel: int
    align: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture.

    name: as uname prints it, and of its fragment; folder: below arch/ in a kernel tree
    debian: Debian's name for it; qemu: the program that runs its guests
    machine: of QEMU, for guests; cpus: QEMU's CPU model by accelerator
    firmware: QEMU's words for another firmware than its own, by accelerator
    console: the guest's serial console, as on the kernel's command line
    insn_append: words of that command line that the instruction clock needs
    emulated_append: likewise, for guests that are emulated under the wall clock
    insn_cpus: the most CPUs that it has timers for; turns_without: features that several CPUs
        must not have under it; turns_timers: their timers, for QEMU, {} being how many;
        turns_append: words of the command line for them
    image: the kernel image's file name; image_path: where the build leaves it
    registers: how a line of a stack trace begins that names the place of the failure; in_kernel:
        the same where that place is in the kernel
    huge_slots: swap slots of a cluster, which are the pages of a huge page
    check_machine: QEMU's words for the accelerator check; check_passed: its exit status
    assemble, link: the commands that make the check's image, without their files
    """

    name: str
    folder: str
    debian: str
    qemu: str
    machine: str
    cpus: Mapping[str, str]
    firmware: Mapping[str, tuple[str, ...]]
    console: str
    insn_append: tuple[str, ...]
    emulated_append: tuple[str, ...]
    insn_cpus: int
    turns_without: tuple[str, ...]
    turns_timers: tuple[str, ...]
    turns_append: tuple[str, ...]
    image: str
    image_path: str
    registers: tuple[str, ...]
    in_kernel: tuple[str, ...]
    huge_slots: int
    layout: Layout
    check_machine: tuple[str, ...]
    check_passed: int
    assemble: tuple[str, ...]
    link: tuple[str, ...]


X86_64 = Architecture(
    name="x86_64",
    folder="x86",
    debian="amd64",
    qemu="qemu-system-x86_64",
    machine="q35",
    # With FSRM, which QEMU 10 has and 7.2 has not, the kernel copies a page by "rep movsb". The
    # instruction clock counts 4,096 instructions for that, and QEMU runs each by itself.
    cpus={"kvm": "host", "tcg": "max,-fsrm"},
    # SeaBIOS looks for disks and screens that no guest has: 0.4 s of host time a boot.
    firmware={"tcg": ("-bios", "qboot.rom")},
    console="ttyS0,115200",
    # Calibrating the local APIC timer spins in PAUSE, which TCG turns into a way out of its main
    # loop each time: 20 s of host time a boot.  One CPU does as well with the HPET.
    insn_append=("nolapic_timer",),
    # The kernel counts ten ticks in a span of the TSC, which goes on while the host is busy.
    emulated_append=("no_timer_check",),
    # Without these the ticks of all CPUs come from one timer by IPI, and hardly any arrives: a CPU
    # ran its task for seconds of guest time.  Linux gives each CPU a timer of the HPET, which has
    # 32, only if they interrupt by message and if the local APIC's timer may stop.
    insn_cpus=16,
    turns_without=("arat",),
    turns_timers=("-global", "hpet.msi=on", "-global", "hpet.timers={}"),
    # Periodic ticks: to set a timer once gives the turn to the next vCPU until that timer fires,
    # so Linux, which then reads the HPET, finds every time that it was too late.
    turns_append=("highres=off", "nohz=off"),
    image="bzImage",
    image_path="arch/x86/boot/bzImage",
    registers=("RIP:",),
    in_kernel=("RIP: 0010:",),
    huge_slots=512,
    layout=Layout(
        low_whole=2816 << 20,
        low_split=2 << 30,
        high=4 << 30,
        firmware=16 << 20,
        kernel=128 << 20,
        align=2 << 20,
    ),
    check_machine=("-M", "pc", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    check_passed=(0x2A << 1) | 1,  # what isa-debug-exit makes of the byte 0x2a
    assemble=("as", "--64"),
    link=("ld", "-m", "elf_x86_64", "-Ttext=0x7c00", "--oformat=binary"),
)

HERE = X86_64
"""The architecture of this host and its guests: the only one so far."""
