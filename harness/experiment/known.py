# SPDX-License-Identifier: GPL-2.0-only
"""How a workload is known to fail on some kernels: a key of its workload.yaml, with one reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from harness.util.errors import UserError
from harness.util.versions import in_range
from harness.util.yamlfile import Check, Items, Model, Text


def _versions(text: str) -> str:
    in_range("0.0", text)
    return text


@dataclass(frozen=True, slots=True)
class KnownFailure(Model):
    """One way to fail.

    outcome: of its boots, as in boot.json; reason: why, as a clause
    kernels: the versions it was seen on, as `in_range` has them; backends: kinds, none for any
    """

    outcome: Text
    kernels: Annotated[Text, Check(_versions)]
    reason: Text
    backends: Items[Text] = ()

    @property
    def sentence(self) -> str:
        """All of it, without a full stop."""
        over = f" over {' or '.join(self.backends)}" if self.backends else ""
        return f"{self.outcome}{over} on kernels {self.kernels}: {self.reason}"

    def holds(self, *, backend: str, version: str, outcome: str) -> bool:
        """Whether a boot with that outcome, over a back-end of that kind, is a case of it.

        A version that cannot be read is none of the kernels.
        """
        if outcome != self.outcome or (self.backends and backend not in self.backends):
            return False
        try:
            return in_range(version, self.kernels)
        except UserError:
            return False
