# SPDX-License-Identifier: GPL-2.0-only
"""The sampler's pseudo file: exact CPU time of each kernel thread that used any."""

from __future__ import annotations

import re

from harness.results.probes.record import Record, Records, lines

NAME = "kthreads"

_LINE = re.compile(r"\s*(?P<pid>\d+) (?P<comm>.+) (?P<ns>\d+)\s*")
# The kernel appends what a worker does now ("kworker/0:1-events"): not part of its identity.
_WORKER = re.compile(r"(kworker/[^-+ ]+)[-+].*")


def parse(text: str, path: str = "") -> Records:
    """Records keyed by thread name, field cpu_ns (ns since the thread began).

    Two threads of one name give two records: sum them. A thread that is absent used no time.
    """
    for line in lines(NAME, text):
        match = _LINE.fullmatch(line.text)
        if match is None:
            raise line.malformed()
        worker = _WORKER.fullmatch(match["comm"])
        key = worker[1] if worker else match["comm"]
        yield Record(NAME, key, "cpu_ns", line.integer(match["ns"]), "ns")
