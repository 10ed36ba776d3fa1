# SPDX-License-Identifier: GPL-2.0-only
"""The two kernels of a comparison: got, patched, configured alike and built."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from harness.build import kbuild, kconfig, newoptions, recorded, workspace
from harness.build.kbuild import BuildRequest, Kernel, KernelBuilder
from harness.experiment import switch
from harness.experiment.arch import HERE
from harness.experiment.meant import Meant
from harness.experiment.settings import Kernels
from harness.experiment.spec import Experiment
from harness.results.manifest import BasisFacts
from harness.series import basis, locator, series
from harness.series.mail.lore import MailSource
from harness.series.model import AppliedSeries, Series
from harness.source import sources, sysctls
from harness.source.gitstore import GitStore
from harness.source.sources import Origins, Source
from harness.source.upstream import NOWHERE, Elsewhere
from harness.util import progress
from harness.util.errors import UserError
from harness.util.paths import REPO, Cache
from harness.util.sandbox import Sandbox
from harness.util.yamlfile import near

_log = logging.getLogger(__name__)

_FRAGMENTS = REPO / "kernels" / "config"
_REGISTRY = REPO / "kernels" / "series"
# What fragments are for every kernel; others are asked for by name.
_DEFAULT_FRAGMENTS = (HERE.name, "base", "vm", "mm", "measure")


@dataclass(frozen=True, slots=True)
class Context:
    """Where a command works and what the caller's environment says of it.

    shares: boots of the base of other results may serve those of this command
    """

    cache: Cache
    results: Path
    sandbox: Sandbox
    mails: MailSource
    kernel_git: str | None = None
    elsewhere: Elsewhere = NOWHERE
    missing_ok: bool = False
    keyring: Path | None = None
    mirror: str | None = None
    jobs: int = os.cpu_count() or 1
    scheduler: str | None = None
    shares: bool = True

    @property
    def store(self) -> GitStore:
        """The kernel store in the cache."""
        return _store(self.cache.git)


@cache
def _store(path: Path) -> GitStore:
    return GitStore(path)


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: a source, what was applied to it, and the kernel made of it.

    ``basis`` is how the base fits what was applied.  ``unset`` are the options that this brings,
    that are off by default and that nobody set.
    """

    source: Source
    applied: AppliedSeries | None
    request: BuildRequest
    kernel: Kernel
    basis: BasisFacts | None = None
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trees:
    """The trees of both arms: got, and patched, but nothing is built yet.

    ``applied`` is None where ``other`` is a second kernel and no series; then ``basis`` is, too.
    ``tip`` is the last commit of the whole series where only a part of it is applied.
    """

    base: Source
    other: Source
    applied: AppliedSeries | None
    basis: BasisFacts | None
    tip: str | None = None


Configured = Callable[[str, Mapping[str, str]], None]
"""Gets an arm and its configuration before that is compiled; it may raise what ends the build."""

KernelPair = tuple[dict[str, Arm], tuple[kconfig.SymbolDifference, ...]]
"""Both arms, and how their configurations differ."""


def make(experiment: Experiment, context: Context) -> KernelPair:
    """Get, patch, configure and build both arms; also how their configurations differ."""
    return plan(prepare(experiment, context), experiment, context).build()


def prepare(experiment: Experiment, context: Context) -> Trees:
    """Get both trees and apply the series; builds nothing."""
    # Before anything long starts: what is misspelt fails at once.
    wanted, meant = _exact(experiment), experiment.meant
    kbuild.compiler_version(wanted.cc)
    extra = (*wanted.config, *wanted.head_config)
    kconfig.request(fragment_paths(wanted.fragments), version="6.12", extra=extra)
    if wanted.patch and not meant.patch:
        locator.find(wanted.patch, registry=_REGISTRY, kernel_git=context.kernel_git)
    context.store.ensure()
    trees = _got(wanted, meant, context)
    _require_sysctls(experiment, trees, context.store)
    return trees


