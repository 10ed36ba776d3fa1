# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages through a private apt: the host's mirror, none of the host's state.

The lists, the cache and the sources are the harness's own, so that a package of another Debian
release can be fetched without root and without touching the host.  apt checks the signatures of
the archive, and nothing here can turn that off.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path

from harness.experiment.arch import HERE
from harness.util import atomic
from harness.util.command import Completed, run
from harness.util.errors import HarnessError, InfraError, UserError

_log = logging.getLogger(__name__)

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("trixie-backports", "trixie", "bookworm-updates", "bookworm")
SECURITY_SUITES = ("trixie-security", "bookworm-security")

_RELEASES = "buster bullseye bookworm trixie forky sid oldoldstable oldstable stable testing"
_RELEASE = re.compile(rf"(?:{'|'.join([*_RELEASES.split(), 'unstable'])})(?:[-/][a-z-]+)?")
_MAX_AGE_S = 24 * 3600
_TARGETS = (
    "apt-get",
    "indextargets",
    "--format",
    "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(ORIGIN)",
    "Created-By: Packages",
)
_PRINTED_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<hash>\w+)$")

Runner = Callable[[Sequence[str], Path | None], Completed]
"""Runs an argv in a folder; does not raise for a status other than 0."""


@dataclass(frozen=True, slots=True)
class Target:
    """One package index that the host's apt is configured for."""

    uri: str
    release: str
    component: str
    origin: str


@dataclass(frozen=True, slots=True)
class Archives:
    """The Debian archives to use: base URLs without a slash at the end."""

    main: str
    security: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of a package, and the first suite that has it."""

    package: str
    version: str
    suite: str


@dataclass(frozen=True, slots=True)
class Deb:
    """A downloaded package; ``sha256`` was computed and equals the one in the signed index."""

    path: Path
    package: str
    version: str
    sha256: str


def parse_targets(text: str) -> tuple[Target, ...]:
    """What ``apt-get indextargets`` printed in the format uri, release, component, origin."""
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(
        Target(uri.rstrip("/"), release, component, origin)
        for uri, release, component, origin in (row for row in rows if len(row) == 4)
    )


def find_archives(targets: Iterable[Target], *, mirror: str | None = None) -> Archives:
    """The Debian archives among the host's; `mirror` stands in for the main one.

    A host that never fetched its lists states no origin; then the release's name decides.
    Raises UserError when the host has none and no mirror is given.
    """
    debian = [t for t in targets if _is_debian(t)]
    security = next((t.uri for t in debian if _is_security(t)), None)
    if mirror is not None:
        if not re.match(r"(?:https?|file|copy)://?[^\s]+$|(?:file|copy):/[^\s]+$", mirror):
            raise UserError(f"DEBIAN_MIRROR is {mirror!r}, which is not the URL of an archive")
        return Archives(mirror.rstrip("/"), security)
    main = next((t.uri for t in debian if not _is_security(t)), None)
    if main is None:
        raise UserError(
            "this machine's apt has no Debian archive: set DEBIAN_MIRROR to the URL of one"
        )
    return Archives(main, security)


def sources_text(archives: Archives) -> str:
    """The private sources file (deb822) for these archives."""
    stanzas: list[tuple[str, tuple[str, ...]]] = [(archives.main, SUITES)]
    if archives.security:
        stanzas.append((archives.security, SECURITY_SUITES))
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
        for uri, suites in stanzas
    )


def parse_madison(text: str) -> tuple[Candidate, ...]:
    """What ``apt-cache madison`` printed, newest version first, each version once."""
    found: dict[str, Candidate] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages"):
            suite = fields[2].split()[1].split("/")[0]
            found.setdefault(fields[1], Candidate(fields[0], fields[1], suite))
    newest_first = sorted(found, key=cmp_to_key(compare_versions), reverse=True)
    return tuple(found[version] for version in newest_first)


def compare_versions(a: str, b: str) -> int:
    """Debian's order of versions, as dpkg has it: negative when `a` is older than `b`."""
    for relation, order in (("lt", -1), ("gt", 1)):
        if run(["dpkg", "--compare-versions", a, relation, b], check=False).returncode == 0:
            return order
    return 0


