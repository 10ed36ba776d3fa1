# SPDX-License-Identifier: GPL-2.0-only
"""Blocks on a real Dask cluster of two worker processes, each taken for a host of its own."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.run import plan
from harness.run.cluster import cluster, worker
from harness.run.engine import Local
from harness.run.plan import Block
from harness.util.errors import UserError
from harness.vm import accel, boot, hostfacts
from harness.vm.accel import Accelerator
from harness.vm.boot import VmConfig
from harness.vm.watch import Deadlines
from tests.fakes import worker as fake
from tests.fakes.figures import Guests
from tests.fakes.things import cells, host, kernel

distributed = pytest.importorskip("distributed")

CELLS = cells("zswap,zram", "pageio,pressure")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """This process pretends as the workers do."""
    monkeypatch.setattr(accel, "qemu_version", lambda: fake.QEMU)
    monkeypatch.setattr(accel, "choose", lambda *_, **__: Accelerator("tcg", "because"))
    monkeypatch.setattr(boot, "run", Guests(0.0002))
    monkeypatch.setenv("HARNESS_HOST", "here")
    for known in (hostfacts.here, worker.describe):
        known.cache_clear()
    yield
    for known in (hostfacts.here, worker.describe):
        known.cache_clear()


@contextmanager
def workers(folder: Path, *, count: int = 2, seconds: float = 0.05) -> Iterator[Any]:
    """A cluster on loopback; yields it with its scheduler's address."""
    env = {
        "HARNESS_TEST_FOLDER": str(folder),
        "HARNESS_TEST_SECONDS": str(seconds),
    }
    with distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        preload=["tests.fakes.worker"],
        env=env,
        silence_logs=50,
    ) as made:
        yield made


def setting(
    folder: Path, *, pairs: int = 2, clock: str = "insn"
) -> tuple[VmConfig, tuple[Block, ...]]:
    """What `plan.run` needs, with all files that travel."""
    kernels = {arm: kernel(folder / arm, key=f"{arm}-key") for arm in ("base", "patch")}
    (folder / "patch" / "System.map").write_text("0 T costs_1000\n", encoding="utf-8")
    kernels["control"] = kernels["base"]
    made = host(folder, deadlines=Deadlines())
    for path, size in ((made.root, 9 << 20), (made.tools, 1000), (made.keys.client, 10)):
        path.write_bytes(os.urandom(size))
    made.keys.host.write_bytes(b"key")
    return made, plan.blocks(CELLS, kernels, pairs=pairs, seed=1)


def go(folder: Path, address: str, *, pairs: int = 2, boots: str = "boots") -> plan.Run:
    """One run on the cluster."""
    where, todo = setting(folder, pairs=pairs)
    with cluster.connected(address, "tcg") as engine:
        ran = plan.run(todo, where, folder / boots, engine=engine)
    return ran


def results(boots: Path) -> dict[str, bytes]:
    """Every file of every boot but the hashes."""
    return {
        str(path.relative_to(boots)): path.read_bytes()
        for path in sorted(boots.rglob("*"))
        if path.is_file()
    }


def booted(folder: Path) -> list[str]:
    """What the workers have begun, in no order."""
    lines = [
        line.split()[1]
        for path in folder.glob("host*.log")
        for line in path.read_text().split("\n")
        if line
    ]
    return lines


def test_two_hosts_give_the_very_results_of_one_machine(
    tmp_path: Path, heard: pytest.LogCaptureFixture
) -> None:
    where, todo = setting(tmp_path)
    plan.run(todo, where, tmp_path / "local", engine=Local(1))
    with workers(tmp_path) as made:
        ran = go(tmp_path, made.scheduler_address)
        again = go(tmp_path, made.scheduler_address)
    assert (ran.done, ran.kept, ran.failed) == (24, 0, ())
    assert (again.done, again.kept) == (0, 24), "what came back is kept, as ever"
    assert results(tmp_path / "boots") == results(tmp_path / "local")
    assert "2 workers with 2 guests side by side on 2 hosts: host0, host1" in heard.text
    assert heard.text.count("sent to tcp://") == 2, "once a host"
    for log in ("host0.log", "host1.log"):
        pairs = [line.split("-")[0] for line in (tmp_path / log).read_text().split("\n") if line]
        assert len(pairs) == 3 * len(set(pairs)), "a pair stays on one host"


def test_the_arms_of_a_study_are_booted_where_their_block_is(tmp_path: Path) -> None:
    where, todo = setting(tmp_path)
    bases = {"off": "base", "on": "base", "clang": "base-clang"}
    kernels = {name: kernel(tmp_path / name, key=f"{name}-key") for name in (*bases, "base-clang")}
    own = {
        name: tuple(
            tuple(
                replace(
                    one,
                    kernel=kernels[name]
                    if one.arm == "patch"
                    else kernels.get(bases[name], one.kernel),
                )
                for one in block
            )
            for block in todo
        )
        for name in bases
    }
    planned = plan.interleaved(own, bases, seed=1)
    assert {len(block) for block in planned} == {7}
    plan.run(planned, where, tmp_path / "local", engine=Local(1))
    with workers(tmp_path) as made, cluster.connected(made.scheduler_address, "tcg") as engine:
        ran = plan.run(planned, where, tmp_path / "boots", engine=engine)
    assert (ran.done, ran.kept, ran.failed) == (7 * 8, 0, ())
    assert results(tmp_path / "boots") == results(tmp_path / "local")
    homes = {
        path.name: len(list(path.glob("boots/*/*/boot.json")))
        for path in (tmp_path / "boots").iterdir()
    }
    assert homes == {"off": 3 * 8, "on": 8, "clang": 3 * 8}
    hosts = [
        {line.rpartition("boots/")[2].rpartition("-")[0] for line in path.read_text().splitlines()}
        for path in sorted(tmp_path.glob("host*.log"))
    ]
    assert len(hosts) == 2 and all(hosts) and not hosts[0] & hosts[1], "a block stays on one host"


