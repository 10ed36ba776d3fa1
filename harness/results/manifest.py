# SPDX-License-Identifier: GPL-2.0-only
"""The schema of manifest.json: the same classes write and read it.

Written strictly, read tolerantly: what a manifest lacks, or holds in a damaged form, has the
field's default, which is "unknown" for a text. It is never an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.experiment.arch import HERE
from harness.experiment.known import KnownFailure
from harness.util import atomic

NAME = "manifest.json"
SCHEMA = 2
UNKNOWN = "unknown"

_LOWER = ("low", "less", "down", "small")
_HIGHER = ("high", "more", "up", "large", "great")
_OVERHEAD = "overhead"
_TOLERANT = "read what is there"


class ResultKind(StrEnum):
    """What a results folder is a result of: the make target that wrote it, or ARMS= of compare.

    The first three boot kernels in their own folder and have a manifest.json there; the others are
    made of such results, and their folder has a record named after the kind, like walk.json.
    """

    COMPARE = "compare"
    OVERHEAD = "overhead"
    BENCH = "bench"
    WALK = "walk"
    BISECT = "bisect"
    REVISIONS = "revisions"
    CALIBRATE = "calibrate"
    ARMS = "arms"
    NIGHTLY = "nightly"
    CASES = "cases"

    @property
    def target(self) -> str:
        """The make target that writes it."""
        return "compare" if self is ResultKind.ARMS else self.value

    @property
    def said(self) -> str:
        """The command, as a user writes it."""
        return f"make {self.target}" + (" ARMS=..." if self is ResultKind.ARMS else "")

    @property
    def record(self) -> str:
        """The file of the folder that says its kind."""
        boots = (ResultKind.COMPARE, ResultKind.OVERHEAD, ResultKind.BENCH)
        return NAME if self in boots else f"{self.value}.json"


def _scalar(value: Any) -> str:
    if isinstance(value, str | int | float) and value != "":
        return str(value)
    raise ValueError("not a text")


def _strings(value: Any) -> Any:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else value


def _objects(value: Any) -> Any:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else value


Text = Annotated[str, BeforeValidator(_scalar)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_strings)]
Objects = Annotated[tuple[dict[str, Any], ...], BeforeValidator(_objects)]
Quantity = int | float | str | None


class Section(BaseModel):
    """An object of a manifest or record."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)

    @classmethod
    def tolerant(cls, data: Any) -> Self:
        """Read plain data; what is damaged has its default."""
        return cls.model_validate(data, context=_TOLERANT)

    @model_validator(mode="before")
    @classmethod
    def _object(cls, data: Any, info: ValidationInfo) -> Any:
        is_damaged = not isinstance(data, Mapping | BaseModel)
        return {} if is_damaged and info.context == _TOLERANT else data

    @field_validator("*", mode="wrap")
    @classmethod
    def _value(cls, value: Any, read: Callable[[Any], Any], info: ValidationInfo) -> Any:
        try:
            return read(value)
        except ValidationError:
            if info.context != _TOLERANT:
                raise
            field = cls.model_fields[str(info.field_name)]
            return field.get_default(call_default_factory=True)


class PatchFacts(Section):
    """One patch of a series, and its commit on the base."""

    number: int | None = None
    subject: Text = UNKNOWN
    patch_id: Text = UNKNOWN
    commit: Text = UNKNOWN
    message_id: str | None = None
    sha256: Text = UNKNOWN


class BasisFacts(Section):
    """How the base fits the series.

    ``by`` tells who named it: user, base-commit or blobs.  ``stated`` is the series' base-commit,
    None if it has none.  ``files`` of the base are named by the series' index lines, and
    ``differ`` are those that the base has not as named.  ``warning`` is "" when all agrees.
    """

    by: Text = UNKNOWN
    used: Text = UNKNOWN
    commit: Text = UNKNOWN
    stated: str | None = None
    files: int | None = None
    differ: Strings = ()
    differ_count: int | None = None
    warning: str = ""


class SeriesFacts(Section):
    """An applied series.

    ``doubts`` are those of the notes that tell why the patches may not be what was meant.
    """

    name: Text = UNKNOWN
    title: Text = UNKNOWN
    locator: Text = UNKNOWN
    digest: Text = UNKNOWN
    base_commit_hint: str | None = None
    notes: Strings = ()
    doubts: Strings = ()
    origin: dict[str, Any] = {}
    letter: dict[str, Any] | None = None
    commit: Text = UNKNOWN
    tree: Text = UNKNOWN
    patches: tuple[PatchFacts, ...] = ()
    basis: BasisFacts | None = None


