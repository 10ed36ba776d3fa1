# SPDX-License-Identifier: GPL-2.0-only
# Two commands do everything: make compare, make test.  See make help.

VENV         ?= .venv
RESULTS      ?= results
PYTHON       := $(VENV)/bin/python
# make -C changes the folder, and not PWD: "." in BASE, HEAD and PATCH is where its caller is.
HARNESS       = CALLED_FROM=$(call quoted,PWD) $(PYTHON) -m harness.cli
SETUP        := ./harness/cli/setup.sh $(VENV)

# The variables that make itself was given, each as one word NAME=VALUE: the harness knows which are
# options of the command (harness/cli/variables.py).  Only those: NAME or HEAD in somebody's
# environment mean something else.  Taken as they are: neither make nor the shell reads what is in
# them.
quoted = '$(subst ','\'',$(value $(1)))'
OWN    = VENV PYTHON HARNESS SETUP SHELL
GIVEN := $(foreach name,$(filter-out $(OWN),$(.VARIABLES)), \
           $(if $(findstring command,$(origin $(name))),$(name)))
WORDS  = $(foreach name,$(sort RESULTS $(GIVEN)),'$(name)='$(call quoted,$(name)))
option = $(if $(findstring command,$(origin $(1))),--$(2) $(call quoted,$(1)))
# For targets that do not go through the harness: refuse what they do not take.
ENVIRONMENT = CACHE_LIMIT DEBIAN_MIRROR KERNEL_GIT KERNEL_GIT_MISSING KERNEL_KEYRING KERNEL_MIRROR \
              SANDBOX_READ SETUP_PACKAGES XDG_CACHE_HOME PATH TMPDIR
strange = $(filter-out $(1) $(ENVIRONMENT),$(GIVEN))
only = $(if $(strange),$(error make $@ takes no $(strange); it takes: $(or $(1),nothing)))
# Not handed on: make expands what it exports.
unexport $(foreach name,RESULTS $(GIVEN),$(if $(findstring $$,$(value $(name))),$(name)))

.PHONY: help example compare profile overhead walk bisect revisions nightly cases calibrate bench build repeat report reply bundle verify doctor \
        board triage check results results-rm diff series series-check \
        workloads axes setup setup-python setup-dev \
        test lint unit e2e planted clusters faults fuzz lock clean-cache

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile
	@echo
	@$(PYTHON) -m harness.cli 2>/dev/null || \
		echo 'make setup-python, then make help: also the variables'

#: make compare    build, boot, measure and report BASE against PATCH or HEAD
#: make build      only get and build both kernels
#: make overhead   memory that swap metadata takes, by structure: SIZES=640M,4G,32G FILL=256M STEPS=4
#: make walk       cost of each patch of PATCH: AT=3,5,9-12 for some, BYTES=yes for bytes, too
#: make bisect     which patch of PATCH changes METRIC=swapin, in log2 builds: MOST_PAIRS=12
#: make revisions  each revision of PATCH=vswap on its own base, side by side: ONLY=v3,v6
#: make nightly    what is new on followed lists and branches, and its trend: NIGHTLY=nightly.yaml
#: make profile    in which functions, lines and parts of the kernel a change is
#: make cases      public reports on KERNELS='debian/6.12 v6.19 vswap-v3': seen or not: CASES=some
#: make calibrate  measure patches of known cost, fail if it is not found
#: make bench      measure what the sampler itself adds to the base's figures
#: make repeat     measure RESULT=NAME, or a bundle of it, again: with the patches in it
#: make results    list the results: when, what, verdicts, size
#: make results-rm remove RESULT=NAME: asks first, or YES=yes
#: make diff       compare the results A= and B= (the two newest), or say why that cannot be done
#: make board      a static site of all results in results/board, written again where they changed
#: make triage     list what moved at night; MOVE= WORD= BY= NOTE= say why one did
#: make check      what was measured of the series of a mail on standard input: for b4
#: make report     write the report of RESULT=NAME again: a name, a path, latest or previous
#: make reply      draft a mail with RESULT=NAME: OVERHEAD=OTHER QUOTE=FILE|message-id
#: make verify     check RESULT=NAME: hashes, and every number of its report
#: make bundle     pack RESULT=NAME (and OVERHEAD=) with all evidence: verify takes the file
#: make example    measure what docs/example shows, and write it there again
#: make doctor     what this machine has and lacks, which accelerator works
#: make workloads  list the workloads and suites
#: make axes       list the conditions (SET=, CMDLINE=, settings of back-ends)
#: make series     list the series of the registry
#: make series-check  which of them were posted again since, as MIRROR=PATH:PATH has it
#: make test       lint, types, unit tests, end-to-end test with real kernels
#: make lint | unit | e2e   its parts;   make lock   pin Python packages anew
#: make planted    mistakes planted in real kernels: a corruption, a lock order, a leak, one costly patch
#:                 of twelve for bisect, three revisions for nightly: builds some twelve kernels
#: make faults     what does the harness make of panics, kills, full disks? on real guests: ONLY=name,...
#: make clusters   a comparison on Slurm, SSH hosts and TLS of this machine, each disturbed
#: make fuzz       every parser of outside input under a fuzzer: SECONDS=60 each, PARSER=mail for one
#: make clean-cache   show what the cache holds, ask, and remove it: OLDER_THAN=days DRY_RUN=yes YES=yes
#:
#: Environment: KERNEL_GIT and MIRROR (as the variables below), DEBIAN_MIRROR (default: the host's
#: own apt), KERNEL_KEYRING (for signed tarballs and tags), KERNEL_GIT_MISSING=ok (take a tree
#: without files that KERNEL_GIT lacks), KERNEL_MIRROR (a server with kernel.org's trees, default
#: https://git.kernel.org), SANDBOX_READ (folders of a tool chain outside /usr), XDG_CACHE_HOME (the
#: cache: about 5 GiB for a first comparison), CACHE_LIMIT=40G (kernels, images and workspaces that
#: were not used for longest are removed above it)
#:
#: Exit status of the command line: 0 nothing is worse, 3 something is, 4 undecided, 2 user
#: error, 5 kernel failure, 6 infrastructure failure, 130 interrupted.  make compare, walk,
#: bisect, revisions, cases and nightly take 3 and 4 for success; call .venv/bin/python -m harness directly
#: where they matter.