def test_a_worker_that_is_killed_loses_the_boot_in_hand_and_nothing_else(tmp_path: Path) -> None:
    where, todo = setting(tmp_path, pairs=3)
    plan.run(todo, where, tmp_path / "local", engine=Local(1))
    with workers(tmp_path, seconds=0.3) as made:

        def kill() -> None:
            while len(booted(tmp_path)) < 9:
                time.sleep(0.02)
            pid = int((tmp_path / "host0.log").read_text().split()[0])
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        ran = go(tmp_path, made.scheduler_address, pairs=3)
        killer.join()
    assert (ran.done, ran.failed) == (36, ())
    assert results(tmp_path / "boots") == results(tmp_path / "local")
    assert len(booted(tmp_path)) <= 36 + 2, "what had come back was not run again"


def test_an_interrupt_ends_the_guests_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the worker's own look at its task: else the block is over before it looks.
    with workers(tmp_path, seconds=3 * worker._POLL) as made:
        with monkeypatch.context() as patch:
            noted: list[str] = []

            def note(_: plan._Meter, ended: boot.BootEnd) -> None:
                noted.append(ended.request.folder)
                if len(noted) == 3:
                    raise KeyboardInterrupt

            patch.setattr(plan._Meter, "note", note)
            with pytest.raises(KeyboardInterrupt):
                go(tmp_path, made.scheduler_address)
        end = time.monotonic() + 20
        while "interrupted" not in booted(tmp_path) and time.monotonic() < end:
            time.sleep(0.1)
        assert "interrupted" in booted(tmp_path), "a guest nobody waits for is ended"
        kept = len(list((tmp_path / "boots").glob("*/*/boot.json")))
        assert kept >= 3
        with distributed.Client(made.scheduler_address, set_as_default=False) as client:
            client.run(_hurry)
        ran = go(tmp_path, made.scheduler_address)
    assert (ran.kept, ran.done) == (kept, 24 - kept)


def _hurry() -> None:
    os.environ["HARNESS_TEST_SECONDS"] = "0.05"


def test_a_host_that_fails_is_left_out(tmp_path: Path, heard: pytest.LogCaptureFixture) -> None:
    with workers(tmp_path, seconds=0.1) as made:
        with distributed.Client(made.scheduler_address, set_as_default=False) as client:
            address = {name: address for address, name in client.run(worker.host_name).items()}[
                "host0"
            ]
            client.run(_break, workers=[address])
        ran = go(tmp_path, made.scheduler_address)
    assert ran.done == 24
    assert "host host0 is left out from now on: no disk" in heard.text
    assert heard.text.count("left out") == 1


def _break() -> None:
    from harness.util.errors import InfraError  # noqa: PLC0415
    from harness.vm import boot as theirs  # noqa: PLC0415 (of the worker)

    def broken(*_: Any, **__: Any) -> None:
        raise InfraError("no disk")

    theirs.run = broken  # type: ignore[assignment]


def _other_qemu() -> None:
    accel.qemu_version = lambda: "QEMU emulator version 9.1.0"
    hostfacts.here.cache_clear()
    worker.describe.cache_clear()


def test_a_host_with_another_qemu_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with workers(tmp_path, count=1) as made:
        with distributed.Client(made.scheduler_address, set_as_default=False) as client:
            client.run(_other_qemu)
        with pytest.raises(UserError, match=r"host host0 .* has another QEMU \(QEMU .* 9\.1\.0"):
            go(tmp_path, made.scheduler_address)
    assert not (tmp_path / "boots").exists()


def test_where_nobody_answers_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT", 0.5)
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        go(tmp_path, "tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:99999'"):
        go(tmp_path, "tcp://127.0.0.1:99999")


def test_the_blocks_are_shared_among_the_workers(tmp_path: Path) -> None:
    """Prints the efficiency; a busy machine would make a limit for it lie."""
    seconds, total = 1.0, 12
    for count in (1, 2):
        with workers(tmp_path, count=count, seconds=seconds) as made:
            begun = time.monotonic()
            ran = go(tmp_path, made.scheduler_address, pairs=1, boots=f"boots-{count}")
            took = time.monotonic() - begun
        assert ran.done == total
        print(f"{count} workers: efficiency {total * seconds / count / took:.2f}")
    shares = [(tmp_path / f"host{n}.log").read_text().count("\n") for n in (0, 1)]
    assert sum(shares) == 2 * total and shares[1] >= 3


def test_boot_json_names_its_host(tmp_path: Path) -> None:
    facts = hostfacts.here()
    assert facts.name == "here" and facts.qemu == fake.QEMU and facts.cpu and facts.kernel
    assert json.loads(json.dumps(asdict(facts)))["name"] == "here"
