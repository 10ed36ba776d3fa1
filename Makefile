# SPDX-License-Identifier: GPL-2.0-only
# Two commands do everything: make compare, make test.  See make help.

VENV         ?= .venv
RESULTS      ?= results
PYTHON       := $(VENV)/bin/python
HARNESS      := $(PYTHON) -m harness
SETUP        := ./harness/cli/setup.sh $(VENV)

# Variables become options only when given to make itself: NAME or HEAD in somebody's environment
# mean something else.  Taken as they are: neither make nor the shell reads what is in them.
quoted = '$(subst ','\'',$(value $(1)))'
option = $(if $(findstring command,$(origin $(1))),--$(2) $(call quoted,$(1)))
# Not handed on: make expands what it exports.
unexport AT BYTES LONG METRIC MOST_PAIRS NIGHTLY ONLY SPEC BASE PATCH UPTO HEAD KERNEL_GIT CONFIG HEAD_CONFIG FRAGMENTS BACKENDS \
         WORKLOADS SUITE NAME RESULT RESULTS DEBUG LORE MIRROR OVERHEAD QUOTE SECONDS PARSER SCHEDULER
KERNELS = $(call option,SPEC,spec) $(call option,BASE,base) $(call option,PATCH,patch) \
          $(call option,UPTO,upto) $(call option,HEAD,head) $(call option,KERNEL_GIT,kernel-git) \
          $(call option,CONFIG,config) $(call option,HEAD_CONFIG,head-config) $(call option,FRAGMENTS,fragments) $(call option,JOBS,jobs) \
          $(call option,DEBUG,debug) \
          $(call option,SANDBOX,sandbox) $(call option,LORE,lore) $(call option,MIRROR,mirror) \
          $(call option,TRAILERS,trailers)
MEASURING = $(call option,BACKENDS,backends) $(call option,WORKLOADS,workloads) \
            $(call option,SUITE,suite) $(call option,PRESET,preset) $(call option,PAIRS,pairs) $(call option,AA,aa) $(call option,SEED,seed) \
            $(call option,MEMORY,memory) $(call option,CPUS,cpus) $(call option,SWAP,swap) \
            $(call option,CLOCK,clock) $(call option,ACCEL,accel) $(call option,DISK,disk) \
            $(call option,PARALLEL,parallel) $(call option,TIMEOUT,timeout) \
            $(call option,NAME,name) $(call option,SCHEDULER,scheduler) --results $(call quoted,RESULTS)

