# SPDX-License-Identifier: GPL-2.0-only
"""What is fuzzed: each parser with what it may do, and inputs to begin with.

A target takes bytes and returns, or raises AssertionError or whatever the parser let through.  What
a parser may raise by its own word (UserError and so on) is caught here.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.board import times
from harness.build import vmlinux
from harness.costs import caches, locks
from harness.experiment import cpumodel, spec, suite, workload
from harness.results import collected, console, deltas, frames, histogram, ktap, probes, telemetry
from harness.results.probes import allocinfo
from harness.series import patchset, registry
from harness.series.mail import archive, cover, lore, mbox, mentions, posting
from harness.series.mail.lore import Address
from harness.source.gitnames import check_revision, makefile_version, public_url, ref_part
from harness.studies.nightly import config as nightly
from harness.studies.overhead import claim, model, sites
from harness.studies.overhead.snapshot import numbers
from harness.util import header, yamlfile
from harness.util.errors import HarnessError, UserError
from harness.util.paths import REPO
from tests.faults import table
from tests.fuzz import seeds, shown

_SERIES = REPO / "kernels" / "series"
_SCRATCH = tempfile.TemporaryDirectory(prefix="harness-fuzz-")


@dataclass(frozen=True, slots=True)
class Target:
    """One parser: ``run`` holds it to its word; ``seeds`` are whole inputs, ``words`` parts."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def _one_sentence(error: BaseException) -> None:
    """What a user reads: something, and not a page."""
    assert str(error).strip(), f"{type(error).__name__} says nothing"