def _got(wanted: Kernels, meant: Meant, context: Context) -> Trees:
    if wanted.patch:
        base, loaded, fit = _based(wanted.base, wanted.patch, meant, context)
        trees = Trees(base, base, _apply(loaded, base, context), fit)
        trees = cut(trees, wanted.upto, context) if wanted.upto else trees
        if meant.patch and trees.applied:
            recorded.require(meant.patch, trees.applied)
        return trees
    base = _meant(wanted.base, "base", meant, context)
    return Trees(base, _meant(str(wanted.head), "patch", meant, context), None, None)


def _require_sysctls(experiment: Experiment, trees: Trees, store: GitStore) -> None:
    """Raise UserError for a sysctl that is misspelt: the guest would say so after the build."""
    other = trees.tip or (trees.applied or trees.other).commit
    switches = [cell.backend.conditions for cell in experiment.cells()]
    switches.append(switch.of(experiment.kernels.head_guest))
    paths = dict.fromkeys(path for one in switches for path, _ in one.writes)
    sysctls.require(paths, store.path, (trees.base.commit, other), version=trees.base.version)


def cut(trees: Trees, count: int, context: Context) -> Trees:
    """The trees with the first ``count`` patches of the series applied: its own commits."""
    applied = trees.applied
    if applied is None:
        raise UserError("a walk goes over the patches of a series: give PATCH and not HEAD")
    part = series.first(applied.series, count)
    commit = applied.steps[count - 1].commit
    tree = context.store.tree_of(commit)
    shorter = AppliedSeries(part, commit, tree, applied.commits[:count])
    return replace(trees, applied=shorter, tip=applied.commit)


@dataclass(frozen=True, slots=True)
class PairPlan:
    """Both kernels as they will be built; nothing is built yet.

    ``requests`` are by arm; ``chosen`` are the symbols that one kernel is to have otherwise.
    """

    trees: Trees
    requests: Mapping[str, BuildRequest]
    builder: KernelBuilder
    chosen: frozenset[str]

    @property
    def keys(self) -> dict[str, str]:
        """The keys that both kernels will have, by arm."""
        return {arm: self.builder.places(one)[0].name for arm, one in self.requests.items()}

    def build(self, configured: Configured | None = None) -> KernelPair:
        """Configure and build both arms, base first."""
        trees = self.trees
        made = {name: self._built(name, configured) for name in ("base", "patch")}
        arms = {
            "base": Arm(trees.base, None, self.requests["base"], made["base"]),
            "patch": Arm(
                trees.other,
                trees.applied,
                self.requests["patch"],
                made["patch"],
                trees.basis,
                self._unset(made["patch"].config),
            ),
        }
        return arms, _parity(arms, self.chosen)

    def _unset(self, config: Mapping[str, str]) -> tuple[str, ...]:
        """The options that the series brings and that are off, though nobody asked for that."""
        if self.trees.applied is None:
            return ()
        asked = {item.symbol for item in self.requests["patch"].options}
        found = newoptions.off_by_default(
            self.builder.store, self.trees.base.commit, self.trees.applied.commit
        )
        named = (f"CONFIG_{name}" for name in found)
        return tuple(one for one in named if one not in asked and config.get(one, "n") == "n")

    def build_base(self, configured: Configured | None = None) -> Kernel:
        """Only the base: what fails afterwards is the series' doing."""
        return self._built("base", configured)

    def _built(self, arm: str, configured: Configured | None) -> Kernel:
        told = partial(configured, arm) if configured else kbuild.ignore
        return self.builder.build(self.requests[arm], told)

    def space(self) -> int:
        """Bytes of disk that building both arms may take; 0 if both are built."""
        missing = [one for one in self.requests.values() if not self.builder.find(one)]
        workspaces = {self.builder.places(one)[1] for one in missing}
        new = [one for one in workspaces if not one.is_dir()]
        # Building in an old workspace takes room, too; those of one comparison follow each other.
        return max(1, len(new)) * kbuild.SPACE if missing else 0

    def places(self) -> frozenset[Path]:
        """The folders of the cache that building both arms takes or makes."""
        return frozenset(
            path for one in self.requests.values() for path in self.builder.places(one)
        )


