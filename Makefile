# make reproduce | smoke | test | lint | bench | fuzz: each sets up what it needs, then runs. A second
# call installs nothing. PYTHON: the interpreter to start from; CORES: how many jobs at once.

PYTHON ?= python3
# nproc takes OMP_NUM_THREADS for a number of cores.
CORES ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)

VENV := .venv
READY := $(VENV)/.ready
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
SNAKEMAKE := snakemake --cores $(CORES)

# Jobs find the environment's programs first, and rpy2 needs no compiler.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export RPY2_CFFI_MODE := ABI

.PHONY: help reproduce smoke test test-cluster lint docs bench bench-large bench-scale bench-calibration fuzz setup system clean
.DEFAULT_GOAL := help

help:
	@echo "make reproduce   the paper's study: results/paper/"
	@echo "make smoke       every rule on a small configuration: results/smoke/"
	@echo "make test        all tests (test-cluster: on a Slurm of one node, started for it)"
	@echo "make lint        formatting, lint and types of Python and Snakemake files"
	@echo "make docs        this documentation as a site: results/site/"
	@echo "make bench       speed and memory against their targets: results/bench/"
	@echo "                 (bench-large: images; bench-scale: studies;"
	@echo "                 bench-calibration: how often tests err)"
	@echo "make fuzz        2,000 random data sets (SEED=0 COUNT=2000): no fit may break"
	@echo "make clean       remove results/ and Snakemake's notes on them"
	@echo "make setup       only what the others need first: $(VENV), and R with mclust and fields"

reproduce: setup
	$(SNAKEMAKE) all report --configfile config/paper.yaml

smoke: setup
	$(SNAKEMAKE) all report --configfile config/smoke.yaml

# Tests open pages in a browser.
test: export WITH_BROWSER = 1
test: setup
	python -m pytest -n $(CORES) --dist loadfile

# A Slurm of this machine alone, installed from Debian's packages as root, and stopped afterwards.
test-cluster: setup
	bash tests/cluster/one-node.sh python -m pytest tests/cluster --durations=0

lint: setup
	ruff check .
	ruff format --check .
	lint-imports --no-cache --no-logo
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# Tutorials run while it is built. The notice that is turned off is about another program.
docs: setup
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

bench: setup
	python tests/bench

bench-large: setup
	python tests/bench --large

bench-scale: setup
	python tests/bench --scale

bench-calibration: setup
	python tests/bench --calibration

# Nightly, say with SEED=$(date +%s): other data sets every night.
SEED ?= 0
COUNT ?= 2000
fuzz: setup
	python tests/core/fuzz.py --first $(SEED) --count $(COUNT) --jobs $(CORES)

setup: system $(READY)

# Asked every time, since it takes a moment only: nobody can remove R behind a stamp file's back.
system:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh workflow/scripts/system-packages.sh

$(READY): requirements.txt requirements-no-deps.txt pyproject.toml | system
	@echo "setting up $(VENV): a minute or two, once"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --require-hashes --no-deps -r requirements-no-deps.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@# Where Python may not write bytecode at run time, every job would compile these anew.
	@$(VENV)/bin/python -m compileall -q src
	@touch $@

clean:
	rm -rf results .snakemake
