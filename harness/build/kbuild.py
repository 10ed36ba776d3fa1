# SPDX-License-Identifier: GPL-2.0-only
"""Compile a kernel once and publish it as an immutable artefact.

The two arms of a comparison share a *workspace*, one work tree and one object folder: the patched
kernel is then built incrementally from the base's objects, in the same paths, with the same
compiler, user, host and time stamp, so that the images differ in nothing but the patch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build import kconfig, workspace
from harness.build.workspace import Objects, Symbols
from harness.experiment.arch import HERE
from harness.source.gitstore import GitStore
from harness.util import atomic, progress
from harness.util.command import clean_environment, run
from harness.util.errors import KernelFailure, UserError
from harness.util.hostspace import require_space
from harness.util.paths import Cache
from harness.util.process import Watched
from harness.util.sandbox import Sandbox, copy_below, read_below

_log = logging.getLogger(__name__)

_SCHEMA = 1
GCC = "gcc"
"""What compiles a kernel if nobody asks for another compiler."""
SPACE = 4 << 30  # a work tree (1.7 GiB) and its objects (about 1 GiB), with room to spare
_ERRORS = (
    re.compile(r"^\S+?:\d+:(?:\d+:)? (?:fatal )?error: .*"),
    re.compile(r".*internal compiler error.*"),
    re.compile(r".*: undefined reference to .*"),
    re.compile(r"^\S*ld\S*: .*(?:error|cannot find).*"),
    re.compile(r"^(?:ERROR|Error|error): .*"),
    re.compile(r".*: not found$"),
    re.compile(r"^make(?:\[\d+\])?: \*\*\* .*"),
)
# What would differ between two builds of the same tree, fixed.
_FIXED = {
    "KBUILD_BUILD_USER": "harness",
    "KBUILD_BUILD_HOST": "harness",
    "KBUILD_BUILD_VERSION": "1",
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026",
    # Set, even to nothing, it keeps the "+" of an untagged commit out of the release.
    "LOCALVERSION": "",
    # Line numbers and inlined functions: a stack trace can be decoded.  Code stays as it is, for
    # gcc never lets -g change it.
    "KCFLAGS": "-g1",
}
_ARTEFACTS = {
    HERE.image: HERE.image_path,
    "vmlinux": "vmlinux",
    "System.map": "System.map",
    "config": ".config",
}
_ENDED = (0, 1, 2)
"""The statuses of a make that was not killed: 2 is an error that it told."""
DECODER = "decode_stacktrace.sh"
"""The kernel's own script, of the tree itself, beside its artefacts."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A published kernel: ``path`` holds its image, vmlinux, System.map and config."""

    key: str
    path: Path
    release: str
    compiler: str
    seconds: float
    sha256: tuple[tuple[str, str], ...]

    @property
    def image(self) -> Path:
        """What QEMU boots."""
        return self.path / HERE.image

    @property
    def config(self) -> dict[str, str]:
        """Its configuration, symbol -> value."""
        return kconfig.parse((self.path / "config").read_text(encoding="utf-8"))

    @property
    def functions(self) -> frozenset[str]:
        """The names of its System.map, functions and variables alike."""
        text = (self.path / "System.map").read_text(encoding="utf-8")
        return frozenset(line.rpartition(" ")[2] for line in text.splitlines())

    @property
    def symbols(self) -> frozenset[str]:
        """Every symbol that the tree's Kconfig files define, with the CONFIG_ prefix."""
        names = (self.path / "kconfig-symbols").read_text(encoding="utf-8").split()
        return frozenset(f"CONFIG_{name}" for name in names)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build: a commit of the store, configured as requested, in the base's workspace.

    cc: the program that compiles it
    ``beside`` are the options of the kernel whose objects are gone on with, None for its own: an
    option that only a few files look at then costs those, and not a whole build.
    """

    label: str
    commit: str
    tree: str
    version: str
    options: tuple[kconfig.Option, ...]
    workspace: str
    cc: str = GCC
    beside: tuple[kconfig.Option, ...] | None = None


class BuildFailed(KernelFailure):
    """The kernel did not compile; ``reason`` is the first error, ``log`` the whole output."""

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(f"{reason}; the whole log is {log}")
        self.reason, self.log = reason, log


def object_folder(options: Sequence[kconfig.Option], cc: str = GCC) -> str:
    """The folder for objects inside a workspace: one for each configuration and compiler."""
    asked = kconfig.allconfig_text(options)
    return f"obj-{_digest(asked if cc == GCC else f'{asked}{cc}')[:8]}"


def compiler_version(cc: str = GCC) -> str:
    """The first line of ``gcc --version``: part of what determines an artefact.

    Raises UserError where another compiler than gcc is asked for and missing.
    """
    if cc != GCC and shutil.which(cc) is None:
        raise UserError(f"CC={cc} is not installed: apt-get install {cc}, or leave CC= out for gcc")
    return run([cc, "--version"]).stdout.splitlines()[0]


def kernel_key(request: BuildRequest, compiler: str) -> str:
    """What determines the artefact: tree, requested options, compiler, this module's schema."""
    parts = (str(_SCHEMA), request.tree, kconfig.allconfig_text(request.options), compiler)
    return _digest("\0".join((*parts, repr(sorted(_FIXED.items())))))[:16]