setup:
	@$(SETUP) requirements.txt

# Enough to read results, or to say what is missing.
setup-python:
	@SETUP_PACKAGES=no $(SETUP) requirements.txt

setup-dev: setup
	@$(SETUP) requirements-dev.txt

# A verdict of worse or undecided is an answer, not an error of make.
compare walk revisions nightly cases repeat: setup
	@$(HARNESS) $@ $(WORDS) || case $$? in 3|4) ;; *) exit $$?;; esac

bisect: setup
	@$(HARNESS) $@ $(WORDS) || case $$? in 4) ;; *) exit $$?;; esac

calibrate overhead bench build profile: setup
	@$(HARNESS) $@ $(WORDS)

# What README and docs show: measured, not written.  report.html links to boots that are not kept.
EXAMPLE = docs/example
example: setup
	@$(call only,RESULTS)
	@$(HARNESS) compare NAME=example RESULTS='$(RESULTS)' || case $$? in 3|4) ;; *) exit $$?;; esac
	@$(HARNESS) reply RESULT='$(RESULTS)/example' RESULTS='$(RESULTS)' >/dev/null
	@mkdir -p $(EXAMPLE) && cd '$(RESULTS)/example' && cp reply.eml report/report.txt \
		report/report.html report/plots/change.svg '$(CURDIR)/$(EXAMPLE)'

report reply bundle verify diff board triage check results results-rm series series-check doctor workloads axes clean-cache: setup-python
	@$(HARNESS) $@ $(WORDS)

test: lint unit e2e

lint: setup-dev
	@$(call only,)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: setup-dev
	@$(call only,)
	$(PYTHON) -m pytest -q -n auto --dist loadfile tests --ignore=tests/e2e --ignore=tests/planted \
		--ignore=tests/clusters

planted: setup-dev
	@$(call only,)
	$(PYTHON) -m pytest -v -s tests/planted

clusters:
	@$(call only,)
	@SETUP_WHEN=clusters $(SETUP) requirements-dev.txt
	$(PYTHON) -m pytest -v -s tests/clusters

faults: setup
	@$(call only,ONLY BASE SANDBOX RESULTS)
	@$(PYTHON) -m tests.faults $(call option,ONLY,only) $(call option,BASE,base) \
		$(call option,SANDBOX,sandbox) --results $(call quoted,RESULTS)

e2e: setup-dev
	@$(call only,)
	$(PYTHON) -m pytest -v -s tests/e2e

fuzz: setup-dev
	@$(call only,SECONDS PARSER)
	@$(SETUP) requirements-fuzz.txt
	$(PYTHON) -m tests.fuzz $(call option,SECONDS,seconds) $(call option,PARSER,parser)

lock:
	@$(call only,UPGRADE)
	$(SETUP) requirements-dev.txt
	for extras in "" dev dev,fuzz cluster; do \
		name=requirements$${extras:+-$${extras#dev,}}.txt; \
		$(VENV)/bin/pip-compile --quiet $(if $(UPGRADE),--upgrade) $${extras:+--extra $$extras} \
		--generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host $$([ $$name = requirements.txt ] || \
		echo -c requirements.txt) -o $$name pyproject.toml || exit; done
