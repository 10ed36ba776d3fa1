# SPDX-License-Identifier: GPL-2.0-only
"""CPUs by name: sizes and ways of their caches and TLBs, and what a miss costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from harness.util import yamlfile
from harness.util.errors import UserError
from harness.util.units import parse_size
from harness.util.yamlfile import Amount, Check, Model, Positive, Text

MODELS = Path(__file__).parent / "cpumodels.yaml"
EVENTS = ("l1i", "l1d", "l2", "llc", "itlb", "dtlb", "stlb")
"""What can be missed, in the order of vm-images/plugins/cachemodel.h."""
CACHES = EVENTS[:4]

_Size = Annotated[int, Check(parse_size, first=True)]


@dataclass(frozen=True, slots=True)
class CacheLevel(Model):
    """A cache or TLB.  size: bytes of a cache, entries of a TLB; miss: cycles."""

    size: _Size
    ways: Positive
    miss: Amount


@dataclass(frozen=True, slots=True)
class CpuModel(Model):
    """One CPU, as cpumodels.yaml has it, which says what the keys are."""

    name: str
    title: Text
    sizes: Text
    costs: Text
    line: Positive
    cycles: Amount
    l1i: CacheLevel
    l1d: CacheLevel
    l2: CacheLevel
    llc: CacheLevel
    itlb: CacheLevel
    dtlb: CacheLevel
    stlb: CacheLevel

    def __post_init__(self) -> None:
        for event, level in self.levels.items():
            unit = self.line if event in CACHES else 1
            if level.size == 0 or level.size % (unit * level.ways):
                raise ValueError(f"'{event}' has a size that does not make whole sets")

    @property
    def levels(self) -> Mapping[str, CacheLevel]:
        """By event."""
        return {event: getattr(self, event) for event in EVENTS}


def known() -> Mapping[str, CpuModel]:
    """The models of cpumodels.yaml, by name."""
    return _known()


def load(path: Path) -> Mapping[str, CpuModel]:
    """The models of a file.  Raises UserError if it is none."""
    made = {
        name: yamlfile.check(item, CpuModel, f"{path.name}: {name}", name=name)
        for name, item in yamlfile.read(path).items()
    }
    if len({model.line for model in made.values()}) > 1:
        raise UserError(f"{path.name}: 'line' differs between models; a boot has one size of lines")
    return made


def plugin_lines(models: Iterable[CpuModel]) -> str:
    """What the plugin reads."""
    return "".join(
        f"model {model.name} {model.line} "
        + " ".join(f"{level.size} {level.ways}" for level in model.levels.values())
        + "\n"
        for model in models
    )


@cache
def _known() -> Mapping[str, CpuModel]:
    return load(MODELS)