.PHONY: help compare overhead walk bisect revisions nightly calibrate bench build report reply bundle verify doctor \
        workloads setup setup-python setup-dev \
        test lint unit e2e planted faults fuzz lock clean-cache

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make compare    build, boot, measure and report BASE against PATCH or HEAD
#: make build      only get and build both kernels
#: make overhead   memory that swap metadata takes, by structure: SIZES=640M,4G,32G FILL=256M STEPS=4
#: make walk       cost of each patch of PATCH: AT=3,5,9-12 for some, BYTES=yes for bytes, too
#: make bisect     which patch of PATCH changes METRIC=swapin, in log2 builds: MOST_PAIRS=12
#: make revisions  each revision of PATCH=vswap on its own base, side by side: ONLY=v3,v6
#: make nightly    what is new on followed lists and branches, and its trend: NIGHTLY=nightly.yaml
#: make calibrate  measure patches of known cost, fail if it is not found
#: make bench      measure what the sampler itself adds to the base's figures
#: make report     write the report of RESULT=results/NAME again
#: make reply      draft a mail with RESULT=results/NAME: OVERHEAD=results/OTHER QUOTE=FILE|message-id LONG=yes
#: make verify     check RESULT=results/NAME: hashes, and every number of its report
#: make bundle     pack RESULT=results/NAME (and OVERHEAD=) with all evidence: verify takes the file
#: make doctor     what this machine has and lacks, which accelerator works
#: make workloads  list the workloads and suites
#: make test       lint, types, unit tests, end-to-end test with real kernels
#: make lint | unit | e2e   its parts;   make lock   pin Python packages anew
#: make planted    mistakes planted in real kernels: a corruption, a lock order, a leak, one costly patch
#:                 of twelve for bisect, three revisions for nightly: builds some twelve kernels
#: make faults     what does the harness make of panics, kills, full disks? on real guests: ONLY=name,...
#: make fuzz       every parser of outside input under a fuzzer: SECONDS=60 each, PARSER=mail for one
#: make clean-cache   show what the cache holds and remove it: OLDER_THAN=days DRY_RUN=yes
#:
#: Variables of compare and build (an option of the same name in the command line
#: interface, `.venv/bin/python -m harness compare --help`):
#:   BASE=debian/6.12    debian/6.1, debian/7.3, v6.19 with KERNEL_GIT=, a tarball, a folder,
#:                       auto: what the series was made on
#:   PATCH=calibration   a name in kernels/series/, a message-id or lore URL (@v3, @latest), a
#:                       folder of patches, a mailbox, a range a..b of KERNEL_GIT
#:   UPTO=               only so many patches of the series
#:   HEAD=               a second kernel instead of a series
#:   KERNEL_GIT=         git repository for tags and commits: path or URL
#:   LORE= MIRROR=       server and local mirrors of mails, for PATCH=message-id
#:   TRAILERS=yes        commit messages with the Reviewed-by and so on of the answers
#:   SPEC=FILE.yaml      any of these settings in a file
#:   BACKENDS=swapfile,zswap,zram   WORKLOADS=pageio,pressure   PRESET=quick|standard|full
#:   SUITE=quick|standard|vswap|correctness|backends   cells in place of BACKENDS x WORKLOADS
#:   PAIRS= SEED=1       pairs of boots for each cell (3; wall clock: 10), what orders and seeds them
#:   AA=yes|no           boot the base once more in each pair: the noise floor
#:   MEMORY=768M CPUS=1 SWAP=1G   the guest
#:   CLOCK=auto|insn|wall   ACCEL=auto|kvm|tcg   PARALLEL=guests side by side
#:   DISK=auto|sim|host  what swap files lie on: sim answers after a fixed guest time
#:   JOBS= compilers side by side   TIMEOUT=1800   seconds a workload may take
#:   CONFIG='NUMA=y'     kernel options on top;   FRAGMENTS=  fragments on top
#:   HEAD_CONFIG=        options of HEAD alone: BASE=X HEAD=X HEAD_CONFIG='THP_SWAP=n'
#:   DEBUG=yes           kernels with lockdep and mm's debug options: to find mistakes
#:   SANDBOX=yes|no      no: apply and build with all your rights, for a series you trust
#:   SCHEDULER=tcp://HOST:PORT   guests on the workers of a Dask cluster: docs/many-machines.md
#:   NAME=  RESULTS=results   where the result goes
#: Environment: DEBIAN_MIRROR (default: the host's own apt), KERNEL_KEYRING (for signed
#: tarballs and tags), KERNEL_GIT_MISSING=ok (take a tree without files that KERNEL_GIT lacks),
#: SANDBOX_READ (folders of a tool chain outside /usr), XDG_CACHE_HOME (the cache:
#: about 5 GiB for a first comparison), CACHE_LIMIT=40G (kernels, images and workspaces that were
#: not used for longest are removed above it)
#:
#: Exit status of the command line: 0 nothing is worse, 3 something is, 4 undecided, 2 user
#: error, 5 kernel failure, 6 infrastructure failure, 130 interrupted.  make compare, walk,
#: bisect, revisions and nightly take 3 and 4 for success; call .venv/bin/python -m harness directly
#: where they matter.

setup:
	@$(SETUP) requirements.txt

# Enough to read results, or to say what is missing.
setup-python:
	@SETUP_PACKAGES=no $(SETUP) requirements.txt

setup-dev: setup
	@$(SETUP) requirements-dev.txt