def plan(trees: Trees, experiment: Experiment, context: Context) -> PairPlan:
    """How both arms of ``experiment`` are built from their trees."""
    kernels = _exact(experiment)
    place = workspace.choose(context.store, context.cache.build, trees.base.tree)
    requests = {
        "base": _request("base", trees.base, None, kernels, place),
        "patch": _request(
            "patch", trees.other, trees.applied, kernels, _beside(trees, place, context)
        ),
    }
    if trees.applied:
        whole = replace(requests["patch"], commit=trees.tip or requests["patch"].commit)
        requests = {name: _without_new(one, whole, context.store) for name, one in requests.items()}
        # What the series alone has on is looked at by what the series changes.
        requests["patch"] = replace(requests["patch"], beside=requests["base"].options)
    for one in requests.values():
        _require_defined(one, context.store)
    chosen = kconfig.request((), version=trees.other.version, extra=kernels.head_config)
    builder = KernelBuilder(context.cache, context.store, context.sandbox, context.jobs)
    return PairPlan(trees, requests, builder, frozenset(item.symbol for item in chosen))


def _beside(trees: Trees, place: str, context: Context) -> str:
    """The workspace of the second kernel: the base's if there is not much to compile there."""
    if trees.applied or workspace.is_near(context.store, trees.base.tree, trees.other.tree):
        return place
    return workspace.choose(context.store, context.cache.build, trees.other.tree)


def _based(
    name: str, patch: str, meant: Meant, context: Context
) -> tuple[Source, Series, BasisFacts]:
    """The base and the series, each found by the other where need be, and how they fit."""

    def load(version: str | None, commit: str | None) -> Series:
        if meant.patch:
            return recorded.patches(patch, meant.patch, meant, context, _REGISTRY)
        return series.load(
            patch,
            registry=_REGISTRY,
            version=version,
            mails=context.mails,
            kernel_git=context.kernel_git,
            store=context.store,
            base=commit,
        )

    if name == basis.AUTO and not meant.base:
        loaded = load(None, None)
        found, by = basis.resolve(
            loaded,
            store=context.store,
            kernel_git=context.kernel_git,
            elsewhere=context.elsewhere,
        )
        base = _resolve(found, "base", context)
    else:
        base, by = _meant(name, "base", meant, context), "user"
        loaded = load(base.version, dict(base.origin).get("commit", base.commit))
    for note in loaded.notes:
        _log.info(f"{loaded.name}: {note}")
    fit = basis.check(loaded, base, store=context.store, by=by)
    if fit.warning:
        _log.warning(fit.warning)
    return base, loaded, fit


def _request(
    label: str, source: Source, applied: AppliedSeries | None, kernels: Kernels, place: str
) -> BuildRequest:
    fragments = fragment_paths(kernels.fragments)
    own = kernels.head_config if label == "patch" else ()
    return BuildRequest(
        label=label,
        commit=applied.commit if applied else source.commit,
        tree=applied.tree if applied else source.tree,
        version=source.version,
        options=kconfig.request(fragments, version=source.version, extra=(*kernels.config, *own)),
        workspace=place,
        cc=kernels.cc,
    )


def _without_new(request: BuildRequest, whole: BuildRequest, store: GitStore) -> BuildRequest:
    """The request without the options that only (the rest of) the series defines.

    A series may bring a symbol that its user has to switch on; the base cannot have it, nor can
    a kernel with fewer patches than the one that brings it.
    """

    def is_new(option: kconfig.Option) -> bool:
        symbol = option.symbol.removeprefix("CONFIG_")
        return (
            not _is_default(option)
            and not store.defines(request.commit, symbol)
            and store.defines(whole.commit, symbol)
        )

    return replace(request, options=tuple(item for item in request.options if not is_new(item)))


