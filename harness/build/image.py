# SPDX-License-Identifier: GPL-2.0-only
"""The guest's root file system, and the small tools disk that is mounted beside it.

The root image is Debian minbase made by mmdebstrap and written by ``mke2fs -d``: no mount, no
loop device, no root needed (mmdebstrap's unshare mode and fakeroot stand in).  It is cached by its
recipe.  What changes more often - guest programs, keys - goes on the tools disk.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.experiment.arch import HERE
from harness.util import atomic, progress, yamlfile
from harness.util.command import run
from harness.util.errors import InfraError, UserError
from harness.util.hostspace import require_space
from harness.util.paths import REPO, Cache
from harness.util.scratch import folder as scratch_folder
from harness.util.yamlfile import Items, Model, Pairs, SomeItems, Text

_log = logging.getLogger(__name__)

_SCHEMA = 1
SPACE = 2 << 30
"""Bytes of disk that making one root image may take."""
_ROOM = "3G"
"""Of the file system of an image with further packages: sparse, like the plain one."""
_GUEST = REPO / "vm-images" / "guest"
# mke2fs would make these anew each time; fixed, the same recipe gives the same file system.
_UUID = "5e7a9000-0000-4000-8000-000000000001"
_NO_LAZY = "lazy_itable_init=0,lazy_journal_init=0,nodiscard,hash_seed=" + _UUID


@dataclass(frozen=True, slots=True)
class Recipe(Model):
    """What goes into the root image; ``packages`` maps each name to why it is there."""

    suite: Text
    variant: Text
    components: SomeItems[Text]
    size: Text
    packages: Pairs[Text]
    exclude: Items[Text]
    init: str
    script: str

    @property
    def key(self) -> str:
        """What determines the image, hashed."""
        return hashlib.sha256(repr((_SCHEMA, self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Image:
    """A published root image; ``packages`` lists "name version" lines as installed."""

    key: str
    path: Path

    @property
    def root(self) -> Path:
        """The read-only ext4 file system."""
        return self.path / "root.img"

    @property
    def packages_sha256(self) -> str:
        """The hash of the list of installed packages and their versions."""
        return atomic.sha256_file(self.path / "packages.txt")


def read_recipe(path: Path = _GUEST / "recipe.yaml") -> Recipe:
    """The recipe file, checked.  Raises UserError naming an unknown or missing key."""
    return yamlfile.load(
        path,
        Recipe,
        init=(path.parent / "init").read_text(encoding="utf-8"),
        script=(_GUEST / "make-root").read_text(encoding="utf-8"),
    )


def with_packages(recipe: Recipe, packages: Sequence[str]) -> Recipe:
    """The recipe of an image that has ``packages`` on top, for the workloads that ask for them."""
    if not packages:
        return recipe
    known = dict.fromkeys(packages, "a workload asks for it") | dict(recipe.packages)
    return replace(recipe, packages=tuple(sorted(known.items())), size=_ROOM)


def build(recipe: Recipe, *, cache: Cache, mirror: str) -> Image:
    """The root image of ``recipe``, from the cache or made now from the Debian ``mirror``.

    Raises InfraError when a tool fails or the disk is full; nothing half-made stays.
    """
    target = cache.images / recipe.key

    def make(scratch: Path) -> None:
        note = f"Debian {recipe.suite} with {len(recipe.packages)} packages"
        with progress.stage("image", note=note):
            require_space(cache.images, SPACE, "making the root image")
            _make_root(recipe, scratch, mirror=mirror)

    changed = f"image {target.name} is not as it was made: it is made again"
    if not made_now(target, make, changed=changed):
        _log.info(f"image: already made ({recipe.key})")
    return Image(recipe.key, target)


def made_now(target: Path, make: Callable[[Path], None], *, changed: str) -> bool:
    """Publish what ``make`` writes into a folder, unless it is there; whether it was made now.

    ``changed`` is the warning where it is not as it was made: a guest of that is no sample.
    """
    atomic.hold(target)
    with atomic.locked(target.with_name(f"{target.name}.lock")):
        sound = atomic.intact(target)
        if sound is False:
            _log.warning(changed)
        elif sound is None and target.is_dir():  # made by a version that kept no hash
            atomic.record(target)
            sound = True
        if not sound:
            shutil.rmtree(target, ignore_errors=True)
            with atomic.folder(target) as scratch:
                make(scratch)
            atomic.record(target)
    return not sound


def _make_root(recipe: Recipe, scratch: Path, *, mirror: str) -> None:
    is_root = os.geteuid() == 0
    tar = scratch / "root.tar"
    argv = bootstrap_argv(recipe, tar, mirror=mirror, is_root=is_root)
    progress.command(argv)
    with scratch_folder() as tmp:
        # In unshare mode another user id enters it.
        Path(tmp).chmod(0o755)
        run(argv, env={"SOURCE_DATE_EPOCH": "1767225600", "TMPDIR": tmp}, timeout=1800)
    # Ownership survives the detour through a folder as root, or under fakeroot's pretence.
    script = _GUEST / "make-root"
    argv = [str(script), str(tar), str(scratch / "root"), str(scratch / "root.img"), recipe.size]
    pretend = [] if is_root else ["fakeroot", "--"]
    progress.command([*pretend, *argv])
    run([*pretend, *argv], env=_mke2fs_environment(), timeout=600)
    shutil.move(scratch / "root" / "packages.txt", scratch / "packages.txt")
    shutil.rmtree(scratch / "root")
    tar.unlink()


def bootstrap_argv(recipe: Recipe, tar: Path, *, mirror: str, is_root: bool) -> list[str]:
    """mmdebstrap's command line for ``recipe``; the mirror comes from the host's own apt."""
    return [
        "mmdebstrap",
        "--quiet",
        f"--mode={'root' if is_root else 'unshare'}",
        f"--variant={recipe.variant}",
        f"--architectures={HERE.debian}",
        f"--components={','.join(recipe.components)}",
        f"--include={','.join(name for name, _ in recipe.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.exclude),
        recipe.suite,
        str(tar),
        mirror,
    ]


def make_disk(
    target: Path, content: Path | None, *, size: str, label: str, options: Sequence[str] = ()
) -> None:
    """An ext4 image at ``target`` holding the files of folder ``content`` (or none), owned by root.

    ``options`` are mke2fs's.

    Sparse, and with nothing left to initialise in the background after it is mounted.
    Raises InfraError when it does not fit.
    """
    folder = ["-d", str(content)] if content else []
    owner = "root_owner=0:0," if content else ""
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-U", _UUID]
    argv += [*options, "-E", owner + _NO_LAZY, *folder, str(target), size]
    done = run(argv, env=_mke2fs_environment(), check=False)
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InfraError(f"cannot make disk {target} of {size}: {last}")


def build_tools(*, cache: Cache) -> Path:
    """The compiled guest programs (``bin/``) and QEMU's plugins (``plugins/``).

    Raises InfraError with the compiler's words when they do not compile, UserError when what is
    kept of a program is not what it prints.
    """
    images = (REPO / "vm-images" / name for name in ("sampler", "guest", "plugins"))
    sources = (REPO / "workloads", *images)
    digest = hashlib.sha256()
    for folder in sources:
        digest.update(atomic.sha256_tree(folder).encode())
    target = cache.tools / digest.hexdigest()[:16]
    changed = f"guest programs {target.name} are not as they were built: built again"
    made_now(target, _make_tools, changed=changed)
    return target


def _make_tools(scratch: Path) -> None:
    argv = ["make", "-s", "-C", str(REPO / "workloads"), f"OUT={scratch}"]
    with progress.stage("guest programs"):
        progress.command(argv)
        done = run(argv, check=False)
        said = done.stderr.strip().splitlines()
        if done.returncode != 0:
            # Whoever changed a program has to describe it again; all else is the tool chain's.
            stale = next((line for line in said if "described.json is not what" in line), None)
            raise (
                UserError(stale)
                if stale
                else InfraError(
                    f"the guest programs do not build ({shlex.join(argv)}):\n"
                    + "\n".join(said[-5:])
                )
            )
        for name in ("prepare", "run-workload"):
            shutil.copy(_GUEST / name, scratch / "bin" / name)
        shutil.copy(REPO / "vm-images" / "sampler" / "files.list", scratch / "files.list")


def make_tools_disk(
    target: Path,
    tools: Path,
    *,
    ssh: Sequence[Path],
    selftests: Path | None = None,
    programs: Mapping[str, Path] | None = None,
) -> None:
    """The tools disk of one run: guest programs, and the files of ``ssh`` under ``ssh/``.

    ``selftests`` is a folder with a kernel's own tests, if they are wanted; ``programs`` are the
    folders of the user's own, by their names in the guest.
    """
    with tempfile.TemporaryDirectory(prefix="tools.", dir=target.parent) as name:
        content = Path(name)
        shutil.copytree(tools, content, dirs_exist_ok=True)
        if selftests:
            shutil.copytree(selftests, content / "selftests")
        for folder, place in (programs or {}).items():
            shutil.copytree(place, content / "programs" / folder)
        (content / "ssh").mkdir(mode=0o700)
        for item in (*ssh, _GUEST / "sshd_config"):
            shutil.copy(item, content / "ssh" / item.name)
        content.chmod(0o755)
        size = 64 + 2 * (sum(_bytes(place) for place in (programs or {}).values()) >> 20)
        make_disk(target, content, size=f"{size}M", label="tools")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _mke2fs_environment() -> dict[str, str]:
    return {"E2FSPROGS_FAKE_TIME": "1767225600"}
