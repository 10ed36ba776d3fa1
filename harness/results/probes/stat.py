# SPDX-License-Identifier: GPL-2.0-only
"""/proc/stat: CPU time by state, interrupts, context switches, forks."""

from __future__ import annotations

from harness.results.probes.record import Line, Record, Records, lines

NAME = "stat"

_CPU = tuple(
    (name, "ticks")
    for name in ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
                 "guest", "guest_nice")
)  # fmt: skip
_SOFTIRQS = tuple(
    (name, "count")
    for name in ("total", "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET",
                 "SCHED", "HRTIMER", "RCU")
)  # fmt: skip
_UNITS = {"btime": "s"}


def parse(text: str, path: str = "") -> Records:
    """CPU lines are keyed "cpu", "cpu0"... in ticks of 1/100 s; "softirq" and "intr" likewise.

    Of intr's long list only the total and the lines that ever fired are kept (irq_N).
    Everything else has key "".
    """
    for line in lines(NAME, text):
        name, _, rest = line.text.partition(" ")
        if name.startswith("cpu"):
            yield from line.columns(name, rest, _CPU)
        elif name == "softirq":
            yield from line.columns(name, rest, _SOFTIRQS)
        elif name == "intr":
            yield from _interrupts(line, rest)
        else:
            yield Record(NAME, "", name, line.integer(rest.strip()), _UNITS.get(name, "count"))


def _interrupts(line: Line, rest: str) -> Records:
    counts = [record.value for record in line.columns("intr", rest)]
    if not counts:
        raise line.malformed()
    yield Record(NAME, "intr", "total", counts[0], "count")
    for irq, count in enumerate(counts[1:]):
        if count:
            yield Record(NAME, "intr", f"irq_{irq}", count, "count")