def _is_default(option: kconfig.Option) -> bool:
    """Whether one of the default fragments asks for it."""
    return option.origin.split(":")[0] in {f"{name}.config" for name in _DEFAULT_FRAGMENTS}


def _require_defined(request: BuildRequest, store: GitStore) -> None:
    """Raise UserError for an option of the user's that the tree does not have."""

    def undefined(symbol: str) -> str | None:
        if store.defines(request.commit, symbol):
            return None
        return near(symbol, store.symbols(request.commit)) or "; correct its name or leave it out"

    own = [item for item in request.options if not _is_default(item)]
    kconfig.require_defined(own, version=request.version, undefined=undefined)


def _exact(experiment: Experiment) -> Kernels:
    """The kernels with the config fragments that a result kept, and those that its cells need."""
    kernels = experiment.kernels
    asked = kernels.fragments
    needed = {name for cell in experiment.cells() for name in cell.backend.fragments} - {*asked}
    found = (*map(experiment.meant.fragment, asked), *sorted(needed))
    return replace(kernels, fragments=found)


def is_shipped(name: str) -> bool:
    """Whether a config fragment is one of kernels/config/."""
    return (_FRAGMENTS / f"{name}.config").is_file()


def fragment_paths(extra: Sequence[str]) -> list[Path]:
    """The fragment files: the default ones, then ``extra`` (names in kernels/config/, or paths)."""
    paths = [_FRAGMENTS / f"{name}.config" for name in _DEFAULT_FRAGMENTS]
    for name in extra:
        inside = _FRAGMENTS / f"{name}.config"
        path = inside if inside.is_file() else Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"config fragment '{name}' is neither a file nor in {_FRAGMENTS}")
        paths.append(path)
    return paths


def debugging(kernel: Kernel) -> tuple[str, ...]:
    """The debug options that a kernel was built with: with any of them its figures mislead."""
    known = kconfig.read_fragment(_FRAGMENTS / "debug.config", version=kernel.release)
    config = kernel.config
    return tuple(sorted(item.symbol for item in known if config.get(item.symbol) == "y"))


def _meant(name: str, arm: str, meant: Meant, context: Context) -> Source:
    """The source that is asked for, or that the name meant when the spec file was written."""
    found = meant.base if arm == "base" else meant.head
    if found is None:
        return _resolve(name, arm, context)
    return recorded.tree(name, found, meant, context, lambda exact: _resolve(exact, arm, context))


def _resolve(name: str, arm: str, context: Context) -> Source:
    with progress.stage(f"source {arm}", note=name):
        source = sources.resolve(
            name,
            store=context.store,
            origins=Origins(
                downloads=context.cache.downloads,
                kernel_git=context.kernel_git,
                mirror=context.mirror,
                keyring=context.keyring,
                missing_ok=context.missing_ok,
                elsewhere=context.elsewhere,
            ),
        )
    _log.info(f"{arm}: {source.name} is Linux {source.version}, tree {source.tree[:12]}")
    return source


def _apply(loaded: Series, base: Source, context: Context) -> AppliedSeries:
    with progress.stage("apply", note=f"{len(loaded.patches)} patches of {loaded.name}"):
        context.cache.build.mkdir(parents=True, exist_ok=True)
        return series.apply(
            loaded,
            store=context.store,
            base_commit=base.commit,
            base_name=base.name,
            scratch=context.cache.build,
            sandbox=context.sandbox,
        )


def _parity(arms: dict[str, Arm], chosen: frozenset[str]) -> tuple[kconfig.SymbolDifference, ...]:
    base, patch = arms["base"].kernel, arms["patch"].kernel
    wanted = {item.symbol: item.value for item in arms["base"].request.options}
    same = [item for item in arms["patch"].request.options if wanted.get(item.symbol) == item.value]
    return kconfig.parity(
        base.config,
        patch.config,
        alone=base.symbols ^ patch.symbols,
        same_tree=arms["patch"].applied is not None,
        requested=same,
        chosen=chosen,
    )
