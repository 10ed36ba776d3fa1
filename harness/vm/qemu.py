# SPDX-License-Identifier: GPL-2.0-only
"""The virtual machine: QEMU's command line, its process, and QMP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError

from harness.experiment.arch import HERE
from harness.util.errors import InfraError
from harness.util.process import stop, tethered
from harness.vm.instrument import Instrument

# A monitor that does not answer yet, or no more, is this module's to tell.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

# shift=0: one instruction is one nanosecond of guest time.  sleep=off: an idle guest's clock jumps
# to its next timer instead of waiting for the host.
ICOUNT = "shift=0,sleep=off"
# The guest's calendar starts here in every boot: the time of day is an input, too.
_RTC = "base=2026-01-01T00:00:00,clock=vm"
# The HPET's timers that Linux gives to no CPU.
_OTHER_TIMERS = 3
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b")


@dataclass(frozen=True, slots=True)
class Machine:
    """One guest to start; sizes in bytes.

    ``folder`` takes console, samples and the command line; ``log`` takes QEMU's own words.
    ``socket`` is QMP's; it lies elsewhere because a socket's path may have 107 bytes only.
    ``instrument`` is the plugin that looks on, None for a guest without one.
    ``cpu`` is QEMU's word for the CPU model.
    ``numa`` is a number of nodes of one size each, or "memoryless": all memory is on one node, all
    CPUs on another.
    """

    folder: Path
    log: Path
    socket: Path
    kernel: Path
    root: Path
    tools: Path
    swap: Path | None
    memory: int
    cpus: int
    accel: str
    cpu: str
    icount: bool
    seed: int
    append: tuple[str, ...] = ()
    instrument: Instrument | None = None
    numa: str = "1"

    @property
    def console(self) -> Path:
        """The serial console's log, from the first byte."""
        return self.folder / "console.log"

    @property
    def samples(self) -> Path:
        """The sampler's stream."""
        return self.folder / "samples.raw"


def kernel_command_line(machine: Machine) -> str:
    """The guest kernel's command line."""
    words = (
        f"console={HERE.console}", "root=/dev/vda", "rw", "init=/sbin/harness-init",
        # A crash ends QEMU at once (-no-reboot) instead of hanging around.
        "panic=-1", "oops=panic",
        "nokaslr", "random.trust_cpu=on", "net.ifnames=0",
        *machine.append,
    )  # fmt: skip
    return " ".join(words)


def argv(machine: Machine) -> list[str]:
    """QEMU's command line for ``machine``.  Pure."""
    icount = ["-icount", ICOUNT] if machine.icount else []
    if machine.icount and machine.cpus > 1:
        icount += [word.format(machine.cpus + _OTHER_TIMERS) for word in HERE.turns_timers]
    plugin = []
    if machine.instrument:
        one = machine.instrument
        words = (("file", str(one.plugin)), ("out", str(one.out)), *one.options)
        plugin = ["-plugin", ",".join(f"{key}={_escape(value)}" for key, value in words)]
    swap = (
        _disk("swap", machine.swap, "format=raw,cache=unsafe,discard=unmap") if machine.swap else []
    )
    return [
        HERE.qemu,
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",

        "-machine", HERE.machine, "-accel", _accel(machine), "-cpu", machine.cpu,
        *HERE.firmware.get(machine.accel, ()),
        "-smp", str(machine.cpus), "-m", f"{machine.memory >> 20}M",
        *_nodes(machine), *icount, *plugin, "-rtc", _RTC, "-seed", str(machine.seed),

        "-kernel", str(machine.kernel), "-append", kernel_command_line(machine),

        "-chardev", f"file,id=console,path={_escape(machine.console)}",
        "-serial", "chardev:console",
        "-qmp", f"unix:{_escape(machine.socket)},server=on,wait=off",

        # In the order in which the guest names them: vda, vdb, vdc.
        *_disk("root", machine.root, "format=raw,snapshot=on"),
        *_disk("tools", machine.tools, "format=raw,readonly=on"),
        *swap,

        "-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22",
        "-device", "virtio-net-pci,netdev=net,romfile=",

        # Written by the CPU's own thread: the guest goes on when a sample is in the file, at a
        # guest time that does not depend on the host's scheduler.
        "-device", "virtio-serial-pci,ioeventfd=off",
        "-chardev", f"file,id=samples,path={_escape(machine.samples)}",
        "-device", "virtserialport,chardev=samples,name=harness.samples",

        "-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng",
    ]  # fmt: skip


def _accel(machine: Machine) -> str:
    """One thread for all vCPUs that are emulated under the wall clock.

    With a thread each QEMU 7.2 can translate code while another vCPU replaces it, and keep the
    translation: the guest dies of a breakpoint of its own patching ("Oops: int3").  QEMU 10 locks
    the page before it translates.
    """
    is_raced = machine.accel == "tcg" and machine.cpus > 1 and not machine.icount
    return f"{machine.accel},thread=single" if is_raced else machine.accel