def load(path: Path) -> Kernel | None:
    """A published kernel, or None if ``path`` has none that is whole and as it was built."""
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if manifest["sha256"] != _hashes(path):
            return None
        return Kernel(
            key=manifest["key"],
            path=path,
            release=manifest["release"],
            compiler=manifest["compiler"],
            seconds=manifest["seconds"],
            sha256=tuple(sorted(manifest["sha256"].items())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _hashes(path: Path) -> dict[str, str]:
    return {name: atomic.sha256_file(path / name) for name in _ARTEFACTS}


Configured = Callable[[Mapping[str, str]], None]
"""Gets a configuration, symbol -> value; it may raise what ends the build."""


def ignore(_: Mapping[str, str]) -> None:
    """Nobody asks for the configuration."""


@dataclass(frozen=True, slots=True)
class KernelBuilder:
    """Builds kernels in the cache's workspaces and publishes them in its ``kernels`` folder."""

    cache: Cache
    store: GitStore
    sandbox: Sandbox
    jobs: int

    def find(self, request: BuildRequest) -> Kernel | None:
        """The kernel of ``request`` if it was published before."""
        return load(self.places(request)[0])

    def places(self, request: BuildRequest) -> tuple[Path, Path]:
        """Where the kernel of ``request`` is published, and the workspace that it is built in."""
        key = kernel_key(request, compiler_version(request.cc))
        return self.cache.kernels / key, self.cache.build / request.workspace

    def build(self, request: BuildRequest, configured: Configured = ignore) -> Kernel:
        """The kernel of ``request``, from the cache or built now.

        ``configured`` is called with its configuration before anything is compiled.
        Raises UserError when the configuration does not take, KernelFailure when the tree cannot
        be configured, BuildFailed when it does not compile, InfraError when the disk is too small
        or a tool is missing.
        """
        compiler = compiler_version(request.cc)
        target = self.cache.kernels / kernel_key(request, compiler)
        atomic.hold(target)
        known = load(target)
        if known:
            _log.info(f"build {request.label}: {known.release}, already built ({known.key})")
            configured(known.config)
            return known
        if target.is_dir():
            _log.warning(f"kernel {target.name} is not as it was built: it is built again")
        shutil.rmtree(target, ignore_errors=True)  # half of an artefact is none
        folder = self.cache.build / request.workspace
        with (
            atomic.locked(self.cache.build / f"{request.workspace}.lock"),
            progress.stage(f"build {request.label}", note=request.version),
        ):
            require_space(self.cache.root, SPACE, f"building {request.label}")
            return self._build_in(folder, request, compiler, target, configured)

    def _build_in(
        self,
        folder: Path,
        request: BuildRequest,
        compiler: str,
        target: Path,
        configured: Configured,
    ) -> Kernel:
        near = request.options if request.beside is None else request.beside
        src, obj = folder / "src", folder / object_folder(near, request.cc)
        obj.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _log.info(f"checking out {request.commit[:12]} for {request.label}")
        self.store.checkout(src, request.commit)
        rows = self.store.listing(request.commit)
        objects = Objects(obj)
        asked = (kconfig.allconfig_text(request.options), compiler, repr(self._environment()))
        with objects.written():
            key = workspace.configuration_key(rows, *asked)
            config = self._configure(src, objects, request, key)
            configured(config)
            watched = self._make(src, obj, request)
        if watched.returncode != 0:
            raise BuildFailed(
                f"{request.label} ({request.version}) does not compile: "
                f"{first_error(watched.log.read_text(encoding='utf-8', errors='replace'))}",
                watched.log,
            )
        release = read_release(obj)
        with atomic.folder(target) as scratch:
            for name, place in _ARTEFACTS.items():
                copy_below(obj, place, scratch / name)
            if (src / "scripts" / DECODER).is_file():
                copy_below(src, f"scripts/{DECODER}", scratch / DECODER)
            shutil.copyfile(watched.log, scratch / "build.log")
            (scratch / "kconfig-symbols").write_text(self._symbols(src, rows), encoding="utf-8")
            manifest = {
                "schema": _SCHEMA,
                "key": target.name,
                "commit": request.commit,
                "tree": request.tree,
                "version": request.version,
                "release": release,
                "compiler": compiler,
                "config_symbols_on": len(config),
                "seconds": round(watched.seconds, 1),
                "sandbox": self.sandbox.on,
                "objects_compiled": watched.lines_matching(r"^  (CC|AS) "),
                "sha256": _hashes(scratch),
                "sizes": {name: (scratch / name).stat().st_size for name in _ARTEFACTS},
            }
            (scratch / "manifest.json").write_text(atomic.json_text(manifest), encoding="utf-8")
        kernel = load(target)
        if kernel is None:
            raise BuildFailed(f"{request.label} was published but cannot be read", watched.log)
        return kernel

    def _symbols(self, src: Path, rows: Sequence[str]) -> str:
        """The names that the tree's Kconfig files define, one a line."""
        kept, key = Symbols(src.with_name("symbols.json")), workspace.symbols_key(rows)
        names = kept.read(key)
        if names is None:
            names = kept.keep(key, "\n".join(sorted(kconfig.defined_symbols(src))) + "\n")
        return names

    def _configure(
        self, src: Path, objects: Objects, request: BuildRequest, key: str
    ) -> dict[str, str]:
        if not objects.is_configured(key):
            objects.forget()
            _log.info(f"configuring {request.label}")
            self._make_config(src, objects.path, request)
        config = kconfig.parse(read_below(objects.path, ".config").decode(errors="replace"))
        kconfig.check(request.options, config, tree=src)
        objects.note(key)
        return config

    def _make_config(self, src: Path, obj: Path, request: BuildRequest) -> None:
        wanted = obj / "harness.allconfig"
        # A new file: an earlier build could have left a link there to a file of the user.
        atomic.text(wanted, kconfig.allconfig_text(request.options))
        # Kconfig asks the compiler what it can do: it must be the one that compiles.
        make = ["make", "-s", "-C", str(src), f"O={obj}", f"CC={request.cc}"]
        for target, extra in (
            ("allnoconfig", {"KCONFIG_ALLCONFIG": str(wanted)}),
            ("olddefconfig", {}),
        ):
            done = run(
                self._confined([*make, target], src, obj),
                env={**self._environment(), **extra},
                check=False,
            )
            if done.returncode != 0:
                raise KernelFailure(
                    f"{request.label} ({request.version}) cannot be configured: make {target}: "
                    f"{first_error(done.stderr)}"
                )

    def _make(self, src: Path, obj: Path, request: BuildRequest) -> Watched:
        argv = ["make", "-C", str(src), f"O={obj}", f"-j{self.jobs}"]
        argv += [*self._compilers(request.cc), HERE.image]
        progress.command(argv)
        log = obj.parent / f"build-{request.tree[:12]}.log"
        watched = Watched.run(
            self._confined(argv, src, obj),
            log=log,
            env=clean_environment(self._environment()),
            describe=lambda lines: _describe(request.label, lines),
        )
        if watched.returncode not in _ENDED:
            raise BuildFailed(f"make was killed ({watched.returncode}) at {request.label}", log)
        return watched

    def _confined(self, argv: Sequence[str], src: Path, obj: Path) -> list[str]:
        """What runs the tree's own code sees the sources and writes objects, no more."""
        self.cache.ccache.mkdir(parents=True, exist_ok=True)
        return self.sandbox.wrap(argv, writable=(obj, self.cache.ccache), readable=(src,))

    def _compilers(self, cc: str) -> list[str]:
        if not _caching():
            _log.warning("ccache is not installed: every object is compiled anew")
            return [f"CC={cc}"]
        return [f"CC=ccache {cc}", "HOSTCC=ccache gcc"]

    def _environment(self) -> dict[str, str]:
        return {
            **_FIXED,
            "CCACHE_DIR": str(self.cache.ccache),
            # Paths below the build folder become relative, so that another base's workspace hits.
            "CCACHE_BASEDIR": str(self.cache.build),
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_COMPILERCHECK": "content",
            "CCACHE_MAXSIZE": "5G",
        }


def _caching() -> bool:
    return shutil.which("ccache") is not None


def read_release(obj: Path) -> str:
    """The built kernel's name for itself; KernelFailure for one that no kernel may have."""
    raw = read_below(obj, "include/config/kernel.release").decode(errors="replace")
    # It goes into file names, manifests and pages, and uname has room for 64 bytes.
    if not re.fullmatch(r"[0-9A-Za-z._+~-]{1,64}", raw.strip()):
        raise KernelFailure(f"the built kernel calls itself {raw.strip()[:80]!r}: not a release")
    return raw.strip()


def first_error(log: str) -> str:
    """The first line of a build log that names a real error, best kind first."""
    lines = [line.strip() for line in log.splitlines()]
    # The kernel's own words on a tool and its version, in a box of stars.
    boxed = [" ".join(line.strip("* .").split()) for line in lines if line.startswith("***")]
    told = [line for line in boxed if line]
    if told and told[0].endswith("too old"):
        return "; ".join(told)
    for pattern in _ERRORS:
        for line in lines:
            if pattern.match(line):
                return line
    return lines[-1] if lines else "the log is empty"


def _describe(label: str, lines: Sequence[str]) -> str:
    compiled = [line for line in lines if re.match(r"^  (CC|AS) ", line)]
    latest = compiled[-1].split()[-1] if compiled else "starting"
    return f"build {label}: {len(compiled)} objects, at {latest}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
