# SPDX-License-Identifier: GPL-2.0-only
"""The two kernels of a result: what they are called, their model, and their known weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.results.manifest import UNKNOWN, Manifest
from harness.series import registry
from harness.stats.fit import Value
from harness.studies.overhead import model as models
from harness.studies.overhead.model import BACKENDS, MetadataModel, Term
from harness.studies.overhead.snapshot import Boot
from harness.util.errors import UserError
from harness.util.paths import REPO
from harness.util.versions import major_minor

SERIES = REPO / "kernels" / "series"
_METRICS = {"allocinfo_per_slot": "slot", "allocinfo_per_entry": "entry"}


@dataclass(frozen=True, slots=True)
class KnownBytes:
    """A weight that a calibration series adds. per: slot or entry; amount, tolerance: bytes."""

    site: str
    per: str
    amount: float
    tolerance: float

    def holds(self, value: Value) -> bool:
        """Whether a measured value agrees: within the tolerance, or its interval reaches it."""
        low = self.amount - self.tolerance
        high = self.amount + self.tolerance
        ends = (value.low, value.high)
        if ends[0] is None or ends[1] is None:
            return low <= value.value <= high
        return ends[0] <= high and low <= ends[1]


@dataclass(frozen=True, slots=True)
class ModelledKernel:
    """One arm. series: the name of its series, "" if none; model: None if there is none for it.

    note: where the model comes from, or why there is none
    """

    arm: str
    name: str
    version: str
    series: str
    model: MetadataModel | None
    note: str
    weights: tuple[KnownBytes, ...]


def of(manifest: Manifest, boots: Sequence[Boot]) -> dict[str, ModelledKernel]:
    """The kernels of the arms that have boots, base first."""
    found: dict[str, ModelledKernel] = {}
    for arm in ("base", "patch"):
        own = [boot for boot in boots if boot.arm == arm]
        if own:
            found[arm] = _kernel(manifest, arm, own[0].release, found.get("base"))
    return found


def weights(series: str, folder: Path = SERIES) -> tuple[KnownBytes, ...]:
    """The bytes that a series of the registry is known to add; none for any other series."""
    if series not in registry.names(folder):
        return ()
    known = registry.read(series, registry=folder).known
    return tuple(
        KnownBytes(one.site, _METRICS[one.metric], one.amount, one.tolerance)
        for one in known
        if one.metric in _METRICS
    )


def _kernel(
    manifest: Manifest, arm: str, release: str, base: ModelledKernel | None
) -> ModelledKernel:
    facts = manifest.arm(arm)
    version = release if facts.version == UNKNOWN else facts.version
    series = facts.series.name if facts.series and facts.series.name != UNKNOWN else ""
    added = weights(series)
    model, note = _model(version, series, base, added)
    return ModelledKernel(
        arm, facts.name if facts.name != UNKNOWN else version, version, series, model, note, added
    )


def _model(
    version: str, series: str, base: ModelledKernel | None, added: Sequence[KnownBytes]
) -> tuple[MetadataModel | None, str]:
    if series in models.names():
        return models.load(series), f"model {series}"
    if series and added and base and base.model:
        title = f"{base.model.title} with the weights of {series}"
        terms = (*base.model.structures, *map(_term, added))
        return replace(base.model, name=series, title=title, structures=terms), title
    if series and not added:
        return None, f"no model of series {series}: kernels/models/{series}.yaml would be one"
    try:
        major, minor = major_minor(version)
    except UserError:
        return None, f"no model of version {version}"
    name = f"{major}.{minor}"
    if name not in models.names():
        return None, f"no model of {name}: kernels/models/{name}.yaml would be one"
    return models.load(name), f"model {name}"


def _term(known: KnownBytes) -> Term:
    """A weight of a calibration series: exact, on each back-end, in no claim."""
    return Term(
        name=known.site,
        allocated="objects",
        source=known.site,
        site="calibration",
        backends=BACKENDS,
        per_slot=known.amount if known.per == "slot" else 0.0,
        per_entry=known.amount if known.per == "entry" else 0.0,
    )
