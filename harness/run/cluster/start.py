# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler of SCHEDULER=: one that runs already, or one started here for this command.

A scheduler that is started here talks to its workers under TLS, with a certificate made for it
alone: nobody else reaches them.  Over SSH the certificate goes through the connection, to Slurm's
jobs through a folder of the cache, which they share.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.experiment import schedulers
from harness.experiment.schedulers import ListedHost, SchedulerRequest
from harness.util import progress
from harness.util.errors import UserError
from harness.util.paths import REPO, Cache
from harness.util.process import tethered

_PATIENCE = 180
"""Seconds until a worker over SSH must be there."""
_ALONE = 60
"""Seconds until a worker that has no scheduler ends."""
_POLL = 0.3
_QUIET = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
"""A scheduler whose pages, which nobody asks for, are in no other one's way."""
_LOOK = 5.0
_TLS = "DASK_DISTRIBUTED__COMM__TLS__"
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Started:
    """A scheduler.

    target: what a client of Dask connects to; security: how, None for in the clear
    ready: waits for its workers; raises UserError where one does not come
    """

    target: Any
    security: Any = None
    ready: Callable[[Any], None] = lambda _: None


@contextmanager
def started(text: str) -> Iterator[Started]:
    """What SCHEDULER= names; what was started for it ends with the block.

    Needs distributed.  UserError says what is missing, and where.
    """
    place = schedulers.parse(text)
    with {"ssh": _over_ssh, "slurm": _by_slurm}.get(place.kind, _at)(place) as found:
        yield found


@contextmanager
def _at(place: SchedulerRequest) -> Iterator[Started]:
    """One that runs already."""
    from distributed import Security  # noqa: PLC0415 (only a cluster needs it)

    security = Security() if place.kind == "tls" else None
    if security and not (security.tls_ca_file and security.tls_client_cert):
        raise UserError(
            "SCHEDULER=tls:// needs certificates: set "
            f"{', '.join(_TLS + one for one in ('CA_FILE', 'CLIENT__CERT', 'CLIENT__KEY'))} in "
            "the environment, or Dask's own configuration (docs/many-machines.md)"
        )
    yield Started(place.address, security)


@contextmanager
def _over_ssh(place: SchedulerRequest) -> Iterator[Started]:
    """A worker on each host of a list, which ends with its connection."""
    from distributed import LocalCluster, Security  # noqa: PLC0415 (see above)

    hosts = schedulers.hosts(place.hosts)
    security = Security.temporary()
    with (
        LocalCluster(
            n_workers=0,
            host=_address_for(hosts[0]),
            protocol="tls://",
            security=security,
            scheduler_kwargs=_QUIET,
            silence_logs=50,
        ) as made,
        tempfile.TemporaryDirectory(prefix="harness-ssh.") as logs,
        ExitStack() as stack,
    ):
        remotes = [
            stack.enter_context(_remote(host, made.scheduler_address, security, Path(logs)))
            for host in hosts
        ]
        yield Started(made, security, lambda client: _all_there(client, remotes, place.hosts))


@dataclass(frozen=True, slots=True)
class _Remote:
    """The ssh that runs a worker, and what it says."""

    host: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def last(self) -> str:
        """Its last words."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((one.strip() for one in reversed(lines) if one.strip()), "it said nothing")


@contextmanager
def _remote(host: ListedHost, address: str, security: Any, logs: Path) -> Iterator[_Remote]:
    log = logs / f"{host.name}.log"
    argv = ["ssh", "-o", "BatchMode=yes", host.name, _command(address, host)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            tethered(argv), stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        if process.stdin:
            # The far end reads up to an empty line, and goes on until the connection ends.
            secret = f"{security.tls_client_key}\n{security.tls_client_cert}\n"
            lines = [line for line in secret.split("\n") if line.strip()]
            try:
                process.stdin.write("\n".join([*lines, "", ""]).encode())
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it ended, and says why
        yield _Remote(host.name, process, log)
    finally:
        process.terminate()
        process.wait()


def _command(address: str, host: ListedHost) -> str:
    """What the far end's shell runs: a worker with the certificate that comes by its input."""
    words = [
        sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "1",
        "--memory-limit", "0", "--no-dashboard", "--death-timeout", str(_ALONE),
    ]  # fmt: skip
    words += ["--nthreads", str(host.guests)] if host.guests else []
    files = ' --tls-ca-file "$d/tls" --tls-cert "$d/tls" --tls-key "$d/tls"'
    script = (
        "umask 077; d=$(mktemp -d) || exit 1; trap 'rm -rf \"$d\"' EXIT; "
        'while read -r line && [ -n "$line" ]; do echo "$line"; done >"$d/tls"; '
        f"cd {shlex.quote(str(REPO))} || exit 1; export PYTHONPATH={shlex.quote(str(REPO))}; "
        f"{shlex.join(words)}{files} & w=$!; "
        # It ends with the worker, and the worker with the connection.
        '(cat >/dev/null; kill "$w") <&3 & c=$!; wait "$w"; s=$?; kill "$c"; exit "$s"'
    )
    return shlex.join(["sh", "-c", f"exec 3<&0; {script}"])