class ArmFacts(Section):
    """The kernel of one arm.

    switch: how it was switched in the guest, as the spec has it; unset: options that its series
    brings, off by default, and that nobody set
    """

    name: Text = UNKNOWN
    kind: Text = UNKNOWN
    version: Text = UNKNOWN
    commit: Text = UNKNOWN
    tree: Text = UNKNOWN
    origin: dict[str, Any] = {}
    kernel: Text = UNKNOWN
    compiler: Text = UNKNOWN
    build_seconds: float | None = None
    artefact_sha256: dict[str, Text] = {}
    config_sha256: Text = UNKNOWN
    series: SeriesFacts | None = None
    switch: dict[str, Any] = {}
    unset: Strings = ()

    @property
    def image_sha256(self) -> str:
        """The hash of the kernel image that boots."""
        return self.artefact_sha256.get(HERE.image, UNKNOWN)


class SymbolFacts(Section):
    """A kernel option that differs between the two kernels."""

    symbol: Text = UNKNOWN
    base: Text = UNKNOWN
    patch: Text = UNKNOWN
    reason: Text = UNKNOWN


class GuestFacts(Section):
    """What the guest had. memory, swap: bytes; disk_latency_ns: of the simulated disk.

    cmdline: what the kernels' command lines had beside the harness's own words
    """

    model_config = ConfigDict(extra="allow")

    memory: Quantity = None
    cpus: Quantity = None
    swap: Quantity = None
    disk: Text = UNKNOWN
    disk_latency_ns: int | None = None
    settings: dict[str, Any] = {}
    cmdline: str = ""


class BackendFacts(Section):
    """A back-end as it was asked for; waits_io: for a disk, the host's or a simulated one."""

    kind: Text = UNKNOWN
    settings: dict[str, Any] = {}
    waits_io: StrictBool = False


class MetricFacts(Section):
    """What a report needs of a declared metric."""

    model_config = ConfigDict(extra="allow")

    direction: str = ""
    clock_insn_unit: str = ""


class WorkloadFacts(Section):
    """The content of a workload.yaml; effective: what it was run with."""

    model_config = ConfigDict(extra="allow")

    description: str = ""
    margin: Text = UNKNOWN
    primary: str | None = None
    primary_waiting_io: str | None = None
    waits_io: StrictBool = False
    metrics: dict[str, MetricFacts] = {}
    requires: dict[str, Any] = {}
    effective: dict[str, Any] = {}
    memory_max: Text = UNKNOWN
    known_failures: tuple[KnownFailure, ...] = ()


class SkippedFacts(Section):
    """A cell that was not run, and why."""

    cell: Text = UNKNOWN
    reason: Text = UNKNOWN


class ArmOnlyFacts(SkippedFacts):
    """A cell that ran on one arm alone, and why."""

    arm: Text = UNKNOWN


class SelftestFacts(Section):
    """The kernel's own tests of one arm; missing: by test, why it is not there."""

    key: Text = UNKNOWN
    tests: Strings = ()
    missing: dict[str, Text] = {}


class ImageFacts(Section):
    """A guest image; on_top: packages beside those of the recipe."""

    key: Text = UNKNOWN
    packages_sha256: Text = UNKNOWN
    on_top: Strings = ()


class StageFacts(Section):
    """How long one stage took."""

    stage: Text = UNKNOWN
    seconds: Quantity = None