def _nodes(machine: Machine) -> list[str]:
    """The NUMA nodes; all CPUs are on the last one without memory, or on the first."""
    if machine.numa == "1":
        return []
    is_split = machine.numa != "memoryless"
    count = int(machine.numa) if is_split else 1
    whole = machine.memory >> 20
    words = []
    for node in range(count):
        size = whole // count if node else whole - whole // count * (count - 1)
        words += ["-object", f"memory-backend-ram,id=node{node},size={size}M"]
        words += ["-numa", f"node,nodeid={node},memdev=node{node}"]
    words += [] if is_split else ["-numa", f"node,nodeid={count}"]
    home = 0 if is_split else count
    # All CPUs are cores of the one socket that QEMU makes.
    return [*words, "-numa", f"cpu,node-id={home},socket-id=0"]


def printable(line: list[str]) -> str:
    """A command line to paste, one option a line."""
    text = shlex.quote(line[0])
    for word in line[1:]:
        text += (" \\\n    " if word.startswith("-") else " ") + shlex.quote(word)
    return text + "\n"


class RunningGuest:
    """A running QEMU.  Use as a context manager: leaving it ends the process."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningGuest:
        line = argv(self.machine)
        (self.machine.folder / "qemu.txt").write_text(printable(line), encoding="utf-8")
        with self.machine.log.open("wb") as log:
            self._process = subprocess.Popen(
                tethered(line, fenced=True),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def returncode(self) -> int | None:
        """QEMU's exit status, None while it runs."""
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """End QEMU; safe to call twice and from another thread."""
        if self._process:
            stop(self._process, patience=2.0)

    @property
    def refused(self) -> bool:
        """Whether QEMU ended on its own account: with an error, before the guest said a word."""
        console = self.machine.console
        silent = not console.exists() or console.stat().st_size == 0
        return self.returncode not in {None, 0} and silent

    def words(self) -> str:
        """What QEMU itself said, for a message."""
        text = self.machine.log.read_text(encoding="utf-8", errors="replace").strip()
        return text.splitlines()[-1] if text else "no message"

    def ssh_port(self, *, deadline: float = 30.0) -> int:
        """The loopback port that QEMU itself chose for SSH, asked over QMP.

        The kernel hands it out to QEMU, so two guests can never collide.
        Raises ConnectionError when QEMU ends, InfraError when it does not answer within
        ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            if self.returncode is not None:
                raise ConnectionError(f"QEMU ended with {self.returncode}: {self.words()}")
            with contextlib.suppress(QMPError, OSError, TimeoutError):
                answer = self.qmp("human-monitor-command", {"command-line": "info usernet"})
                match = _FORWARD.search(str(answer))
                if match:
                    return int(match[1])
            time.sleep(0.05)
        raise InfraError(f"QEMU did not answer on its monitor in {deadline:.0f} s: {self.words()}")

    def pin(self, cpus: Sequence[int]) -> None:
        """Pin each vCPU's thread to a CPU of the host: the first to the first, and so on.

        Raises InfraError when QEMU does not tell its threads.
        """
        try:
            answer = self.qmp("query-cpus-fast")
        except (QMPError, OSError, TimeoutError) as error:
            raise InfraError(f"QEMU does not tell the threads of its vCPUs: {error}") from error
        threads = [one["thread-id"] for one in answer] if isinstance(answer, list) else []
        for thread, cpu in zip(threads, cpus, strict=True):
            os.sched_setaffinity(thread, {cpu})

    @property
    def cpu_seconds(self) -> float:
        """CPU time that QEMU has taken so far, all threads together; 0 once it has ended."""
        if not self._process or self._process.poll() is not None:
            return 0.0
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        words = text.rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def qmp(self, command: str, arguments: dict[str, Any] | None = None) -> object:
        """Run one QMP command and return its answer."""

        async def ask() -> object:
            client = QMPClient("harness")
            await asyncio.wait_for(client.connect(str(self.machine.socket)), 10)
            try:
                return await asyncio.wait_for(client.execute(command, arguments), 10)
            finally:
                await client.disconnect()

        return asyncio.run(ask())


def _disk(name: str, path: Path, options: str) -> list[str]:
    return [
        "-drive", f"if=none,id={name},file={_escape(path)},{options}",
        "-device", f"virtio-blk-pci,drive={name}",
    ]  # fmt: skip


def _escape(path: Path | str) -> str:
    """A comma in a path would end the option; QEMU wants it doubled."""
    return str(path).replace(",", ",,")
