# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel tree comes from: Debian package, git, tarball or folder.

Each becomes a commit in the kernel store.  A name that could mean two things is an error that
says how to write each of them; nothing is guessed.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.source import folderindex, gitsource, tarball
from harness.source.apt import AptSource, Candidate, Deb, compare_versions
from harness.source.git import ask, commit_of
from harness.source.gitnames import is_short_id, makefile_version, public_url, ref_part
from harness.source.gitstore import GitStore
from harness.source.upstream import NOWHERE, Elsewhere
from harness.util.errors import InfraError, UserError
from harness.util.hostspace import NoSpaceError, require_space

_log = logging.getLogger(__name__)

_BARE_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*(?:-rc\d+)?")
_TAG_LIKE = re.compile(r"v\d+\.\d+.*")
_DEBIAN = re.compile(r"(?P<series>\d+\.\d+)(?:=(?P<version>[A-Za-z0-9.+~:-]+))?")
_PACKAGE = "linux-source-"
_UNPACKED = 3 << 30  # a package or tarball, its tree (1.7 GiB) and its commit (0.4 GiB)


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel tree in the store.

    ``name`` repeats this very source wherever its origin can be reached: it carries the package's
    version or the sha256.  ``kind`` is debian, git, tar or dir; ``version`` is what make
    kernelversion prints; ``origin`` are (key, value) pairs for the manifest.
    """

    name: str
    kind: str
    commit: str
    tree: str
    version: str
    origin: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Origins:
    """Where kernels come from: the folder for downloads, and what the environment says.

    kernel_git: KERNEL_GIT; mirror: DEBIAN_MIRROR; keyring: KERNEL_KEYRING
    missing_ok: KERNEL_GIT_MISSING; elsewhere: where revisions are beside it (see `gitsource.get`)
    """

    downloads: Path
    kernel_git: str | None = None
    mirror: str | None = None
    keyring: Path | None = None
    missing_ok: bool = False
    elsewhere: Elsewhere = NOWHERE


def resolve(
    name: str, *, store: GitStore, origins: Origins, apt: AptSource | None = None
) -> Source:
    """Bring the kernel tree called `name` into the store.

    ``debian/6.12[=VERSION]``, a git tag, branch or commit (see `gitsource.get`),
    ``FOLDER:REVISION``, a tarball (path or URL), a folder; ``git:``, ``tar:`` and ``dir:`` in front
    settle what is meant.  Raises UserError for a name that means nothing or two things, InfraError
    when its origin cannot be reached.
    """
    store.ensure()
    cache, keyring = origins.downloads, origins.keyring
    kind, value = classify(name, store=store, kernel_git=origins.kernel_git)
    git, elsewhere = origins.kernel_git, origins.elsewhere
    if kind == "tree":
        elsewhere = NOWHERE
        git, _, rev = value.rpartition(":")
        kind, value = "git", _revision(Path(git).expanduser(), rev)
    if kind == "debian":
        apt = apt or AptSource(cache, mirror=origins.mirror)
        return _debian(value, store=store, cache=cache, apt=apt)
    if kind == "git":
        found, commit, origin = gitsource.get(
            value,
            store=store,
            kernel_git=git,
            elsewhere=elsewhere,
            keyring=keyring,
            missing_ok=origins.missing_ok,
        )
        return _made(found, "git", commit, store, origin)
    if kind == "tar":
        return _tar(value, store=store, cache=cache, keyring=keyring)
    return _folder(Path(value).expanduser(), store=store)


def classify(name: str, *, store: GitStore, kernel_git: str | None = None) -> tuple[str, str]:
    """The kind of source that `name` means, and the name without its prefix; asks no network.

    Raises UserError when that is not one thing.
    """
    prefix, colon, rest = name.partition(":")
    if name.startswith("debian/"):
        return "debian", name.removeprefix("debian/")
    if colon and prefix in ("git", "dir", "tar"):
        return prefix, rest
    if tarball.parse_locator(name):
        return "tar", name
    if "://" in name:
        raise UserError(
            f"{public_url(name)} is not a tarball (.tar.xz, .tar.gz or .tar.zst); "
            "a git repository goes into KERNEL_GIT=, and the tag into the name"
        )
    folder = Path(name.rpartition(":")[0]).expanduser()
    if colon and folder.is_dir() and not Path(name).expanduser().exists():
        return "tree", name
    if name in (".", "..") or name.startswith(("./", "../", "/", "~")):
        return "dir", name
    is_folder = Path(name).is_dir()
    if _BARE_VERSION.fullmatch(name):
        series = ".".join(re.split(r"[.-]", name)[:2])
        ways = [f"debian/{series} (Debian's kernel)", f"v{name} (the tag)"]
        ways += [f"dir:{name} (the folder)"] if is_folder else []
        raise UserError(f"{name} can mean more than one kernel: write {' or '.join(ways)}")
    if not is_folder:
        return "git", name
    if _is_revision(name, store=store, kernel_git=kernel_git):
        raise UserError(
            f"{name} is a folder here and can be a git tag or commit: "
            f"write dir:{name} or git:{name}"
        )
    return "dir", name


def _revision(repo: Path, rev: str) -> str:
    """A tag or branch of a local repository by its name, any other revision by its commit."""
    if any(commit_of(repo, f"refs/{kind}/{rev}") for kind in ("tags", "heads")):
        return rev
    commit = commit_of(repo, rev)
    if commit is None:
        raise UserError(f"{repo} has no tag, branch or commit {rev}")
    return commit


def _is_revision(name: str, *, store: GitStore, kernel_git: str | None) -> bool:
    if _TAG_LIKE.fullmatch(name) or is_short_id(name) or store.fetched(name):
        return True
    local = Path(kernel_git).expanduser() if kernel_git else None
    if local is None or not local.is_dir():
        return False
    return any(commit_of(local, f"refs/{kind}/{name}") for kind in ("tags", "heads"))


def _made(name: str, kind: str, commit: str, store: GitStore, origin: dict[str, str]) -> Source:
    tree, version = store.tree_of(commit), store.kernel_version(commit)
    return Source(name, kind, commit, tree, version, tuple(origin.items()))


# Debian


def _debian(value: str, *, store: GitStore, cache: Path, apt: AptSource) -> Source:
    match = _DEBIAN.fullmatch(value)
    if not match:
        raise UserError(f"debian/{value}: write debian/X.Y or debian/X.Y=VERSION, like debian/6.12")
    package, pinned = _PACKAGE + match["series"], match["version"]
    if pinned and (known := _imported(store, package, pinned)):
        return known
    try:
        chosen = _choose(package, pinned, apt.candidates(package), apt)
        if known := _imported(store, package, chosen.version):
            return known
        require_space(cache, _UNPACKED, f"getting {package}")
        deb = apt.download(package, chosen.version)
    except InfraError as error:
        offline = not pinned and not isinstance(error, NoSpaceError)
        known = _newest_imported(store, package) if offline else None
        if known is None:
            raise
        _log.warning(f"{error}; using {known.name}, the newest one imported before")
        return known
    return _import_debian(deb, chosen.suite, store=store, cache=cache)


def _choose(
    package: str, pinned: str | None, found: tuple[Candidate, ...], apt: AptSource
) -> Candidate:
    if not found:
        names = [n for n in apt.names(_PACKAGE) if re.fullmatch(rf"{_PACKAGE}\d+\.\d+", n)]
        ours = ", ".join(n.replace(_PACKAGE, "debian/") for n in names) or "none"
        raise UserError(f"Debian has no package {package}; available: {ours}")
    if pinned is None:
        return found[0]
    for candidate in found:
        if candidate.version == pinned:
            return candidate
    versions = ", ".join(candidate.version for candidate in found)
    raise UserError(
        f"Debian's archives no longer or never had {package} {pinned}; they have: {versions}"
    )


def _import_debian(deb: Deb, suite: str, *, store: GitStore, cache: Path) -> Source:
    _log.info(f"importing {deb.path.name}")
    package, version = deb.package, deb.version
    inner = f"./usr/src/{package}.tar.xz"
    with _scratch(cache) as scratch:
        tarball.pipe(
            [
                ["dpkg-deb", "--fsys-tarfile", str(deb.path)],
                ["tar", "--extract", "--to-stdout", "-f", "-", inner],
                ["xz", "-dc"],
                tarball.tar_into(scratch),
            ],
            what=deb.path.name,
        )
        folder = tarball.single_folder(scratch, what=deb.path.name)
        ref = _debian_ref(package, version)
        # The note first: a tree without its origin must never be taken for imported.
        origin = {"package": package, "version": version, "sha256": deb.sha256, "suite": suite}
        store.write_note(_note_ref(ref), origin)
        store.import_folder(folder, ref=ref, message=f"{package} {version}")
    deb.path.unlink(missing_ok=True)  # the tree is in the store, its sha256 in the note
    source = _imported(store, package, version)
    if source is None:
        raise InfraError(f"{package} {version} was imported but cannot be found in the store")
    return source


def _debian_ref(package: str, version: str) -> str:
    return f"refs/harness/debian/{package}/{ref_part(version)}"


def _note_ref(ref: str) -> str:
    return ref.replace("refs/harness/", "refs/harness/notes/", 1)


def _imported(store: GitStore, package: str, version: str) -> Source | None:
    ref = _debian_ref(package, version)
    commit, origin = store.commit_of(ref), store.read_note(_note_ref(ref))
    if commit is None or origin is None:
        return None
    name = f"debian/{package.removeprefix(_PACKAGE)}={version}"
    return _made(name, "debian", commit, store, origin)


def _newest_imported(store: GitStore, package: str) -> Source | None:
    newest: str | None = None
    for ref in store.refs(f"refs/harness/notes/debian/{package}"):
        version = (store.read_note(ref) or {}).get("version")
        if (
            version
            and store.commit_of(_debian_ref(package, version))
            and (newest is None or compare_versions(version, newest) > 0)
        ):
            newest = version
    return _imported(store, package, newest) if newest else None


# Tarball


def _tar(value: str, *, store: GitStore, cache: Path, keyring: Path | None) -> Source:
    locator = tarball.parse_locator(value)
    if locator is None:
        raise UserError(
            f"{value} is not a tarball: its name must end in .tar.xz, .tar.gz or .tar.zst"
        )
    if locator.sha256 and (commit := store.commit_of(f"refs/harness/tar/{locator.sha256}")):
        return _tar_source(locator, locator.sha256, "sha256 given by the user", commit, store)
    got = tarball.obtain(locator, downloads=cache, keyring=keyring)
    ref = f"refs/harness/tar/{got.sha256}"
    known = store.commit_of(ref)
    if known is None:
        _log.info(f"importing {locator.file}")
        require_space(cache, _UNPACKED, f"unpacking {locator.file}")
        with _scratch(cache) as scratch:
            folder = tarball.unpack(got.path, locator.suffix, scratch)
            version = require_kernel(folder, name=locator.file)
            known = store.import_folder(folder, ref=ref, message=f"Linux {version}")
    if locator.is_url:
        got.path.unlink(missing_ok=True)
    return _tar_source(locator, got.sha256, got.by, known, store)


def _tar_source(
    locator: tarball.Locator, sha256: str, by: str, commit: str, store: GitStore
) -> Source:
    place = public_url(locator.place)
    origin = {"tarball": place, "sha256": sha256, "verified_by": by}
    return _made(f"tar:{place}#sha256={sha256}", "tar", commit, store, origin)


# Folder


def _folder(path: Path, *, store: GitStore) -> Source:
    if not path.is_dir():
        raise UserError(f"{path} is not a folder")
    version = require_kernel(path, name=str(path))
    origin = {"folder": str(path)}
    head = commit_of(path, "HEAD") if (path / ".git").exists() else None  # a checkout's top only
    _log.info(f"importing {path}")
    commit = import_tree(path, store, version=version, checkout=head is not None)
    if head:
        # Exact where "git status" is not: the tree that was taken against the tree of HEAD.
        clean = store.tree_of(commit) == ask(path, "rev-parse", "HEAD^{tree}").strip()
        origin |= {"head": head, "dirty": "no" if clean else "yes"}
        if not clean:
            _log.warning(f"{path} differs from its HEAD {head[:12]}: it is taken as it is")
    return _made(f"dir:{path.resolve()}", "dir", commit, store, origin)


def import_tree(path: Path, store: GitStore, *, version: str, checkout: bool) -> str:
    """The files of a folder as a commit of the store: of a ``checkout``, as its owner sees it."""
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return store.import_folder(
        path,
        ref=f"refs/harness/dir/{key}",
        message=f"Linux {version}",
        paths=_checkout_files(path) if checkout else None,
        again=True,
    )


def _checkout_files(path: Path) -> list[str]:
    """What is tracked, and what is new and not ignored: the tree as its owner sees it."""
    listed = ask(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = {name for name in listed.split("\0") if name}
    return [name for name in names if folderindex.is_file(path, name)]


def require_kernel(folder: Path, *, name: str) -> str:
    """The version of the kernel tree in `folder`; UserError if it is not one."""
    makefile = folder / "Makefile"
    if not makefile.is_file() or not (folder / "Kconfig").is_file():
        raise UserError(f"{name} is not a kernel tree: it has no Makefile and Kconfig at its top")
    return makefile_version(makefile.read_text(encoding="utf-8", errors="replace"), where=name)


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=cache, prefix="unpack-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)
