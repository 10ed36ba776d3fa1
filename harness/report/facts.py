# SPDX-License-Identifier: GPL-2.0-only
"""Sentences about a run: what was compared, on what, by which clock, how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence

from harness.experiment import backend, switch
from harness.experiment.arch import HERE
from harness.report import conditions
from harness.report.model import Facts
from harness.results import observer
from harness.results.frames import ARMS, Frames
from harness.results.manifest import UNKNOWN, ArmFacts, BackendFacts, Manifest, known, shown

_TURNS = "insn, several vCPUs"
_CLOCKS = {
    "insn": "instruction clock (QEMU TCG -icount, 1 vCPU): 1 ns of guest time is 1 executed "
    "guest instruction; where the guest waits, elapsed time has that in it, CPU time has not",
    _TURNS: "instruction clock (QEMU TCG -icount, {} vCPUs in turn): 1 ns of guest time is 1 "
    "executed guest instruction of any vCPU",
    "wall": "wall time",
}

# What run-workload and the sampler do to both kernels alike, because boots differ in it by chance.
_STATE = (
    "memcg's counters brought up to date; each CPU's list of free pages down to its smallest "
    "limit; 50 ms of rest"
)
_STEP = "; each round begins just after memcg's periodic flush, and vm.stat_interval is 3600 s"

_COUNTED = (
    "Every instruction counts the same: no cost of cache misses, TLB misses, memory "
    "bandwidth or NUMA.",
    "QEMU counts each iteration of a string instruction (rep stosb, rep movsb): clearing a "
    "page counts some 4,100. Where a series clears or copies more pages, or fewer, the change "
    "in instructions says little about the change in time.",
)
_BLIND = {
    ("insn", "tcg"): (*_COUNTED, "One vCPU: no lock contention, no parallel reclaim."),
    (_TURNS, "tcg"): (
        *_COUNTED,
        "The vCPUs run in turn, each until the next timer (4 ms of its instructions, mostly) or "
        "until it halts or spins: waiting for locks is not seen.",
        "Elapsed times are the instructions of all vCPUs together. CPU times, stalls and latencies "
        "of single tasks are left out: they have in them what other vCPUs executed meanwhile.",
    ),
    ("wall", "tcg"): (
        "The guest was emulated: the cost of an instruction, of a cache miss and of a TLB miss "
        "is the emulator's, not a processor's.",
        "Other load on the host is in the numbers.",
    ),
    ("wall", "kvm"): (
        "Other load on the host, its frequency changes and its page cache are in the numbers.",
        "One machine's caches, memory and disk: other machines differ.",
    ),
}

_EVERYWHERE = {
    "CONFIG_PREEMPT_COUNT": "each lock counts preemption where it is set",
    "CONFIG_SMP": "locks and per-CPU data cost more where it is set",
    "CONFIG_DEBUG_VM": "mm checks itself where it is set",
    "CONFIG_LOCKDEP": "each lock is tracked where it is set",
}
"""Options that are paid at every step of a kernel's way, with what they cost."""

_UNSEEN = {
    "insn": "Instruction clock: blind to caches, TLBs, lock contention, device time.",
}


def gather(
    data: Frames, manifest: Manifest, clock: str, hosts: Sequence[tuple[str, str]] = ()
) -> Facts:
    """All facts of a run; what the manifest lacks is "unknown". ``hosts`` are lines of `hosts`."""
    accel = manifest.accel
    if accel == UNKNOWN:
        found = sorted({name for name in data.boots["accel"] if name})
        accel = ", ".join(found) or UNKNOWN
    return Facts(
        compared=tuple((arm, _arm(data, manifest.arm(arm), arm)) for arm in ARMS),
        patches=tuple(
            f"{known(one.number)}. {one.subject} ({one.patch_id[:12]})"
            for one in manifest.series.patches
        ),
        clock=_clock(manifest, clock, accel),
        blind=(
            *_BLIND.get(
                (_way(manifest, clock), accel), ("The clock or the accelerator is unknown.",)
            ),
            *_disk_blindness(manifest, clock),
            *_confounders(manifest),
        ),
        unseen=_UNSEEN.get(clock, ""),
        machine=(*_machine(data, manifest), *hosts),
        repeat=_repeat(manifest),
        config_diff=_config_diff(manifest),
        same_kernel=_same_kernel(manifest),
        basis=_basis(manifest),
        conditions=conditions.gather(data),
        skipped=tuple(f"{item.cell}: {item.reason}" for item in manifest.skipped),
        debug=_debug(manifest),
        doubts=doubts(manifest),
        unset=_unset(manifest),
    )


