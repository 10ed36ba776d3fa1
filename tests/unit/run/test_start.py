# SPDX-License-Identifier: GPL-2.0-only
"""Schedulers that are started for one command: stand-ins for ssh and Slurm run workers here.

Real ones: tests/clusters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.run import plan
from harness.run.cluster import cluster, start
from harness.run.engine import Local
from harness.util.errors import UserError
from tests.unit.run.test_cluster import here, results, setting

distributed = pytest.importorskip("distributed")
__all__ = ["here"]  # a fixture of every test

SSH = """\
#!/bin/sh
# ssh -G HOST, or ssh -o BatchMode=yes HOST COMMAND
if [ "$1" = -G ]; then echo hostname 127.0.0.1; exit; fi
[ "$3" != bad ] || { echo "bad: Permission denied (publickey)." >&2; exit 255; }
export HARNESS_HOST=$3
exec sh -c "$4"
"""
SBATCH = """\
#!/bin/sh
# sbatch SCRIPT
export SLURMD_NODENAME=$(ls "$JOBS" | wc -l)
cp "$1" "$JOBS/$SLURMD_NODENAME"
setsid sh "$JOBS/$SLURMD_NODENAME" >/dev/null 2>&1 &
echo "Submitted batch job $!"
"""
LOOPBACK = {
    "jobqueue.slurm.scheduler-options": {"host": "127.0.0.1"},
    "jobqueue.slurm.worker-extra-args": ["--host", "127.0.0.1"],
}
SCANCEL = '#!/bin/sh\nfor id; do kill -TERM -- "-$id"; done\n'
SQUEUE = '#!/bin/sh\nfor id in $(echo "${3#*=}" | tr , " "); do kill -0 $id && echo RUNNING; done\n'


@pytest.fixture(autouse=True)
def shims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs before those of the system; workers whose guests never run."""
    folder = tmp_path / "bin"
    (tmp_path / "jobs").mkdir()
    folder.mkdir()
    for name, text in (
        ("ssh", SSH), ("sbatch", SBATCH), ("scancel", SCANCEL), ("squeue", SQUEUE),
    ):  # fmt: skip
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(tmp_path / "jobs"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("HARNESS_TEST_SECONDS", "0.05")
    monkeypatch.setenv("HARNESS_TEST_NAMED", "yes")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", "tests.fakes.worker")
    return folder


def ended(folder: Path) -> Callable[[], bool]:
    """Whether none of the workers that booted something is there any more."""
    pids = {
        int(line.split()[0])
        for path in folder.glob("*.log")
        for line in path.open()
        if line.strip()
    }
    assert pids
    return lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)


def soon(what: Callable[[], bool], seconds: float = 20) -> bool:
    begun = time.monotonic()
    while not what() and time.monotonic() - begun < seconds:
        time.sleep(0.1)
    return what()


def test_workers_over_ssh_give_the_results_of_one_machine_and_end(
    tmp_path: Path, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_HOST")
    (tmp_path / "hosts").write_text("one 1\ntwo 2\n")
    where, todo = setting(tmp_path)
    plan.run(todo, where, tmp_path / "local", engine=Local(1))
    with cluster.connected(f"ssh:{tmp_path / 'hosts'}", "tcg") as engine:
        assert engine.workers == 3
        assert all(address.startswith("tls://127.0.0.1:") for address in engine.by_address)
        ran = plan.run(todo, where, tmp_path / "boots", engine=engine)
    assert (ran.done, ran.failed) == (24, ())
    assert results(tmp_path / "boots") == results(tmp_path / "local")
    assert "2 workers with 3 guests side by side on 2 hosts: one, two" in heard.text
    assert soon(ended(tmp_path)), "workers end with the command"


def test_a_host_that_lets_nobody_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("one\nbad\n")
    said = r"no worker runs on bad of .*hosts: bad: Permission denied \(publickey\)"
    with (
        pytest.raises(UserError, match=said),
        cluster.connected(f"ssh:{tmp_path / 'hosts'}", "tcg"),
    ):
        pass


def test_jobs_of_slurm_give_the_results_of_one_machine_and_end(
    tmp_path: Path, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    import dask  # noqa: PLC0415 (with distributed)

    monkeypatch.delenv("HARNESS_HOST")
    where, todo = setting(tmp_path)
    plan.run(todo, where, tmp_path / "local", engine=Local(1))
    with (
        dask.config.set(LOOPBACK),
        cluster.connected("slurm:partition=bench,jobs=2", "tcg") as engine,
    ):
        ran = plan.run(todo, where, tmp_path / "boots", engine=engine)
    assert (ran.done, ran.failed) == (24, ())
    assert results(tmp_path / "boots") == results(tmp_path / "local")
    assert "guests side by side on" in heard.text and "node-" in heard.text
    assert soon(ended(tmp_path)), "jobs end with the command"
    assert not list((tmp_path / "cache/swap-harness").glob("slurm-*")), "nor is the key left"


def test_jobs_that_end_without_a_worker_are_told(
    tmp_path: Path, shims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    import dask  # noqa: PLC0415 (with distributed)

    monkeypatch.setattr(start, "_LOOK", 0.5)
    (shims / "sbatch").write_text(
        "#!/bin/sh\n"
        'log=$(sed -n "s/^#SBATCH -e //p" "$1" | sed "s/%J/1/")\n'
        'echo "cd: /home/me/harness: No such file or directory" >"$log"\n'
        'true & echo "Submitted batch job $!"\n'
    )
    with (
        dask.config.set(LOOPBACK),
        pytest.raises(UserError, match="no worker came of its jobs: cd: /home/me/harness: No such"),
        cluster.connected("slurm", "tcg"),
    ):
        pass


def test_tls_without_certificates_says_which_are_needed() -> None:
    with (
        pytest.raises(UserError, match="DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"),
        cluster.connected("tls://127.0.0.1:1", "tcg"),
    ):
        pass


def test_the_certificates_of_the_environment_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask  # noqa: PLC0415 (with distributed)

    made = distributed.Security.temporary()
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        (tmp_path / name).write_text(getattr(made, name))
    certificates = {
        f"distributed.comm.tls.{key}": str(tmp_path / f"tls_{name}")
        for key, name in (
            ("ca-file", "ca_file"), ("client.cert", "client_cert"), ("client.key", "client_key"),
        )
    }  # fmt: skip
    monkeypatch.setenv("HARNESS_TEST_SECONDS", "0")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", protocol="tls://", security=made,
            preload=["tests.fakes.worker"], dashboard_address=None, silence_logs=50,
        ) as running,
        dask.config.set(certificates),
        cluster.connected(running.scheduler_address, "tcg") as engine,
    ):  # fmt: skip
        assert next(iter(engine.by_address)).startswith("tls://")