def _plugin_output(parse: Callable[[str], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            parse(data.decode("utf-8", "replace"))
        except ValueError as error:
            _one_sentence(error)

    return run


def _split(data: bytes) -> None:
    try:
        mails = mbox.split(data)
    except UserError as error:
        return _one_sentence(error)
    again = mbox.split(mbox.join(mails)) if mails else ()
    assert len(again) == len(mails) or any(mbox._FROM_LINE.match(one) for one in mails)


def _mail(data: bytes) -> None:
    try:
        mail = mbox.read(data, name="mail 1")
    except UserError as error:
        return _one_sentence(error)
    assert mail.message_id is None or not set("<> \n") & set(mail.message_id)
    head, _, _ = mail.canonical.partition(b"\n\n")
    assert b"\0" not in mail.subject.encode("utf-8", "surrogateescape") or b"\0" in data
    assert sum(line.startswith(b"Subject:") for line in head.split(b"\n")) == 1
    assert len(mail.diff) <= 2 * len(data) + 4096
    mentions.read(data, links=True)


def _thread(data: bytes) -> None:
    try:
        mails = posting.read(mbox.split(data))
    except UserError as error:
        return _one_sentence(error)
    for mail in mails[:4]:
        for revision in (None, "latest", "v2"):
            address = Address(mail.message_id or "none", None, revision)
            held = archive.Archive.of(mbox.split(data))
            try:
                with held.reading():
                    picked, _ = lore.pick(address, held)
                assert picked.patches and all(one.diff for one in picked.patches)
            except UserError as error:
                _one_sentence(error)
    try:
        patchset.assemble(mails, where="a mailbox")
    except UserError as error:
        _one_sentence(error)


def _headers(data: bytes) -> None:
    found = archive._headers(data)
    if found is not None:
        one, parents = found
        # What sqlite keeps must be text and numbers that it can keep.
        json.dumps([one.message_id, one.sender, one.name, one.title, one.tags, list(parents)])
        for text in (one.message_id, one.sender, one.name, one.title, one.tags, *parents):
            text.encode()
        assert -(1 << 63) <= one.date < 1 << 63


def _letter(data: bytes) -> None:
    cover.text(data)
    found = cover.read(data)
    if found is not None:
        assert cover.from_data(json.loads(json.dumps(cover.as_data(found)))) == found
        header.date(found.date)
        shown.written(found)


def _folder(data: bytes) -> None:
    """Names and contents of a folder of patches: lines ``name NUL content`` cut at 0xff."""
    with tempfile.TemporaryDirectory(dir=_SCRATCH.name) as name:
        for piece in data.split(b"\xff")[:8]:
            title, _, content = piece.partition(b"\0")
            file = title.decode("ascii", "ignore").replace("/", "_")[:60] or "x"
            if file not in (".", ".."):
                (Path(name) / file).write_bytes(content)
        try:
            patchset.from_folder(Path(name))
        except UserError as error:
            _one_sentence(error)


def _address(data: bytes) -> None:
    found = lore.parse(data.decode("utf-8", "replace"))
    if found is not None:
        assert not set(found.message_id) & set(" \n<>?\\") and found.message_id[0] not in "-/."
        assert ".." not in found.message_id.split("/")
        assert found.server is None or found.server.startswith(("http://", "https://"))


def _named(check: Callable[[str], object]) -> Callable[[bytes], None]:
    """Names of commits, URLs and versions."""

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            check(text)
        except UserError as error:
            _one_sentence(error)

    return run


def _ref(data: bytes) -> None:
    part = ref_part(data.decode("utf-8", "replace"))
    assert part and part.isascii() and not set(part) & set(" ~^:?*[\\/\n\0") and ".." not in part


def _ktap(data: bytes) -> None:
    found = ktap.parse(data.decode("utf-8", "backslashreplace"))
    assert all(isinstance(case.result, ktap.Result) and case.name for case in found.cases)


def _telemetry(data: bytes) -> None:
    for stream in (data, telemetry.unpack(data)):
        found = telemetry.read(stream)
        assert sum(len(f.data) for s in found.samples for f in s.files) <= len(stream)


def _console(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for finding in console.findings(text):
        shown.harmless_line(finding.text)
    console.worst(text, expected=("swap",))
    shown.harmless_line(console.tail(text, lines=3).replace("\n", ""))


def _jsonl(data: bytes) -> None:
    """A workload's lines, as they reach the data frames."""
    path = Path(_SCRATCH.name) / "workload.jsonl"
    path.write_bytes(data)
    counts = path.with_name("counts")
    counts.write_bytes(data)
    tables = collected.Collected(False, True)
    tables.boots.append(("zram.pageio", "zram", "pageio", "base", 0))
    frames._workload(tables, path, counts)
    frames.averaged(collected.raw_metrics(tables), ["name", "unit"])
    for name in collected.COLUMNS:
        collected.frame(tables.rows[name], [*collected.BOOT, *collected.COLUMNS[name]])


def _boot(data: bytes) -> None:
    """A whole boot's folder in which every file is hostile: nothing stops the load."""
    with tempfile.TemporaryDirectory(dir=_SCRATCH.name) as name:
        folder = Path(name) / "boots" / "zram.pageio" / "00-base"
        folder.mkdir(parents=True)
        for file in ("boot.json", "workload.jsonl", "counts", "selftests.ktap", "footprint"):
            (folder / file).write_bytes(data)
        (folder / "samples.raw.gz").write_bytes(telemetry.pack(data))
        (Path(name) / "manifest.json").write_bytes(data)
        found = frames.load(Path(name), bulk=True)
    assert len(found.boots) >= 1


def _vmlinux(data: bytes) -> None:
    path = Path(_SCRATCH.name) / "vmlinux"
    path.write_bytes(data)
    try:
        found = vmlinux.sizes(path)
    except vmlinux.VmlinuxError as error:
        return _one_sentence(error)
    assert found.text >= sum(found.functions.values()) >= 0


def _histogram(data: bytes) -> None:
    try:
        line = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(line, dict):
        return
    try:
        made = histogram.from_json(line)
    except histogram.HistogramError as error:
        return _one_sentence(error)
    made.percentile(50), made.mean(), made.ecdf()
    assert histogram.merge([made, made]).total == 2 * made.total


def _probe(path: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        text = data.decode("utf-8", "backslashreplace")
        try:
            parsed = probes.parse(path, text)
        except probes.ProbeError as error:
            return _one_sentence(error)
        for record in parsed.records:
            assert isinstance(record.value, int | float)
            no_limit = record.probe == "memcg" and "max" in text and record.value == math.inf
            assert no_limit or math.isfinite(record.value)
            if record.probe == "allocinfo":
                allocinfo.site(record.key)

    return run


def _snapshot(data: bytes) -> None:
    """A sample as the overhead report reads it."""
    for sample in telemetry.read(data).samples:
        notes: list[str] = []
        numbers(sample, notes)
    marks = [
        deltas.SampleMark(word.decode("utf-8", "replace"), frozenset(), {}) for word in data.split()
    ]
    deltas.of_boot(marks[:64], [])


def _yaml(read: Callable[[Path], object], name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        path = Path(_SCRATCH.name) / f"{name}.yaml"
        path.write_bytes(data)
        try:
            read(path)
        except HarnessError as error:
            _one_sentence(error)

    return run


def _registry(path: Path) -> object:
    entry = registry.read(path.stem, registry=path.parent)
    try:
        entry.place("6.12")
    except UserError as error:
        _one_sentence(error)
    return entry


_PROBES = tuple(
    Target(f"probe-{path.strip('/').replace('/', '.')}", _probe(path), seeds.probe(path))
    for path in (
        "/proc/vmstat", "/proc/meminfo", "/proc/slabinfo", "/proc/allocinfo", "/proc/vmallocinfo",
        "/proc/zoneinfo", "/proc/lock_stat", "/proc/pressure/memory", "/proc/swaps", "/proc/stat",
        "/sys/kernel/debug/zswap/pool_total_size", "/sys/block/zram0/mm_stat",
        "/sys/block/vda/stat", "/sys/fs/cgroup/w/memory.stat", "/sys/fs/cgroup/w/io.stat",
        "/sys/fs/cgroup/w/cpu.max", "/sys/fs/cgroup/memory/w/memory.numa_stat", "kthreads",
        "pmu", "/sys/what",
    )
)  # fmt: skip

TARGETS: Sequence[Target] = (
    Target("mbox", _split, seeds.MBOXES, seeds.MAIL_WORDS),
    Target("mail", _mail, seeds.MAILS, seeds.MAIL_WORDS),
    Target("thread", _thread, seeds.MBOXES, seeds.MAIL_WORDS),
    Target("archive", _headers, seeds.MAILS, seeds.MAIL_WORDS),
    Target("letter", _letter, seeds.MAILS, seeds.MAIL_WORDS),
    Target("folder", _folder, seeds.FOLDERS, seeds.MAIL_WORDS),
    Target("address", _address, seeds.ADDRESSES),
    Target("revision", _named(check_revision), seeds.REVISIONS),
    Target("url", _named(public_url), seeds.REVISIONS),
    Target("version", _named(lambda t: makefile_version(t, where="it")), seeds.REVISIONS),
    Target("ref", _ref, seeds.REVISIONS),
    Target("ktap", _ktap, seeds.KTAPS, seeds.KTAP_WORDS),
    Target("telemetry", _telemetry, seeds.STREAMS, seeds.STREAM_WORDS),
    Target("snapshot", _snapshot, seeds.STREAMS, seeds.STREAM_WORDS),
    Target("console", _console, seeds.CONSOLES),
    Target("jsonl", _jsonl, seeds.JSON_LINES, seeds.JSON_WORDS),
    Target("boot", _boot, (*seeds.JSON_LINES, *seeds.BOOTS), seeds.JSON_WORDS),
    Target("histogram", _histogram, seeds.HISTOGRAMS, seeds.JSON_WORDS),
    *_PROBES,
    Target("registry", _yaml(_registry, "series"), seeds.REGISTRY, seeds.YAML_WORDS),
    Target("spec", _yaml(lambda p: spec.load(p, {}), "spec"), seeds.SPECS, seeds.YAML_WORDS),
    Target(
        "nightly",
        _yaml(lambda p: nightly.load(p, registry_folder=_SERIES), "nightly"),
        seeds.NIGHTLY,
        seeds.YAML_WORDS,
    ),
    Target(
        "workload",
        _yaml(lambda p: yamlfile.load(p, workload.WorkloadDefinition), "workload"),
        seeds.WORKLOADS,
        seeds.YAML_WORDS,
    ),
    Target(
        "suite",
        _yaml(lambda p: suite.load(p.stem, folder=p.parent), "suite"),
        seeds.SUITES,
        seeds.YAML_WORDS,
    ),
    Target("faults", _yaml(table.load, "faults"), seeds.FAULTS, seeds.YAML_WORDS),
    Target("rules", _yaml(sites.load.__wrapped__, "rules"), seeds.RULES, seeds.YAML_WORDS),
    Target(
        "model",
        _yaml(lambda p: model.load(p.stem, p.parent), "model"),
        seeds.MODELS,
        seeds.YAML_WORDS,
    ),
    Target(
        "claim",
        _yaml(lambda p: claim.load(p.stem, p.parent), "claim"),
        seeds.CLAIMS,
        seeds.YAML_WORDS,
    ),
    Target(
        "published",
        _yaml(lambda p: times.load(p.stem, p.parent), "published"),
        seeds.PUBLISHED,
        seeds.YAML_WORDS,
    ),
    Target("cpumodels", _yaml(cpumodel.load, "cpumodels"), seeds.CPUMODELS, seeds.YAML_WORDS),
    Target("misses", _plugin_output(caches.parse), seeds.MISSES, seeds.PLUGIN_WORDS),
    Target("locks", _plugin_output(locks.parse), seeds.LOCKS, seeds.PLUGIN_WORDS),
    Target("vmlinux", _vmlinux, seeds.VMLINUX),
    Target("terminal", shown.terminal, seeds.TEXTS),
    Target("page", shown.page, seeds.TEXTS),
)
