# SPDX-License-Identifier: GPL-2.0-only
"""One boot: from a kernel and a cell to a result folder.  The sample of every analysis."""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import paramiko

from harness.build.kbuild import Kernel
from harness.experiment import program, switch
from harness.experiment.arch import HERE
from harness.experiment.cell import Cell
from harness.experiment.switch import Proof, Switch
from harness.results import checksums, console, printed, telemetry
from harness.results.console import READY, Outcome
from harness.util import atomic, scratch
from harness.util.errors import InfraError
from harness.util.versions import in_range
from harness.vm import accel, counter, disk, hostfacts, hoststate, instrument, setting
from harness.vm.guest import Keys, Shell
from harness.vm.qemu import Machine, RunningGuest
from harness.vm.watch import FLOOD, BootEnded, Deadlines, Watch

_CORRUPTED = 3  # the workloads' exit status for a wrong byte
_REMOTE = "/run/harness"
_DEBUG_APPEND = {
    "CONFIG_PAGE_POISONING": "page_poison=1",  # compiled in, and off unless it is asked for
    "CONFIG_PROVE_LOCKING": "loglevel=8",  # lockdep says in a whisper that it gives up
}
_HOST_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOST = (paramiko.SSHException, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class VmConfig:
    """What all boots of a run share: image, tools disk, keys, accelerator, clock, guest size.

    ``plugins`` are the builds of QEMU's plugins by name: those that its boots need.
    ``variants`` are the root images with further packages, for the cells that ask for them;
    ``selftests`` tools disks with the tests of each kernel on them, by its key, likewise.
    ``cmdline`` are words for the command line of every kernel; ``without`` the features that the
    CPU model goes without.  ``alone``: no other guest of this run is beside it.
    """

    root: Path
    tools: Path
    keys: Keys
    accel: str
    clock: str
    memory: int
    cpus: int
    swap: int
    disk: str
    deadlines: Deadlines
    plugins: Mapping[str, Path] = field(default_factory=dict)
    variants: Mapping[tuple[str, ...], Path] = field(default_factory=dict)
    selftests: Mapping[str, Path] = field(default_factory=dict)
    cmdline: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    alone: bool = False

    def disk_for(self, cell: Cell) -> str:
        """The kind of disk that a cell's swap files lie on."""
        return cell.disk_on(self.disk)

    def root_for(self, cell: Cell) -> Path:
        """The root image of a cell's boots.  Raises KeyError if it was not made."""
        return self.variants[cell.packages] if cell.packages else self.root

    def tools_for(self, request: BootRequest) -> Path:
        """The tools disk of a boot.  Raises KeyError if it was not made."""
        tested = request.cell.workload.selftests
        return self.selftests[request.kernel.key] if tested else self.tools


class Observed(StrEnum):
    """How much the sampler does in a guest."""

    FULL = "full"
    MARKS = "marks"
    """Marks are kept, counters brought up to date at them and a rest taken; nothing is read."""
    NONE = "none"
    """It does not run, and nothing is known but the workload's figures."""


@dataclass(frozen=True, slots=True)
class BootRequest:
    """Which boot this is: ``position`` is its place inside the pair, 0 first.

    ``observed`` is how much the sampler does; comparisons always use all of it.
    With ``profiled`` the kernel counts every allocation by its source line (Linux 6.10 and later).
    ``instrument`` is the plugin of QEMU that a boot of its own has, see `harness.vm.instrument`; a
    boot without one is a sample of the comparison.
    ``switch`` is how the kernel is switched in the guest.
    ``home`` is the result that the boot is of, as seen from the folder of a study of several; ""
    where there is one result.
    """

    cell: Cell
    arm: str
    pair: int
    position: int
    seed: int
    kernel: Kernel
    observed: Observed = Observed.FULL
    profiled: bool = False
    instrument: str = ""
    switch: Switch = switch.NOTHING
    home: str = ""

    @property
    def folder(self) -> str:
        """Its place below the result's ``boots`` folder, or below the folder of the study."""
        suffix = f".{self.instrument}" if self.instrument else ""
        place = f"{self.cell.name}/{self.pair:02d}-{self.arm}{suffix}"
        return f"{self.home}/boots/{place}" if self.home else place

    def plugin(self, cpus: int) -> str:
        """The plugin that QEMU loads for it in a guest of so many CPUs, "" if none."""
        return self.instrument or (instrument.COUNT if counter.counts(self.cell, cpus) else "")


@dataclass(frozen=True, slots=True)
class BootEnd:
    """How a boot ended; its evidence is in ``folder``."""

    request: BootRequest
    outcome: Outcome
    detail: str
    seconds: float
    folder: Path


def run(request: BootRequest, host: VmConfig, boots: Path, *, stop: threading.Event) -> BootEnd:
    """Boot, prepare, run, collect, publish.  A guest's failure is a result, not an exception.

    Raises InfraError for what is not the guest's doing (QEMU missing, no disk) and Interrupted
    when ``stop`` is set; neither leaves a result.
    """
    target = boots / request.folder
    if not (target / "boot.json").is_file():
        shutil.rmtree(target, ignore_errors=True)  # a result without its record is none
    start = time.monotonic()
    with atomic.folder(target) as folder, scratch.folder() as tmp:
        record = _Record(request, host)
        try:
            _drive(request, host, folder, Path(tmp), record, stop)
            said = request.cell.workload.definition
            outcome, detail = _conclude(folder, said.expected_console, said.failing_console)
            if outcome is Outcome.OK and request.observed is Observed.FULL:
                record.proof = _proven(request.switch.proof, record.said, folder)
        except BootEnded as end:
            outcome, detail = end.outcome, end.detail
        shutil.move(Path(tmp) / "qemu.log", folder / "qemu.log")
        instrument.pack(request.plugin(host.cpus), folder)
        raw = folder / "samples.raw"
        stream = raw.read_bytes() if raw.is_file() else b""
        (folder / "samples.raw.gz").write_bytes(telemetry.pack(stream))
        raw.unlink(missing_ok=True)
        (folder / "boot.json").write_text(record.text(outcome, detail), encoding="utf-8")
        checksums.boot(folder)
    return BootEnd(request, outcome, detail, time.monotonic() - start, target)


class _Record:
    """boot.json as it grows."""

    def __init__(self, request: BootRequest, host: VmConfig) -> None:
        self.wall: dict[str, float] = {}
        self.readback: dict[str, str] = {}
        self.said = self.proof = ""
        self.host_state: dict[str, Any] = {}
        self._request, self._host = request, host
        self._started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.wall[stage] = round(time.monotonic() - start, 2)

    def text(self, outcome: Outcome, detail: str) -> str:
        request, cell = self._request, self._request.cell
        return atomic.json_text(
            {
                "schema": 1,
                "cell": cell.name,
                "backend": cell.backend.name,
                "backend_kind": cell.backend.kind,
                "backend_settings": dict(cell.backend.settings),
                "backend_readback": self.readback,
                "waits_io": cell.waits_io,
                "workload": cell.workload.name,
                "params": dict(cell.workload.parameters),
                "memory_max": cell.workload.memory_max,
                "arm": request.arm,
                "pair": request.pair,
                "position": request.position,
                "seed": request.seed,
                "outcome": outcome.value,
                "detail": detail,
                "clock": self._host.clock,
                "accel": self._host.accel,
                "host": asdict(hostfacts.here()),
                "host_state": self.host_state,
                "kernel": request.kernel.key,
                "kernel_release": request.kernel.release,
                "observed": request.observed,
                "profiled": request.profiled,
                **({"instrument": request.instrument} if request.instrument else {}),
                "switch": request.switch.shown,
                "proof": self.proof,
                "wall_s": self.wall,
                "started": self._started,
            }
        )


def machine(request: BootRequest, host: VmConfig, folder: Path, tmp: Path) -> Machine:
    """The machine of one boot; its files go to ``folder``, what is thrown away to ``tmp``."""
    profiling = "1" if request.profiled else "never"
    can_profile = in_range(request.kernel.release, ">=6.10")
    config = request.kernel.config
    backend, kind = request.cell.backend, host.disk_for(request.cell)
    has_file = disk.has_disk(backend) and kind == "host"
    memory = host.memory + disk.guest_bytes(backend, kind, host.swap)
    plugin = request.plugin(host.cpus)
    in_turn = host.clock == "insn" and host.cpus > 1
    loaded = None
    if request.instrument or plugin in host.plugins:
        loaded = instrument.make(plugin, host.plugins, request.kernel, folder, tmp)
    return Machine(
        folder=folder,
        log=tmp / "qemu.log",
        socket=tmp / "qmp.sock",
        kernel=request.kernel.image,
        root=host.root_for(request.cell),
        tools=host.tools_for(request),
        swap=tmp / "swap.img" if has_file else None,
        memory=memory,
        cpus=host.cpus,
        accel=host.accel,
        cpu=accel.cpu(host.accel, (*host.without, *(HERE.turns_without if in_turn else ()))),
        icount=host.clock == "insn",
        numa=dict(backend.settings).get("numa", "1"),
        seed=request.seed,
        instrument=loaded,
        # Compiled in, and off: only a boot that is asked for it pays for it.
        append=(
            *((f"sysctl.vm.mem_profiling={profiling}",) if can_profile else ()),
            *(HERE.insn_append if host.clock == "insn" else ()),
            *(HERE.turns_append if in_turn else ()),
            *(HERE.emulated_append if (host.clock, host.accel) == ("wall", "tcg") else ()),
            "null_blk.nr_devices=0",  # one is made by hand where it is wanted
            *(word for option, word in _DEBUG_APPEND.items() if config.get(option) == "y"),
            *disk.boot_words(backend, memory, host.swap),
            *host.cmdline,
            *request.switch.append,
        ),
    )


def _deadlines(request: BootRequest, host: VmConfig) -> Deadlines:
    return host.deadlines.slower(instrument.SLOWER.get(request.instrument, 1.0))


def _drive(
    request: BootRequest,
    host: VmConfig,
    folder: Path,
    tmp: Path,
    record: _Record,
    stop: threading.Event,
) -> None:
    vm = machine(request, host, folder, tmp)
    if vm.swap:
        disk.make(vm.swap, request.cell.backend, host.swap)
    deadlines = _deadlines(request, host)
    with RunningGuest(vm) as guest, Watch(guest, silence=deadlines.silence, stop=stop) as watch:
        try:
            with record.timed("boot"):
                watch.expect("boot", deadlines.boot)
                port = guest.ssh_port(deadline=deadlines.boot)
                pinned = _pinned(guest, host)
                watch.wait_for_line(READY)
                shell = Shell(port, host.keys, timeout=deadlines.command)
            before, own = hoststate.look(), guest.cpu_seconds
            with shell:
                _measure(request, host, folder, shell, watch, record)
            if host.clock == "wall":
                own = guest.cpu_seconds - own
                moved = hoststate.during(before, hoststate.look(), own)
                record.host_state = {**moved, "pinned": list(pinned)}
        except _LOST as error:
            if isinstance(error, OSError) and error.errno in _HOST_FULL:
                raise InfraError(f"cannot keep what the guest sent: {error.strerror}") from error
            watch.settle()
            raise BootEnded(Outcome.LOST, f"the connection to the guest broke: {error}") from error


def _pinned(guest: RunningGuest, host: VmConfig) -> tuple[int, ...]:
    """Pin the vCPUs where time counts: a thread that moves to another core leaves its caches."""
    if host.clock != "wall" or not host.alone:
        return ()
    cpus = hoststate.cpus_for(host.cpus, hoststate.cores())
    if cpus:
        guest.pin(cpus)
    return cpus


def _measure(
    request: BootRequest, host: VmConfig, folder: Path, shell: Shell, watch: Watch, record: _Record
) -> None:
    deadlines, cell = _deadlines(request, host), request.cell
    definition = cell.workload.definition
    with record.timed("prepare"):
        watch.expect("prepare", deadlines.command)
        words = (*host.cmdline, *request.switch.append)
        setting.require_known(words, _text(folder / "console.log"))
        switched = dict(setting.switched(request.switch, shell))
        conditions = setting.Conditions(cell.backend.conditions, host.cmdline, shell)
        conditions.set_first()
        told = disk.words(cell.backend, host.disk_for(cell), host.swap, request.seed)
        answer = shell.run(["/opt/harness/bin/prepare", cell.backend.kind, *told])
        if answer.returncode != 0:
            raise BootEnded(Outcome.PREPARE_FAILED, answer.stderr.strip() or "no message")
        lines = (line.split("\t", 1) for line in answer.stdout.splitlines() if "\t" in line)
        record.readback = {path: value.strip("; ") for path, value in lines} | switched
        record.readback |= conditions.settled()
    with record.timed("workload"):
        interval = {
            Observed.FULL: str(definition.sample_interval_ms),
            Observed.MARKS: "bare",
            Observed.NONE: "off",
        }[request.observed]
        watched = request.observed is not Observed.NONE
        watch.expect("workload", deadlines.workload, samples=watched)
        in_step = "1" if host.clock == "insn" else "0"
        argv = ["/opt/harness/bin/run-workload", interval, in_step, cell.workload.memory_max]
        answer = shell.run([*argv, *cell.workload.argv])
        if answer.returncode != 0:
            raise BootEnded(Outcome.INFRA, f"run-workload: {answer.stderr.strip()}")
    with record.timed("collect"):
        watch.expect("collect", deadlines.command)
        plain = ("workload.jsonl", "workload.err", "workload.status", "footprint")
        for name in (*plain, *definition.outputs):
            shell.fetch(f"{_REMOTE}/{name}", folder / name)
        _add_printed(cell, folder)
        proof = request.switch.proof
        if proof and proof.when == switch.DONE:
            record.said = shell.run(["cat", proof.file]).stdout


def _add_printed(cell: Cell, folder: Path) -> None:
    """Put the numbers that a program of the user's own printed among those of its runner."""
    own, place = cell.workload.own, folder / "workload.jsonl"
    if own and (own.metrics or own.phases) and place.is_file():
        text = _text(place)
        found = [
            *printed.lines(_text(folder / program.OUTPUT), dict(own.metrics)),
            *printed.phases(text, [name for name, _ in own.phases]),
        ]
        place.write_text(printed.inserted(text, found), encoding="utf-8")


def _proven(proof: Proof | None, done: str, folder: Path) -> str:
    """What proves that the feature ran, "" where nothing is asked for.

    ``done`` is what the file of a proof at the end says.  Raises BootEnded where there is no proof.
    """
    if proof is None:
        return ""
    found = [(done, "at the end")] if proof.when == switch.DONE else list(_sampled(proof, folder))
    values = [(proof.value(text), when) for text, when in found]
    for value, when in values:
        if value is not None and proof.holds(value):
            return f"{proof.file}: {value[:80]} {when}"
    seen = sorted({value[:40] for value, _ in values if value})
    said = f"it says {', '.join(seen[:3])}" if seen else "it is missing or says nothing"
    raise BootEnded(Outcome.UNPROVEN, f"no proof that it ran ({proof.shown}): {said}")


def _sampled(proof: Proof, folder: Path) -> Iterator[tuple[str, str]]:
    """What each sample says of the file, and which sample that is."""
    raw = folder / "samples.raw"
    stream = telemetry.read(raw.read_bytes() if raw.is_file() else b"")
    for sample in stream.samples:
        for file in sample.files:
            if file.path == proof.file:
                yield file.text, f"in sample {sample.seq} ({sample.reason})"


def _conclude(
    folder: Path, expected: Sequence[str] = (), failing: Sequence[str] = ()
) -> tuple[Outcome, str]:
    """The outcome of a boot whose workload came to its end; patterns as the workload has them."""
    number, errors = _text(folder / "workload.status"), _text(folder / "workload.err")
    status = int(number) if re.fullmatch(r"\d{1,3}", number) else None
    said = errors.splitlines()[-1] if errors else "no message"
    if status == _CORRUPTED:
        return Outcome.CORRUPTED, said
    log = folder / "console.log"
    if log.is_file() and log.stat().st_size > FLOOD:  # it came between the last look and the end
        return Outcome.FLOOD, f"{log.name} has {log.stat().st_size >> 20} MiB"
    finding = console.worst(_text(log), expected=expected)
    if finding:
        return finding.outcome, finding.text
    if line := console.first(_text(log), failing):
        return Outcome.WORKLOAD_FAILED, f"the console has a line that counts as a failure: {line}"
    if status is None:
        return Outcome.WORKLOAD_FAILED, "it left no exit status behind"
    if status != 0:
        return Outcome.WORKLOAD_FAILED, f"exit status {status}: {said}"
    if not _is_done(folder / "workload.jsonl"):
        return Outcome.WORKLOAD_FAILED, "its output ends before its last line"
    return Outcome.OK, ""


def _is_done(path: Path) -> bool:
    try:
        last = json.loads(_text(path).rpartition("\n")[2])
    except ValueError:
        return False
    return isinstance(last, dict) and last.get("type") == "done"


def _text(path: Path) -> str:
    """A guest's file, whatever is in it; empty when it is not there."""
    if not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace").strip()
