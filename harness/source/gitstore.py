# SPDX-License-Identifier: GPL-2.0-only
"""The kernel store: one bare git repository in the cache holds every kernel tree as a commit.

Folders, packages, tarballs and git tags all become commits here, so that the rest of the
harness knows one kind of kernel source.  All refs live under ``refs/harness/`` and nothing is
ever garbage collected.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Unpack

from harness.source import folderindex, kconfigfiles, sparing
from harness.source.folderindex import How
from harness.source.git import ask, commit_of, last_line, run_git
from harness.source.gitnames import (
    check_revision,
    is_full_id,
    is_short_id,
    makefile_version,
    public_url,
    ref_part,
)
from harness.util import atomic
from harness.util.errors import InfraError, UserError
from harness.util.sandbox import OFF, Sandbox

IDENTITY = {
    "GIT_AUTHOR_NAME": "harness",
    "GIT_AUTHOR_EMAIL": "harness@localhost",
    "GIT_AUTHOR_DATE": "@0 +0000",
    "GIT_COMMITTER_NAME": "harness",
    "GIT_COMMITTER_EMAIL": "harness@localhost",
    "GIT_COMMITTER_DATE": "@0 +0000",
}
"""Who the store's own commits are by, and when: fixed, so that equal trees get equal ids."""


class NotThere(UserError):
    """A repository can be read and does not have, or does not give, what was asked for."""