def _address_for(host: ListedHost) -> str:
    """The address of this machine that a host of the list reaches."""
    from distributed.utils import get_ip  # noqa: PLC0415 (see above)

    try:
        done = subprocess.run(
            ["ssh", "-G", host.name], capture_output=True, text=True, check=False, timeout=10
        )
    except OSError as error:
        raise UserError(f"SCHEDULER=ssh: needs ssh, and it does not start: {error}") from error
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("hostname ")]
    try:
        return str(get_ip(names[0] if names else host.name))
    except OSError as error:
        raise UserError(f"SCHEDULER: host {host.name} is not to be found: {error}") from error


def _all_there(client: Any, remotes: Sequence[_Remote], path: Path) -> None:
    begun = time.monotonic()
    with progress.stage("workers", note=f"{len(remotes)} hosts of {path}, over SSH"):
        while len(client.scheduler_info(n_workers=-1)["workers"]) < len(remotes):
            for one in remotes:
                if one.process.poll() is not None:
                    raise UserError(
                        f"SCHEDULER: no worker runs on {one.host} of {path}: {one.last[:_SHOWN]}"
                    )
            if time.monotonic() - begun > _PATIENCE:
                names = ", ".join(one.host for one in remotes)
                raise UserError(
                    f"SCHEDULER: not all of {names} have a worker after {_PATIENCE} s: can they "
                    "reach this machine?"
                )
            time.sleep(_POLL)


@contextmanager
def _by_slurm(place: SchedulerRequest) -> Iterator[Started]:
    """A worker in each of some jobs, which end with the block."""
    try:
        import dask  # noqa: PLC0415 (see above)
        from dask_jobqueue import SLURMCluster  # noqa: PLC0415 (only Slurm needs it)
    except ImportError as error:
        raise UserError(
            "SCHEDULER=slurm: needs dask-jobqueue: install requirements-cluster.txt into the "
            "virtual environment"
        ) from error
    from distributed import Security  # noqa: PLC0415 (see above)

    asked, cache = place.options, Cache.from_environment()
    count, cpus = int(asked["jobs"]), int(asked["cpus"])
    amount, unit = int(asked["memory"][:-1]), asked["memory"][-1]
    cache.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slurm-", dir=cache.root) as folder:
        logs = Path(folder)
        try:
            made = SLURMCluster(
                queue=asked["partition"] or None,
                account=asked["account"] or None,
                cores=cpus,
                processes=1,
                memory=f"{cpus * amount}{unit}iB",
                walltime=asked["time"],
                python=sys.executable,
                protocol="tls://",
                security=_written(Security.temporary(), logs),
                log_directory=folder,
                job_script_prologue=[
                    f"cd {shlex.quote(str(REPO))} || exit 1",
                    f"export PYTHONPATH={shlex.quote(str(REPO))}",
                    # Results do not name the nodes of a site.
                    'export HARNESS_HOST="${HARNESS_HOST:-node-$(printf %s "$SLURMD_NODENAME" '
                    '| sha256sum | cut -c1-8)}"',
                ],
                # A site says there which of its networks the nodes reach.
                scheduler_options={
                    **dask.config.get("jobqueue.slurm.scheduler-options", {}),
                    **_QUIET,
                },
                silence_logs="critical",
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"SCHEDULER=slurm: {error}") from error
        with made:
            made.scale(jobs=count)
            yield Started(
                made, made.security, lambda client: _some_there(client, made, count, logs)
            )


def _written(security: Any, folder: Path) -> Any:
    """A certificate that workers find in a folder, which nobody else reads."""
    from distributed import Security  # noqa: PLC0415 (see above)

    paths = {}
    for name, text in (("key", security.tls_client_key), ("cert", security.tls_client_cert)):
        paths[name] = str(folder / name)
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="ascii")
    sides = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=paths["cert"],
        **{f"tls_{side}_{name}": path for side in sides for name, path in paths.items()},
    )


def _some_there(client: Any, made: Any, count: int, logs: Path) -> None:
    """Wait for the first job; a queue may be long."""
    looked = time.monotonic()
    with progress.stage("workers", note=f"{count} jobs of Slurm"):
        while not client.scheduler_info(n_workers=-1)["workers"]:
            time.sleep(_POLL)
            if time.monotonic() - looked < _LOOK:
                continue
            looked = time.monotonic()
            jobs = [str(one.job_id) for one in made.workers.values() if one.job_id]
            if made.status.name in ("failed", "closed") or (jobs and not _queued(jobs)):
                raise UserError(f"SCHEDULER=slurm: no worker came of its jobs: {_said(logs)}")


def _queued(jobs: Sequence[str]) -> bool:
    """Whether Slurm has any of these jobs, waiting or running."""
    argv = ["squeue", "--noheader", "--format=%T", f"--jobs={','.join(jobs)}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    left = {"PENDING", "RUNNING", "CONFIGURING", "SUSPENDED"}
    return done.returncode == 0 and bool(left & set(done.stdout.split()))


def _said(logs: Path) -> str:
    """The last words of a job."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.err"))
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return lines[-1][:_SHOWN] if lines else "they said nothing"
