# SPDX-License-Identifier: GPL-2.0-only
"""What a night measures: a subject against its base, in one comparison.  Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.experiment import spec
from harness.experiment.spec import Experiment


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing to compare with its base: a posting of a series or a head of a branch.

    subject: the name under which it is followed; kind: "series" or "branch"
    revision: v3, or the first digits of the head's commit; "" where a series has none
    date: ISO; of the posting, or when the head was seen; "" if nobody said
    patch, head: as `make compare` takes them; one of them is ""
    git: the repository of a branch, "" for the common one
    age: 0 for the newest of its subject, 1 for the one before
    """

    subject: str
    kind: str
    revision: str
    date: str
    patch: str
    head: str
    base: str
    git: str = ""
    age: int = 0

    @property
    def folder(self) -> str:
        """Its folder below the nightly's."""
        words = f"{self.subject}-{self.revision}-on-{self.base}".replace("--", "-")
        return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")


@dataclass(frozen=True, slots=True)
class Job:
    """One comparison of a night.

    key: what it is, the same in all nights; name: its folder below that of the point
    spec: the experiment without kernels; why: its place in the order, in words
    looks: how many nights looked at it before; state: "todo", "done" or "failed"
    """

    key: str
    point: Subject
    suite: str
    name: str
    spec: Mapping[str, Any]
    pairs: int
    why: str
    looks: int = 0
    state: str = "todo"

    @property
    def folder(self) -> str:
        """The folder of its result, below that of the nightly."""
        return f"{self.point.folder}/{self.name}"

    @property
    def arm(self) -> str:
        """The name of its one arm, "" for none."""
        return "".join(self.spec.get("arms") or ())

    @property
    def line(self) -> tuple[str, str, str, str]:
        """What it is a point of in the trend: the same for all revisions."""
        return (self.point.subject, self.point.base, self.suite, self.name)

    def experiment(self, place: str) -> Experiment:
        """The experiment to run.  UserError for settings that this harness does not know."""
        data = {
            **self.spec, "pairs": self.pairs, "name": self.name, "base": self.point.base,
            "patch": self.point.patch or None, "head": self.point.head or None,
        }  # fmt: skip
        return spec.load(None, data, source=place)