class GitStore:
    """One bare repository for all kernel trees; two processes may use it at once.

    A failure of git raises InfraError with git's own last line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._config = self.path / "harness.gitconfig"
        self._ready = self.path / "harness.ready"

    def ensure(self) -> None:
        """Create the repository if it is not there; forget worktrees whose folder is gone."""
        with self._lock():
            if not self._ready.exists():
                self._create()
            self._git("worktree", "prune", "--expire=now")

    # Trees in

    def import_folder(
        self,
        folder: Path,
        *,
        ref: str,
        message: str,
        paths: Iterable[str] | None = None,
        again: bool = False,
    ) -> str:
        """Store the files under `folder` as a commit without parent, and return its id.

        The content is taken as it is: no ignore rule, no line-end conversion.  The same tree and
        message always give the same commit id.  ``paths`` (relative to the folder) limits the
        import to these files; default is all but ``.git``.  ``ref`` starts with refs/harness/.
        Of a folder that is taken ``again`` and again only what changed is read.
        """
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
        names = folderindex.files_of(folder) if paths is None else list(paths)
        if not names:
            raise UserError(f"{folder} holds no files")
        kept = self.path / "indexes" / remote_key(str(folder.resolve())) if again else None
        with self._lock(), tempfile.TemporaryDirectory(dir=self.path, prefix="import-") as scratch:
            index = Path(scratch) / "index"
            taken = folderindex.take(self._git, folder, index, names=names, kept=kept)
            env = folderindex.lending(taken.lender)
            commit = self._git(
                "commit-tree", taken.tree, "-m", message, env={**env, **IDENTITY}
            ).strip()
            if taken.lender:
                self._copy(commit, env)
            self.set_ref(ref, commit)
            if kept:
                kept.parent.mkdir(exist_ok=True)
                index.replace(kept)
        return commit

    def _copy(self, commit: str, env: Mapping[str, str]) -> None:
        """Copy what a commit needs and the store lacks from the repository that ``env`` shows."""
        listed = self._git("for-each-ref", "--format=%(objecttype) %(tree)", "refs/harness")
        rows = sorted({row for row in listed.splitlines() if row.startswith("commit ")})
        # Trees: what an unrelated commit holds counts only if the tree itself is named.
        revs = "\n".join([commit, "--not", *(row.split()[1] for row in rows)])
        self._git(
            *("pack-objects", "--revs", "--non-empty", "--progress"),
            str(self.path / "objects" / "pack" / "pack"),
            stdin=f"{revs}\n".encode(),
            env=env,
            what="copying a tree to the store",
        )

    def fetch(self, url_or_path: str, rev: str, *, all_for_commit: bool = True) -> str:
        """Bring a tag, branch or full commit id of a repository into the store.

        Returns the commit id.  Only that one commit is fetched where the server can do that, and
        of it only the files that the store does not have; from a server that gives no commit by its
        id all branches are, with ``all_for_commit``.
        A tag of a URL, once fetched, is not asked for again; branches, and any name in a local
        repository, are.  Raises NotThere for a name the repository does not have (with the
        nearest tags), InfraError when the repository cannot be reached.
        """
        source = _location(url_or_path)
        check_revision(rev)
        base = f"refs/harness/git/{remote_key(source)}"
        known = self.commit_of(rev if is_full_id(rev) else f"{base}/tags/{ref_part(rev)}")
        if known and (is_full_id(rev) or not Path(source).is_dir()):
            return known
        wanted, kind = (rev, "commits") if is_full_id(rev) else self._remote_name(source, rev)
        if Path(source).is_dir() and is_full_id(rev) and commit_of(Path(source), rev) is None:
            raise NotThere(f"{source} has no commit {rev}")
        with self._lock():
            commit = self._fetch(
                source, wanted, f"{base}/{kind}/{ref_part(rev)}", all_for_commit=all_for_commit
            )
        self.write_note(f"{base}/url", {"url": public_url(source)})
        return commit

    def fetched(self, rev: str) -> dict[str, str]:
        """{repository URL: commit} for each repository whose tag, or full id, was fetched."""
        found: dict[str, str] = {}
        kind = "commits" if is_full_id(rev) else "tags"
        for ref in self.refs("refs/harness/git"):
            parts = ref.split("/")
            if parts[4:] == [kind, ref_part(rev)] and (commit := self.commit_of(ref)):
                note = self.read_note("/".join([*parts[:4], "url"])) or {}
                found[note.get("url", parts[3])] = commit
        return found

    # Questions

    def commit_of(self, rev: str) -> str | None:
        """The full commit id that `rev` (id or ref) means in the store, None if nothing."""
        spec = f"{rev}^{{commit}}"
        done = self._try("rev-parse", "--verify", "--quiet", "--end-of-options", spec)
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def tree_of(self, commit: str) -> str:
        """The id of the commit's tree."""
        spec = f"{commit}^{{tree}}"
        return self._git("rev-parse", "--verify", "--quiet", "--end-of-options", spec).strip()

    def kernel_version(self, commit: str) -> str:
        """What ``make kernelversion`` would print, like 6.19.0-rc3, read off the Makefile."""
        done = self._try("cat-file", "blob", f"{commit}:Makefile")
        if done.returncode != 0:
            raise UserError(f"commit {commit} is not a kernel tree: it has no Makefile")
        return makefile_version(done.stdout.decode(errors="replace"), where=f"commit {commit}")

    def defines(self, commit: str, symbol: str) -> bool:
        """Whether a Kconfig file of a commit defines a symbol (without CONFIG_)."""
        return symbol in self.symbols(commit)

    def symbols(self, commit: str) -> frozenset[str]:
        """The symbols (without CONFIG_) that the kernel's own Kconfig files define in a commit."""
        return kconfigfiles.symbols(self.path, commit)

    def text(self, commit: str, path: str) -> str | None:
        """The text of a file of a commit; None if it has no such file."""
        done = self._try("cat-file", "blob", f"{commit}:{path}")
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def listing(self, commit: str) -> tuple[str, ...]:
        """A row "mode type id<TAB>path" for each file of a commit."""
        rows = self._git("ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
        return tuple(rows[:-1])

    def differing(self, one: str, other: str) -> tuple[str, ...]:
        """The paths of the files that differ between two trees."""
        names = self._git("diff-tree", "-r", "-z", "--no-renames", "--name-only", one, other)
        return tuple(names.split("\0")[:-1])

    def range(self, base: str, tip: str) -> tuple[str, ...]:
        """The commits after `base` up to `tip`, oldest first."""
        return tuple(self._git("rev-list", "--reverse", f"{base}..{tip}", "--").split())

    # Refs and notes

    def refs(self, prefix: str) -> tuple[str, ...]:
        """The names of all refs below `prefix`, sorted."""
        return tuple(self._git("for-each-ref", "--format=%(refname)", prefix).split())

    def set_ref(self, ref: str, target: str) -> None:
        """Point `ref` (refs/harness/...) at an object, which keeps that in the store."""
        if not ref.startswith("refs/harness/"):
            raise InfraError(f"ref {ref} is not below refs/harness/")
        self._git("update-ref", ref, target)

    def write_note(self, ref: str, data: Mapping[str, str]) -> None:
        """Keep a small mapping of strings under `ref`: where a tree came from."""
        text = json.dumps(dict(data), sort_keys=True).encode()
        self.set_ref(ref, self._git("hash-object", "-w", "--stdin", stdin=text).strip())

    def read_note(self, ref: str) -> dict[str, str] | None:
        """The mapping kept under `ref`, None if there is none."""
        done = self._try("cat-file", "blob", ref)
        if done.returncode != 0:
            return None
        return {str(key): str(value) for key, value in json.loads(done.stdout).items()}

    # Worktrees

    def add_worktree(self, path: Path, commit: str, *, checkout: bool = True) -> None:
        """Check `commit` out in the new folder `path`; without `checkout` only fill the index."""
        if path.exists():
            raise InfraError(f"{path} exists: a worktree needs a new folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        where = str(path.absolute())
        with self._lock():
            try:
                self._git("worktree", "add", "--no-checkout", "--detach", where, commit)
                if not checkout:
                    ask(path, "read-tree", "HEAD")
                elif (done := self._switch(path, commit)).returncode != 0:
                    why = last_line(done.stderr)
                    raise InfraError(f"cannot check out {commit} in {path}: {why}")
            except BaseException:
                self._drop_worktree(path)
                raise

    def remove_worktree(self, path: Path) -> None:
        """Remove a worktree, its folder and all that git remembers of it."""
        with self._lock():
            self._drop_worktree(path)

    def checkout(self, path: Path, commit: str) -> None:
        """Make `path` hold exactly the files of `commit`, touching only those that differ.

        `path` is a worktree from an earlier call, or is created.  One that a killed process left
        half done is made anew.  The files that stay keep their times, so that make can tell.
        """
        if path.exists() and not (path / ".git").is_file():
            raise InfraError(f"{path} exists and is no worktree of the kernel store: remove it")
        if path.exists():
            switch = self._switch(path, commit)
            clean = self.git_in(path, "clean", "-ffdxq")
            if switch.returncode == clean.returncode == 0:
                return
            self.remove_worktree(path)
        self.add_worktree(path, commit)

    def _switch(self, path: Path, commit: str) -> subprocess.CompletedProcess[bytes]:
        return run_git(
            ("checkout", "--progress", "--force", "--detach", commit),
            cwd=path,
            env=self._env(),
            settings=("checkout.workers=0",),  # as many as there are processors
            what=f"checking out {commit[:12]}",
        )

    def git_in(
        self,
        worktree: Path,
        *args: str,
        env: Mapping[str, str] | None = None,
        sandbox: Sandbox = OFF,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git inside a worktree of the store; the caller judges the status.

        In a ``sandbox`` it can write to the worktree's parent and the store, not to its settings.
        """
        fixed = (self.path / "config", self.path / "info", self._config, self._ready)
        return run_git(
            args,
            cwd=worktree,
            env=self._env() | dict(env or {}),
            sandbox=sandbox,
            writable=(worktree.parent, self.path),
            readable=fixed,
        )

    def _drop_worktree(self, path: Path) -> None:
        self._try("worktree", "remove", "--force", "--force", str(path.absolute()))
        shutil.rmtree(path, ignore_errors=True)
        self._git("worktree", "prune", "--expire=now")

    # How

    def _create(self) -> None:
        # No template: the machine's own may bring hooks.
        made = run_git(["init", "--quiet", "--bare", "--template=", str(self.path)])
        if made.returncode != 0:
            raise InfraError(f"git init failed in {self.path}: {last_line(made.stderr)}")
        for key, value in (
            ("gc.auto", "0"),
            ("core.fileMode", "true"),
            ("core.symlinks", "true"),
            ("core.ignoreCase", "false"),
        ):
            self._git("config", key, value)
        # The highest ranking attributes: a tree's own .gitattributes cannot convert its files.
        (self.path / "info").mkdir(exist_ok=True)
        attributes = "* -text -eol -ident -filter -working-tree-encoding\n"
        (self.path / "info" / "attributes").write_text(attributes, encoding="utf-8")
        # The far end of a fetch from a local folder does not see -c; it reads this file.
        self._config.write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
        self._ready.write_text("1\n", encoding="utf-8")

    def _fetch(self, source: str, wanted: str, ref: str, *, all_for_commit: bool) -> str:
        where = public_url(source)
        said = f"fetching {where}"
        if not Path(source).is_dir() and (found := sparing.fetch(self.path, source, wanted)):
            self.set_ref(ref, found)
            return self._git("rev-parse", f"{ref}^{{commit}}").strip()
        words = ("fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--force")
        done = self._try(*words, "--depth=1", "--", source, f"{wanted}:{ref}", what=said)
        if done.returncode != 0:
            by_id = is_full_id(wanted)
            why = last_line(done.stderr)
            if by_id and ("not our ref" in why or not all_for_commit):
                raise NotThere(f"{where} does not give commit {wanted}: {why}")
            # Some servers are dumb, or give no raw ids: then all of it, history included.
            whole = f"{ref.rsplit('/', 1)[0]}/all"
            kinds = [f"+refs/{kind}/*:{whole}/{kind}/*" for kind in ("heads", "tags")]
            specs = kinds if by_id else [f"{wanted}:{ref}"]
            again = self._try(*words, "--", source, *specs, what=said)
            if again.returncode != 0:
                why = last_line(again.stderr)
                raise InfraError(f"cannot fetch {wanted} from {where}: {why}")
            if by_id and self.commit_of(wanted):
                self.set_ref(ref, wanted)
        commit = self.commit_of(ref)
        if commit is None:
            raise NotThere(f"{where} has no commit {wanted} on a branch or tag")
        return commit

    def _remote_name(self, source: str, rev: str) -> tuple[str, str]:
        """The full name at the remote, or full id, that `rev` means, and its kind."""
        heard = self._ls_remote(source, f"refs/tags/{rev}", f"refs/heads/{rev}")
        found = [kind for kind in ("tags", "heads") if f"refs/{kind}/{rev}" in heard]
        where = public_url(source)
        if len(found) == 2:
            raise UserError(f"{rev} is both a tag and a branch of {where}: give the commit id")
        if found:
            return f"refs/{found[0]}/{rev}", found[0]
        if is_short_id(rev):
            if Path(source).is_dir() and (commit := commit_of(Path(source), rev)):
                return commit, "commits"
            raise NotThere(
                f"{where} has no tag or branch {rev}; a commit needs its full id of 40 digits"
            )
        heard = self._ls_remote(source, "refs/tags/*")
        tags = [name.removeprefix("refs/tags/").removesuffix("^{}") for name in heard]
        near = difflib.get_close_matches(rev, sorted(set(tags)), n=3)
        hint = f"; nearest tags: {', '.join(near)}" if near else ""
        raise NotThere(f"{where} has no tag or branch {rev}{hint}")

    def _ls_remote(self, source: str, *patterns: str) -> dict[str, str]:
        what = f"asking {public_url(source)}"
        done = self._try("ls-remote", "--", source, *patterns, what=what)
        if done.returncode != 0:
            why = last_line(done.stderr)
            raise InfraError(f"cannot read the git repository {public_url(source)}: {why}")
        rows = (line.split("\t", 1) for line in done.stdout.decode(errors="replace").splitlines())
        return {name: object_id for object_id, name in rows}

    def _env(self) -> dict[str, str]:
        return {"GIT_CONFIG_GLOBAL": str(self._config if self._config.exists() else "/dev/null")}

    def _try(
        self, *args: str, env: Mapping[str, str] | None = None, **how: Unpack[How]
    ) -> subprocess.CompletedProcess[bytes]:
        full = self._env() | {"GIT_DIR": str(self.path)} | dict(env or {})
        return run_git(args, env=full, **how)

    def _git(self, *args: str, env: Mapping[str, str] | None = None, **how: Unpack[How]) -> str:
        done = self._try(*args, env=env, **how)
        if done.returncode != 0:
            raise InfraError(f"git {args[0]} failed in {self.path}: {last_line(done.stderr)}")
        return done.stdout.decode(errors="surrogateescape")

    def _lock(self) -> AbstractContextManager[None]:
        """Hold the store against other processes; not re-entrant."""
        return atomic.locked(self.path.parent / f"{self.path.name}.lock")


def remote_key(source: str) -> str:
    """The short name under which the refs of one repository are kept."""
    return hashlib.sha256(public_url(source).encode()).hexdigest()[:12]


def _location(url_or_path: str) -> str:
    path = Path(url_or_path).expanduser()
    with contextlib.suppress(OSError):
        if path.is_dir():
            return str(path.resolve())
    if url_or_path.startswith("-") or ":" not in url_or_path:
        raise UserError(f"{url_or_path!r} is neither a folder nor the URL of a git repository")
    return url_or_path
