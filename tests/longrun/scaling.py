# SPDX-License-Identifier: GPL-2.0-only
"""How a comparison would scale to many hosts: a simulation with measured block times.

`python -m tests.longrun.scaling` prints makespan and efficiency for 1 to 100 workers, or those
named. It is a model: hosts are alike, artefacts go out over one uplink of the machine that
compares, one host after the other in the order in which they ask, and a worker that dies loses the
boot in hand and comes back."""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

# Seconds of the three boots of a pair, deciles of 134 pairs of pageio and pressure that were
# measured under the instruction clock with other work beside them on two cores.
MEASURED = (22, 35, 42, 51, 57, 65, 72, 81, 94, 117, 181)
BOOTS = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """workers: guests side by side in all; per_host: on one host

    image: bytes that a host must get once, as they travel; uplink: bytes a second, shared by all
    mtbf: mean seconds between deaths of one worker; restart: seconds until it is back
    overhead: seconds for each boot beside the boot itself (packing, sending, publishing)
    """

    workers: int
    per_host: int = 4
    image: float = 120e6
    uplink: float = 100e6
    mtbf: float = float("inf")
    restart: float = 60.0
    overhead: float = 0.3


@dataclass(frozen=True, slots=True)
class Simulated:
    """makespan in seconds; lost: boots that were begun and had to be run again."""

    makespan: float
    work: float
    lost: int
    workers: int

    @property
    def efficiency(self) -> float:
        """The boots' own time over the time that all workers had."""
        return self.work / (self.makespan * self.workers)


def durations(count: int, draw: random.Random) -> list[float]:
    """Block times as measured: uniform between deciles."""
    made = []
    for _ in range(count):
        place = draw.random() * (len(MEASURED) - 1)
        low = int(place)
        made.append(MEASURED[low] + (place - low) * (MEASURED[low + 1] - MEASURED[low]))
    return made


def simulate(blocks: Sequence[float], cluster: Cluster, draw: random.Random) -> Simulated:
    """One run of all blocks, given out in their order to whoever is free first."""
    free: list[tuple[float, int]] = [(0.0, worker) for worker in range(cluster.workers)]
    heapq.heapify(free)
    supplied: dict[int, float] = {}
    line = 0.0  # when the uplink is free again
    dies = [_death(0.0, cluster, draw) for _ in range(cluster.workers)]
    waiting = [(number, BOOTS) for number in range(len(blocks))]
    heapq.heapify(waiting)
    end, lost = 0.0, 0
    # Blocks whose worker died come back at the time of its death.
    returned: list[tuple[float, int, int]] = []
    while waiting or returned:
        now, worker = heapq.heappop(free)
        while returned and returned[0][0] <= now:
            _, number, left = heapq.heappop(returned)
            heapq.heappush(waiting, (number, left))
        if not waiting:  # all is under way; wait for what will come back
            heapq.heappush(free, (returned[0][0], worker))
            continue
        number, left = heapq.heappop(waiting)
        host = worker // cluster.per_host
        if host not in supplied:
            line = max(line, now) + cluster.image / cluster.uplink
            supplied[host] = line
        at = max(now, supplied[host])
        one = blocks[number] / BOOTS + cluster.overhead
        if dies[worker] <= at:  # nobody noticed: it was idle, and is back
            dies[worker] = _death(at, cluster, draw)
        if at + left * one <= dies[worker]:
            at += left * one
            heapq.heappush(free, (at, worker))
            end = max(end, at)
            continue
        lost += 1
        died = dies[worker]
        heapq.heappush(returned, (died, number, left - int((died - at) / one)))
        back = died + cluster.restart
        dies[worker] = _death(back, cluster, draw)
        heapq.heappush(free, (back, worker))
    return Simulated(end, sum(blocks), lost, cluster.workers)


def _death(since: float, cluster: Cluster, draw: random.Random) -> float:
    if cluster.mtbf == float("inf"):
        return cluster.mtbf
    return since + draw.expovariate(1 / cluster.mtbf)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="tests.longrun.scaling", description=__doc__)
    parser.add_argument("--blocks", type=int, default=1000, help="pairs of all cells (1000)")
    parser.add_argument("--per-host", type=int, default=4, help="guests on one host (4)")
    parser.add_argument("--uplink", type=float, default=100.0, help="MB a second (100)")
    parser.add_argument("--mtbf", type=float, default=2.0, help="hours between deaths (2)")
    parser.add_argument("--workers", default="1,2,4,10,20,50,100", help="a line for each of them")
    args = parser.parse_args()
    blocks = durations(args.blocks, random.Random(1))
    print(
        f"{args.blocks} blocks, {sum(blocks) / 3600:.1f} hours of boots, {args.per_host} guests a "
        f"host, {args.uplink:g} MB/s uplink; deaths: each worker every {args.mtbf:g} h"
    )
    print(
        f"{'workers':>8} {'makespan':>10} {'efficiency':>11} {'with deaths':>12} {'lost boots':>11}"
    )
    for workers in (int(word) for word in args.workers.split(",")):
        sure = Cluster(workers, args.per_host, uplink=args.uplink * 1e6)
        frail = Cluster(workers, args.per_host, uplink=args.uplink * 1e6, mtbf=args.mtbf * 3600)
        plain = simulate(blocks, sure, random.Random(2))
        died = simulate(blocks, frail, random.Random(2))
        print(
            f"{workers:8d} {plain.makespan / 60:6.0f} min {plain.efficiency:11.2f} "
            f"{died.efficiency:12.2f} {died.lost:11d}"
        )


if __name__ == "__main__":
    main()