class Manifest(Section):
    """manifest.json of one comparison; results/README.md says what each key means."""

    schema_version: int = Field(
        default=SCHEMA, validation_alias="schema", serialization_alias="schema"
    )
    kind: ResultKind = ResultKind.COMPARE
    name: Text = UNKNOWN
    command: Text = UNKNOWN
    clock: Text = UNKNOWN
    accel: Text = UNKNOWN
    accel_reason: Text = UNKNOWN
    qemu_version: Text = UNKNOWN
    host: dict[str, Any] = {}
    arms: dict[str, ArmFacts] = {}
    debug: Strings = ()
    config_diff: tuple[SymbolFacts, ...] = ()
    guest: GuestFacts = GuestFacts()
    backends: dict[str, BackendFacts] = {}
    workloads: dict[str, WorkloadFacts] = {}
    cells: Strings = ()
    halves: tuple[ArmOnlyFacts, ...] = ()
    skipped: tuple[SkippedFacts, ...] = ()
    observer: Objects = ()
    selftests: dict[str, SelftestFacts] = {}
    pairs: int | None = None
    aa: StrictBool = False
    seed: int | None = None
    suite: str | None = None
    preset: Text = UNKNOWN
    image: ImageFacts = ImageFacts()
    images: tuple[ImageFacts, ...] = ()
    stages: tuple[StageFacts, ...] = ()
    boots_run: int | None = None
    boots_kept: int | None = None
    qemu_seconds: float | None = None
    shared_boots: dict[str, int] = {}

    def arm(self, name: str) -> ArmFacts:
        """An arm's kernel; all unknown if the manifest has none."""
        return self.arms.get(name, ArmFacts())

    @property
    def series(self) -> SeriesFacts:
        """The series of the patched arm; all unknown if there is none."""
        return self.arm("patch").series or SeriesFacts()

    def backend_list(self) -> list[str]:
        """Each back-end with what it was asked to be set to, as "zram (compressor=lz4)"."""
        found = {name: shown(one.settings) for name, one in sorted(self.backends.items())}
        return [
            name if settings == UNKNOWN else f"{name} ({settings})"
            for name, settings in found.items()
        ]

    def workload(self, name: str) -> WorkloadFacts:
        """A workload's definition; empty if the manifest has none."""
        return self.workloads.get(name, WorkloadFacts())

    def parameters(self, workload: str) -> str:
        """What the workload was run with, as "size=32M, ..."."""
        one = self.workload(workload)
        asked = shown(one.effective)
        if one.memory_max in (UNKNOWN, "max"):
            return asked
        return f"{asked}; memory.max {one.memory_max}"

    def waits_io(self, backend: str, workload: str = "") -> bool:
        """The back-end, or the workload over any, waits for I/O: the clock cannot time that."""
        one = self.backends.get(backend, BackendFacts())
        return one.waits_io or self.workload(workload).waits_io

    def in_turn(self, clock: str) -> bool:
        """Whether the guests had several vCPUs under one instruction clock; see `turns`."""
        cpus = self.guest.cpus
        return clock == "insn" and isinstance(cpus, int) and cpus > 1

    def disk_of(self, workload: str) -> str:
        """What this workload's swap files lay on: "sim" or "host"; "unknown" if nobody said."""
        return str(self.workload(workload).requires.get("disk") or self.guest.disk)

    def primary(self, workload: str, backend: str, clock: str) -> str | None:
        """The primary metric declared for this workload, back-end and clock."""
        one = self.workload(workload)
        waiting = clock == "insn" and self.waits_io(backend, workload)
        waiting = waiting or self.in_turn(clock)
        return (one.primary_waiting_io if waiting else None) or one.primary

    def margin(self, workload: str) -> float | None:
        """The declared margin in per cent; None unless it is a number above zero with a "%"."""
        text = self.workload(workload).margin.strip()
        try:
            value = float(text.removesuffix("%")) if text.endswith("%") else 0.0
        except ValueError:
            return None
        return value if 0 < value < math.inf else None

    def direction(self, workload: str, metric: str) -> str:
        """ "lower" or "higher" is better; "" if the workload does not say."""
        text = self._metric(workload, metric).direction.lower()
        if text.startswith(_LOWER):
            return "lower"
        return "higher" if text.startswith(_HIGHER) else ""

    def unit(self, workload: str, metric: str, unit: str, clock: str) -> str:
        """The unit to print: what the workload declares for the clock, else `clock_unit`."""
        declared = self._metric(workload, metric).clock_insn_unit if clock == "insn" else ""
        return declared or clock_unit(unit, clock)

    def _metric(self, workload: str, metric: str) -> MetricFacts:
        return self.workload(workload).metrics.get(metric, MetricFacts())

    def as_data(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.model_dump(mode="json", by_alias=True)


def shown(values: Mapping[str, Any]) -> str:
    """What an object has set, as "key=value, ..." by key; "unknown" if nothing."""
    found = (
        f"{key}={value}"
        for key, value in sorted(values.items())
        if value != "" and not isinstance(value, dict | list)
    )
    return ", ".join(found) or UNKNOWN


def known(value: object) -> str:
    """A value as text; "unknown" for None."""
    return UNKNOWN if value is None else str(value)


def clock_unit(unit: str, clock: str) -> str:
    """The unit to print: under the instruction clock 1 ns of guest time is 1 instruction."""
    head, slash, rest = unit.partition("/")
    return f"insn{slash}{rest}" if clock == "insn" and head == "ns" else unit


def load(results: Path) -> Manifest:
    """results/<name>/manifest.json; an absent or damaged one gives an empty manifest."""
    return Manifest.tolerant(_upgraded(atomic.json_file(results / NAME) or {}, results))


def _upgraded(data: Mapping[str, Any], results: Path) -> Mapping[str, Any]:
    """Any older manifest as one of schema 2.

    Schema 1 had no kind: it is a measurement of overhead if all cells run that workload, and a
    comparison if not. Nothing else changed.
    """
    if "kind" in data:
        return data
    cells = [folder.name for folder in (results / "boots").glob("[!.]*") if folder.is_dir()]
    is_overhead = cells and all(cell.rpartition(".")[2] == _OVERHEAD for cell in cells)
    kind = ResultKind.OVERHEAD if is_overhead else ResultKind.COMPARE
    return {**data, "schema": SCHEMA, "kind": kind.value}