class AptSource:
    """Finds and downloads Debian packages; keeps all its state below `cache`."""

    def __init__(
        self, cache: Path, *, mirror: str | None = None, runner: Runner | None = None
    ) -> None:
        self._root = cache.absolute() / "apt"
        self._mirror = mirror or None
        self._run = runner or _run
        self._refreshed = False

    def archives(self) -> Archives:
        """The archives in use.  Raises UserError when this machine names none and no mirror is."""
        # Asking the host's own apt: the private configuration has no sources yet.
        return find_archives(parse_targets(self._run(_TARGETS, None).stdout), mirror=self._mirror)

    def candidates(self, name: str) -> tuple[Candidate, ...]:
        """The versions of package `name`, newest first; empty if the archives have none.

        The lists are fetched anew when they are missing or older than a day, or do not know the
        package.  Without network the old lists serve, with a warning.
        """
        self._prepare()
        if self._stale():
            self._refresh()
        found = self._madison(name)
        if not found and not self._refreshed:
            self._refresh()
            found = self._madison(name)
        return found

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names of all packages that begin with `prefix`, sorted."""
        self._prepare()
        return tuple(sorted(self._apt("apt-cache", "pkgnames", prefix).stdout.split()))

    def download(self, package: str, version: str) -> Deb:
        """Download one package, or take it from the cache, and check its sha256.

        Raises InfraError when it cannot be had or is not what the signed index says.
        """
        self._prepare()
        name = f"{package}={version}"
        printed = self._apt("apt-get", "-q", "--print-uris", "download", name)
        matches = [m for line in printed.stdout.splitlines() if (m := _PRINTED_URI.match(line))]
        if not matches:
            why = _why(printed)
            raise InfraError(f"apt does not say where to find {name}: {why}")
        file, size, promised = matches[0]["file"], int(matches[0]["size"]), matches[0]["hash"]
        folder = self._root / "archives"
        deb = folder / Path(file).name
        if not (deb.is_file() and atomic.sha256_file(deb) == promised):
            deb.unlink(missing_ok=True)
            _log.info(f"downloading {name} ({size / 1e6:.0f} MB)")
            done = self._apt("apt-get", "-q", "download", name, cwd=folder)
            if done.returncode != 0 or not deb.is_file():
                raise InfraError(f"apt cannot download {name}: {_why(done)}")
        computed = atomic.sha256_file(deb)
        if computed != promised:
            deb.unlink()
            raise InfraError(f"{name} has sha256 {computed}, but apt's index says {promised}")
        return Deb(deb, package, version, computed)

    def _madison(self, name: str) -> tuple[Candidate, ...]:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise UserError(f"{name!r} is not the name of a Debian package")
        return parse_madison(self._apt("apt-cache", "madison", name).stdout)

    def _prepare(self) -> None:
        """Write the private configuration; it is cheap, so every process does it."""
        if '"' in str(self._root) or "\n" in str(self._root):
            raise UserError(f"apt cannot work below {self._root}: its name has a quote in it")
        for folder in ("lists/partial", "cache/archives/partial", "archives"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        atomic.text(self._root / "status", "")
        atomic.text(self._root / "apt.conf", _configuration(self._root))

    def _stale(self) -> bool:
        stamp = self._root / "refreshed"
        try:
            of_mirror, when = stamp.read_text(encoding="utf-8"), stamp.stat().st_mtime
        except OSError:
            return True
        return of_mirror != (self._mirror or "") or time.time() - when > _MAX_AGE_S

    def _refresh(self) -> None:
        """Fetch the lists; a failure only matters when there are none yet."""
        self._refreshed = True
        stamp = self._root / "refreshed"
        try:
            self._update()
        except HarnessError as error:
            if not stamp.exists():
                raise
            _log.warning(f"using old package lists: {error}")
        else:
            atomic.text(stamp, self._mirror or "")

    def _update(self) -> None:
        archives = self.archives()
        if not KEYRING.exists():
            raise InfraError(f"{KEYRING} is missing: install debian-archive-keyring")
        atomic.text(self._root / "debian.sources", sources_text(archives))
        _log.info("fetching Debian's package lists")
        done = self._apt("apt-get", "-q", "update")
        if done.returncode != 0:
            raise InfraError(f"apt-get update failed: {_why(done)}")

    def _apt(self, program: str, *args: str, cwd: Path | None = None) -> Completed:
        with atomic.locked(self._root / "lock"):
            return self._run([program, "-c", str(self._root / "apt.conf"), *args], cwd)


def _configuration(root: Path) -> str:
    settings = {
        "Dir::Etc::sourcelist": root / "debian.sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "-",
        "Dir::Etc::preferencesparts": "-",
        # Only Signed-By counts: no key that the host trusts for other archives.
        "Dir::Etc::trusted": "-",
        "Dir::Etc::trustedparts": "-",
        "Dir::State::lists": f"{root}/lists",
        "Dir::State::status": root / "status",
        "Dir::State::extended_states": f"{root}/extended_states",
        "Dir::Cache": f"{root}/cache",
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
        "APT::Architecture": HERE.debian,
        "APT::Architectures": "",
        "Acquire::Languages": "none",
        "Acquire::PDiffs": "false",
        "Acquire::Retries": "2",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "APT::Update::Error-Mode": "any",
    }
    if os.geteuid() == 0:
        settings["APT::Sandbox::User"] = "root"  # apt's own user cannot write to the cache
    # The host's hooks clean caches and notify daemons: none of that is meant for this apt.
    hooks = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")
    lines = [f"#clear APT::Update::{hook};" for hook in hooks]
    lines += ["#clear APT::Architectures;"]
    return "\n".join([*lines, *(f'{key} "{value}";' for key, value in settings.items())]) + "\n"


def _run(argv: Sequence[str], cwd: Path | None) -> Completed:
    return run(argv, cwd=cwd, env={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}, check=False)


def _why(done: Completed) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    lines = lines or done.stderr.splitlines() or done.stdout.splitlines()
    return lines[-1].removeprefix("E:").strip() if lines else f"exit status {done.returncode}"


def _is_debian(target: Target) -> bool:
    if target.origin:
        return target.origin == "Debian"
    return _RELEASE.fullmatch(target.release) is not None


def _is_security(target: Target) -> bool:
    return target.release.endswith("-security")
