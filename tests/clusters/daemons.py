# SPDX-License-Identifier: GPL-2.0-only
"""Slurm, SSH servers and a Dask scheduler under TLS, of this test alone and on loopback."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.util.paths import REPO
from harness.util.process import tethered

NODES = ("n1", "n2")
_SBIN = "/usr/sbin:/sbin"
_SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=20
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
{nodes}
PartitionName=bench Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=2500 "
    "State=UNKNOWN"
)
_SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host-{name}
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
PidFile none
SetEnv HARNESS_HOST={name} HARNESS_TEST_NODE={folder}/{name}{more}
"""
_SSH = """\
Host {name}
 HostName 127.0.0.1
 Port {port}
 User {user}
 IdentityFile {folder}/key
 IdentitiesOnly yes
 StrictHostKeyChecking no
 UserKnownHostsFile /dev/null
 LogLevel ERROR
"""


@dataclass(slots=True)
class Engine:
    """What SCHEDULER= is to say, the environment for it, and the daemon of each node.

    mark: a variable that all processes on a node have, with "%s" for its name
    """

    scheduler: str
    env: Mapping[str, str]
    mark: str
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def on(self, name: str) -> list[int]:
        """The processes on a node."""
        wanted = {(self.mark % name).encode()}
        if "SLURM_CONF" in self.env:
            wanted.add(f"SLURM_CONF={self.env['SLURM_CONF']}".encode())
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if wanted <= set(path.read_bytes().split(b"\0")):
                    found.append(int(path.parent.name))
        return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in made:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in made]


@contextmanager
def _daemon(
    folder: Path, name: str, argv: Sequence[str], **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends; it and all that it started are ended then."""
    path = f"{os.environ['PATH']}:{_SBIN}"
    program = shutil.which(argv[0], path=path)
    assert program, f"{argv[0]} is missing: make clusters installs it"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            tethered([program, *argv[1:]]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PATH": path, **env},
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _until(said: str, seconds: float, what: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, f"{said} after {seconds:g} s"
        time.sleep(0.2)


@contextmanager
def slurm(folder: Path) -> Iterator[Engine]:
    """munged, slurmctld and a slurmd for each node."""
    for name in ("munge", "state", *NODES):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o711)
    key = folder / "munge.key"
    key.touch(mode=0o400)
    key.chmod(0o600)
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    ports, host = free_ports(1 + len(NODES)), socket.gethostname().partition(".")[0]
    nodes = "\n".join(
        _NODE.format(name=name, host=host, port=port)
        for name, port in zip(NODES, ports[1:], strict=True)
    )
    conf = folder / "slurm.conf"
    conf.write_text(
        _SLURM.format(
            host=host, port=ports[0], user=getpass.getuser(), folder=folder, nodes=nodes,
            names=",".join(NODES),
        )
    )  # fmt: skip
    env = {"SLURM_CONF": str(conf)}
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--{name}={folder}/munge/{name}" for name in ("socket", "pid-file", "seed-file")]
    munged += [f"--log-file={folder}/munge/log"]
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "munged", munged))
        _until("no munged", 20, (folder / "munge/socket").exists)
        stack.enter_context(_daemon(folder, "slurmctld", ["slurmctld", "-D"], **env))
        found = Engine("slurm:partition=bench,jobs=2,memory=1G", env, "SLURMD_NODENAME=%s")
        for name in NODES:
            argv = ["slurmd", "-D", "-N", name]
            found.nodes[name] = stack.enter_context(_daemon(folder, name, argv, **env))

        def idle() -> bool:
            argv = ["sinfo", "--noheader", "--format=%T"]
            done = subprocess.run(
                argv, capture_output=True, text=True, check=False, env={**os.environ, **env}
            )
            return done.stdout.split() == ["idle"]

        _until("no idle nodes", 60, idle)
        yield found


@contextmanager
def ssh(folder: Path) -> Iterator[Engine]:
    """An SSH server for each node, and an ssh that knows them."""
    folder.mkdir(parents=True)
    for name in ("key", *(f"host-{node}" for node in NODES)):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    wrapper.chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    hosts = folder / "hosts"
    hosts.write_text("".join(f"{name} 1\n" for name in NODES))
    env = {"PATH": f"{folder}/bin:{os.environ['PATH']}"}
    found = Engine(f"ssh:{hosts}", env, f"HARNESS_TEST_NODE={folder}/%s")
    ports = dict(zip(NODES, free_ports(len(NODES)), strict=True))
    text = {"folder": folder, "user": getpass.getuser()}
    (folder / "config").write_text(
        "".join(_SSH.format(name=name, port=port, **text) for name, port in ports.items())
    )
    # An SSH server hands on no other variable.
    cache = os.environ.get("XDG_CACHE_HOME")
    more = f" XDG_CACHE_HOME={cache}" if cache else ""
    with ExitStack() as stack:
        for name, port in ports.items():
            conf = folder / f"sshd-{name}.conf"
            conf.write_text(_SSHD.format(name=name, port=port, folder=folder, more=more))
            argv = ["sshd", "-D", "-e", "-f", str(conf)]
            found.nodes[name] = stack.enter_context(_daemon(folder, f"sshd-{name}", argv))

            def answers(name: str = name) -> bool:
                argv = [str(wrapper), name, "true"]
                return subprocess.run(argv, capture_output=True, check=False).returncode == 0

            _until(f"no sshd of {name}", 20, answers)
        yield found


@contextmanager
def tls(folder: Path) -> Iterator[Engine]:
    """A Dask scheduler under TLS and a worker for each node, as somebody else starts them."""
    from distributed import Security  # noqa: PLC0415 (slow)

    folder.mkdir(parents=True)
    made = Security.temporary()
    for name, text in (("key", made.tls_client_key), ("cert", made.tls_client_cert)):
        (folder / name).write_text(text)
    (port,) = free_ports(1)
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    env = {f"{prefix}CA_FILE": f"{folder}/cert", "PYTHONPATH": str(REPO)}
    for side in ("CLIENT", "SCHEDULER", "WORKER"):
        env |= {f"{prefix}{side}__{name.upper()}": f"{folder}/{name}" for name in ("key", "cert")}
    address = f"tls://127.0.0.1:{port}"
    python = [sys.executable, "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--protocol", "tls", "--no-dashboard"]
    scheduler += ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    worker = [*python, "distributed.cli.dask_worker", address, "--nthreads", "1", "--nworkers", "1"]
    worker += ["--memory-limit", "0", "--no-dashboard", "--death-timeout", "60"]
    found = Engine(address, env, f"HARNESS_TEST_NODE={folder}/%s")
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "scheduler", scheduler, **env))
        for name in NODES:
            own = {"HARNESS_HOST": name, "HARNESS_TEST_NODE": f"{folder}/{name}"}
            found.nodes[name] = stack.enter_context(_daemon(folder, name, worker, **env, **own))
        log = folder / "scheduler.log"
        _until("no two workers", 60, lambda: log.read_text().count("Register worker addr") >= 2)
        yield found
