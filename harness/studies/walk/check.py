# SPDX-License-Identifier: GPL-2.0-only
"""Is a walk still what was recorded: each result below it, and its own report from those?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.results import checksums
from harness.results.checksums import FileDifference
from harness.studies import verify
from harness.studies.verify import Verification
from harness.studies.walk import report
from harness.util.errors import UserError


@dataclass(frozen=True, slots=True)
class Checked:
    """results: one for each result below; derived: where the report is not what they give."""

    folder: Path
    results: tuple[Verification, ...]
    derived: tuple[FileDifference, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.derived and all(one.holds for one in self.results)

    def text(self) -> str:
        """What to print."""
        return "".join([*(one.text() for one in self.results), *self._own()])

    def _own(self) -> Iterator[str]:
        if not self.derived:
            yield f"{self.folder}: its report follows from these results, byte for byte\n"
        for item in self.derived:
            yield f"{self.folder}: {item.place} {item.what}\n"


def check(folder: Path) -> Checked:
    """Check results/<name> of a walk; writes nothing there.  UserError as `verify.verify`."""
    below = sorted(path for path in folder.iterdir() if (path / checksums.NAME).is_file())
    if not below:
        raise UserError(f"'{folder}' has no result with hashes below it: run 'make walk' again")
    with tempfile.TemporaryDirectory(prefix="harness-verify.") as scratch:
        stage = Path(scratch)
        for item in folder.resolve().iterdir():
            if item.name != "report" and not item.name.startswith("."):
                (stage / item.name).symlink_to(item)
        derived = verify.compare(folder / "report", report.make(stage).folder)
    return Checked(folder, tuple(verify.verify(path) for path in below), derived)