def _disk_blindness(manifest: Manifest, clock: str) -> tuple[str, ...]:
    """What follows from the disk that swap files lie on."""
    random = "Waiting for host disk I/O is charged at random."
    if manifest.guest.disk != "sim":
        return (random,) if clock == "insn" else ()
    latency = known(manifest.guest.disk_latency_ns)
    behind = sorted(name for name, one in manifest.backends.items() if _has_disk(one))
    simulated = (
        f"The disk behind {', '.join(behind) or 'swap'} is simulated in the guest's memory "
        f"(null_blk) and answers each request {latency} ns of guest time later: no device's own "
        "time, no full queue."
    )
    others = sorted(name for name in manifest.workloads if manifest.disk_of(name) == "host")
    return (
        # Older results do not name their back-ends.
        *([simulated] if behind or not manifest.backends else []),
        *([f"That of {', '.join(others)} is the host's. {random}"] if others else []),
    )


def _has_disk(one: BackendFacts) -> bool:
    """Whether any of its pages may go to a disk; so where nobody knows its kind."""
    areas = {kind.disk for kind in backend.known().values() if kind.kind == one.kind}
    return not areas or bool(areas & {"ext4", "raw"}) or "writeback" in one.settings


def _confounders(manifest: Manifest) -> tuple[str, ...]:
    """Options that cost everywhere and that the two kernels do not share."""
    symbols = {item.symbol: item for item in manifest.config_diff}
    return tuple(
        f"{symbol.removeprefix('CONFIG_')} is {symbols[symbol].base} in one kernel and "
        f"{symbols[symbol].patch} in the other, and {what}: a difference between them is "
        "not swap's alone."
        for symbol, what in _EVERYWHERE.items()
        if symbol in symbols
    )


def _config_diff(manifest: Manifest) -> tuple[str, ...]:
    """A sentence for each reason why a symbol may differ.

    Symbols that only one tree has are counted: the manifest lists them, nobody can set them alike.
    """
    reasons: dict[str, list[str]] = {}
    for item in manifest.config_diff:
        change = f"{item.symbol.removeprefix('CONFIG_')} {item.base} -> {item.patch}"
        reasons.setdefault(item.reason, []).append(change)
    return tuple(
        f"{reason}: {len(changes)} symbols, in manifest.json"
        if reason == "only one tree has it"
        else f"{reason}: {', '.join(changes)}"
        for reason, changes in sorted(reasons.items())
    )


def doubts(manifest: Manifest) -> tuple[str, ...]:
    """Why the patches may not be what was meant: at most three sentences."""
    said = manifest.series.doubts
    more = (f"and {len(said) - 3} more, in manifest.json",) if len(said) > 3 else ()
    return tuple(f"PATCHES: {one}." for one in (*said[:3], *more))


def _debug(manifest: Manifest) -> str:
    found = [item.removeprefix("CONFIG_") for item in manifest.debug]
    if not found:
        return ""
    return (
        "NO MEASUREMENT: a kernel was built with debug options, whose own cost is in every figure; "
        f"only outcomes count here ({', '.join(found)})."
    )


def _arm(data: Frames, facts: ArmFacts, arm: str) -> str:
    boots = data.boots[data.boots["arm"] == arm]
    releases = sorted({release for release in boots["kernel_release"] if release})
    text = (
        f"{facts.name} ({facts.kind}), version {facts.version}, commit {facts.commit[:12]}, "
        f"booted as {', '.join(releases) or UNKNOWN}"
    )
    if series := facts.series:
        count = len(series.patches)
        text += f", with series {series.name} ({series.title}), {count} "
        text += "patch" if count == 1 else "patches"
        if series.basis and series.basis.warning:
            text += f"; WARNING: {series.basis.warning}"
    if facts.switch:
        text += f"; in the guest: {switch.told(facts.switch)}"
    if missing := facts.origin.get("missing_files"):
        text += f"; its tree lacks {len(str(missing).splitlines())} files, listed in manifest.json"
    return text