# A verdict of worse or undecided is an answer, not an error of make.
compare: setup
	@$(HARNESS) compare $(KERNELS) $(MEASURING) || case $$? in 3|4) ;; *) exit $$?;; esac

calibrate: setup
	@$(HARNESS) calibrate $(KERNELS) $(MEASURING)

overhead: setup
	@$(HARNESS) overhead $(KERNELS) $(MEASURING) $(call option,SIZES,sizes) \
		$(call option,FILL,fill) $(call option,STEPS,steps)

walk: setup
	@$(HARNESS) walk $(KERNELS) $(MEASURING) $(call option,SIZES,sizes) $(call option,FILL,fill) \
		$(call option,STEPS,steps) $(call option,AT,at) $(call option,BYTES,overhead) \
		|| case $$? in 3|4) ;; *) exit $$?;; esac

bisect: setup
	@$(HARNESS) bisect $(KERNELS) $(MEASURING) $(call option,MOST_PAIRS,most-pairs) \
		-- $(call quoted,METRIC) || case $$? in 4) ;; *) exit $$?;; esac

revisions: setup
	@$(HARNESS) revisions $(KERNELS) $(MEASURING) $(call option,ONLY,only) \
		|| case $$? in 3|4) ;; *) exit $$?;; esac

nightly: setup
	@$(HARNESS) nightly $(call option,NIGHTLY,config) $(call option,KERNEL_GIT,kernel-git) \
		$(call option,LORE,lore) $(call option,MIRROR,mirror) $(call option,SANDBOX,sandbox) \
		$(call option,JOBS,jobs) $(call option,SCHEDULER,scheduler) --results $(call quoted,RESULTS) || case $$? in 3|4) ;; *) exit $$?;; esac

bench: setup
	@$(HARNESS) bench $(KERNELS) $(MEASURING)

build: setup
	@$(HARNESS) build $(KERNELS) $(MEASURING)

report: setup-python
	@$(HARNESS) report $(call quoted,RESULT)

reply: setup-python
	@$(HARNESS) reply $(call quoted,RESULT) $(call option,OVERHEAD,overhead) \
		$(call option,QUOTE,quote) $(if $(LONG),--long) \
		$(call option,LORE,lore) $(call option,MIRROR,mirror)

bundle: setup-python
	@$(HARNESS) bundle $(call quoted,RESULT) $(call option,OVERHEAD,overhead)

verify: setup-python
	@$(HARNESS) verify $(call quoted,RESULT)

doctor: setup-python
	@$(HARNESS) doctor

workloads: setup-python
	@$(HARNESS) workloads

test: lint unit e2e

lint: setup-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: setup-dev
	$(PYTHON) -m pytest -q -n auto --dist loadfile tests --ignore=tests/e2e --ignore=tests/planted

planted: setup-dev
	$(PYTHON) -m pytest -v -s tests/planted

faults: setup
	@$(PYTHON) -m tests.faults $(call option,ONLY,only) $(call option,BASE,base) \
		$(call option,SANDBOX,sandbox) --results $(call quoted,RESULTS)

e2e: setup-dev
	$(PYTHON) -m pytest -v -s tests/e2e

fuzz: setup-dev
	@$(SETUP) requirements-fuzz.txt
	$(PYTHON) -m tests.fuzz $(call option,SECONDS,seconds) $(call option,PARSER,parser)

lock:
	$(SETUP) requirements-dev.txt
	for extras in "" dev dev,fuzz cluster; do \
		name=requirements$${extras:+-$${extras#dev,}}.txt; \
		$(VENV)/bin/pip-compile --quiet $(if $(UPGRADE),--upgrade) $${extras:+--extra $$extras} \
		--generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host $$([ $$name = requirements.txt ] || \
		echo -c requirements.txt) -o $$name pyproject.toml || exit; done

clean-cache: setup-python
	@$(HARNESS) clean-cache $(call option,OLDER_THAN,older-than) $(if $(DRY_RUN),--dry-run)