def _unset(manifest: Manifest) -> str:
    """That the series was measured as it is by default, with what it brings left off."""
    found = manifest.arm("patch").unset
    if not found:
        return ""
    both = "ARMS=off,on measures both" if len(found) == 1 else "HEAD_CONFIG= or ARMS= sets them"
    return f"Measured with {', '.join(found)} off, as the series leaves it: {both}."


def _basis(manifest: Manifest) -> str:
    """Who named the base, and how many files the series' index lines find in it."""
    basis = manifest.series.basis
    if basis is None:
        return ""
    by = {"user": "the user", "base-commit": "its base-commit line", "blobs": "its blob ids"}
    text = f"named by {by.get(basis.by, UNKNOWN)}"
    files, differ = basis.files, basis.differ_count
    if files and differ is not None:
        text += f"; {files - differ} of the {files} files that it changes are as it was made on"
    return text + (f"; it states base-commit {basis.stated[:12]}" if basis.stated else "")


def _way(manifest: Manifest, clock: str) -> str:
    return _TURNS if manifest.in_turn(clock) else clock


def _clock(manifest: Manifest, clock: str, accel: str) -> str:
    text = _CLOCKS.get(_way(manifest, clock), UNKNOWN).format(manifest.guest.cpus)
    if clock == "wall":
        text += f" under QEMU {accel}"
    reason = manifest.accel_reason
    return text + (f"; why {accel}: {reason}" if reason != UNKNOWN else "") + "."


def _machine(data: Frames, manifest: Manifest) -> tuple[tuple[str, str], ...]:
    stages = ", ".join(f"{one.stage} {known(one.seconds)} s" for one in manifest.stages)
    return (
        ("Guest", shown(manifest.guest.model_dump(exclude_unset=True))),
        ("Host", shown(manifest.host)),
        ("QEMU", manifest.qemu_version),
        ("Compiler", _compiler(manifest)),
        ("Back-ends", "; ".join(manifest.backend_list()) or UNKNOWN),
        *_shared(manifest),
        ("State at each mark", _STATE + (_STEP if manifest.clock == "insn" else "")),
        ("Sampler", _sampler(data)),
        ("Observer effect", _observer(manifest)),
        ("Stages", stages or UNKNOWN),
    )


def _shared(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """Boots of the base that were run for another result: said only where there are any."""
    donors = sorted(manifest.shared_boots.items())
    text = ", ".join(f"{count} with {donor}" for donor, count in donors)
    return (("Boots of the base shared", text),) if text else ()


def _sampler(data: Frames) -> str:
    """What the measuring itself cost."""
    boots = data.boots[data.boots["usable"] & (data.boots["samples"] > 0)]
    if boots.empty:
        return UNKNOWN
    return (
        f"{boots['samples'].median():.0f} samples and "
        f"{boots['sampler_cpu_ns'].median() / 1e6:.3g} ms of guest CPU time in a boot (medians)"
        + "".join(
            f"; {name} holds {size / (1 << 20):.1f} MiB of its memory"
            for name, size in observer.footprint(data).items()
        )
    )


def _observer(manifest: Manifest) -> str:
    """What the sampler adds to the figures, if `make bench` has measured it."""
    seen = [item for item in manifest.observer if item.get("part")]
    if not seen:
        return "not measured for this kernel with these programs: make bench does"
    return "; ".join(
        f"{words}: " + ", ".join(observer.sentence(item) for item in seen if item["part"] == part)
        for part, words in observer.PARTS.items()
    )


def _compiler(manifest: Manifest) -> str:
    """It should be the same in both arms."""
    base, patch = (manifest.arm(arm).compiler for arm in ARMS)
    return base if base == patch else f"base: {base}; patch: {patch}"


def _repeat(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    arms = [(name, manifest.arm(name)) for name in ARMS]
    return (
        ("Command", manifest.command),
        ("Seed of the order", known(manifest.seed)),
        ("Pairs", known(manifest.pairs)),
        *((f"{name} tree", arm.tree) for name, arm in arms),
        *((f"{name} config sha256", arm.config_sha256) for name, arm in arms),
        *((f"{name} {HERE.image} sha256", arm.image_sha256) for name, arm in arms),
        ("Image", manifest.image.key),
        ("Image packages sha256", manifest.image.packages_sha256),
    )


def _same_kernel(manifest: Manifest) -> bool:
    """Both arms booted the very same kernel image: an A/A run."""
    base, patch = (manifest.arm(arm).image_sha256 for arm in ARMS)
    return base == patch != UNKNOWN
