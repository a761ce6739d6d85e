PYTHON ?= python3
WORKERS ?= 3
PYTEST_ARGS ?=
BENCH ?=
STATES ?= 20000
FLIPS ?= 1000
KILLS ?= 1000
SITES ?= 3
EDITS ?= 1000000
STORE ?= sqlite
CUTS ?= 30
SIDE ?= agent
SEED ?=
SEEDS ?= 10000
FLEETS ?= 200
SECONDS ?= 30
EXAMPLES ?= 100
TARGET ?=
ARCH ?=
PRODUCTS ?= agent hub
PYTHON_OF_HUB ?= 3.11
SUITE ?= bookworm
DATA ?= $(wildcard demo/farshore_demo/data/*.gz)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
BUILD := PYTHONPATH=packaging $(BIN)/python -m farshore_build
SEEDED = $(if $(SEED),--seed $(SEED))
SOURCES := protocol shell agent hub demo packaging tests docs_site

.DEFAULT_GOAL := help
.PHONY: help venv test pytest lint types imports format demo docs bench bench-bytes fuzz fuzz-api bombs powerloss diskfaults bitrot soak soak-kills powercut links herd ledger-seeds converge push pins deb pyz test-packages test-objects lint-containers clean system-packages

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## make .venv with the pinned dependencies

# The version is part of the installed metadata, therefore its file too.
$(STAMP): pyproject.toml protocol/farshore_protocol/__init__.py packaging/constraints.txt packaging/make-venv.sh
	sh packaging/make-venv.sh $(VENV) $(PYTHON)
	@touch $@

test: lint types imports pytest ## everything that has to hold: style, types, import directions, tests

pytest: $(STAMP) system-packages ## the tests alone; PYTEST_ARGS="-k name" selects, WORKERS=0 runs in one process
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(STAMP) ## style and formatting
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(STAMP) ## strict types
	$(BIN)/mypy

imports: $(STAMP) ## import directions
	$(BIN)/lint-imports

format: $(STAMP) ## format the code and repair what can be repaired
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

demo: $(STAMP) ## a hub and a few sites on this machine
	$(BIN)/farshore demo

docs: $(STAMP) ## the documentation as a site in build/site, which needs no internet
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint packaging/constraints.txt --editable '.[docs]'
	$(BIN)/python -m docs_site.assemble build/docs
	$(BIN)/zensical build --clean --strict
	@echo "look at it: python3 -m http.server --directory build/site"

bench: $(STAMP) system-packages ## every figure of docs/benchmarks.md, about 20 minutes; BENCH="--quick" or "--only drain" for less
	$(BIN)/python -m tests.benchmarks.all $(BENCH)

bench-bytes: $(STAMP) ## bytes per record beside the peers; DATA="FILE…" names other data than the demo's
	$(BIN)/python tests/benchmarks/bytes_per_record.py $(DATA)

powerloss: $(STAMP) ## cut the power in STATES=20000 ways, of lives from SEED=… on, and count what is lost
	$(BIN)/python -m tests.disk.power_loss --states $(STATES) $(if $(SEED),--seed $(SEED))

diskfaults: $(STAMP) ## make every single operation of the agent's and the hub's disk fail, in every way
	$(BIN)/python -m tests.disk.every_fault

bitrot: $(STAMP) ## flip FLIPS=1000 bits of the agent's file and log, one at a time; SEED=…
	$(BIN)/python -m tests.disk.bit_rot --flips $(FLIPS) $(SEEDED)

soak: $(STAMP) ## simulate SEEDS=10000 worlds full of faults; SEED=n simulates that one and prints what happened
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED) --trace,--seeds $(SEEDS) --jobs $(WORKERS))

soak-kills: $(STAMP) ## kill agents of SITES=3 and a hub KILLS=1000 times under load; STORE=postgres SEED=… JSON=1
	$(if $(filter postgres,$(STORE)),@sh packaging/ensure-postgres.sh)
	$(BIN)/python -m tests.soak --kills $(KILLS) --sites $(SITES) --store $(STORE) $(SEEDED) $(if $(JSON),--json)

powercut: $(STAMP) ## cut a virtual machine's power CUTS=30 times; SIDE=hub; CONTROL=normal must lose; SEED=… JSON=1
	@sh packaging/ensure-virtual-machine.sh
	PATH="$$PATH:/usr/sbin" $(BIN)/python -m tests.powercut --cuts $(CUTS) --side $(SIDE) $(if $(CONTROL),--control $(CONTROL)) $(SEEDED) $(if $(JSON),--json)

fuzz: $(STAMP) ## every decoder under atheris; SECONDS=n for each, TARGET=name for one
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --constraint packaging/constraints.txt --editable '.[hub,dev,fuzz]'
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(TARGET:%=--target %)

fuzz-api: $(STAMP) system-packages ## hold the hub's API against its description; EXAMPLES=n for each operation, STORE=postgres
	$(BIN)/python -m tests.fuzz.api --examples $(EXAMPLES) --store $(STORE)

links: $(STAMP) ## what a real agent and hub make of bad links; LINK="part of a name", CONGESTION=reno
	$(BIN)/python -m tests.links.table "$(LINK)" $(or $(CONGESTION),reno)

ledger-seeds: $(STAMP) ## let everything go wrong in FLEETS=200 fleets of 500 sites and 10 streams; every gap is found exactly
	$(BIN)/python -m tests.ledger $(SEEDED) --seeds $(FLEETS) --jobs $(or $(filter-out 0,$(WORKERS)),1)

converge: $(STAMP) system-packages ## merge EDITS=1000000 random changes of SITES=20 in several orders, on both stores; SEED=…
	$(BIN)/python -m tests.hub.merge.converge --edits $(EDITS) --sites $(if $(filter file,$(origin SITES)),20,$(SITES)) $(SEEDED)

herd: $(STAMP) ## ten thousand sites that come back at once, on virtual time, by policy
	$(BIN)/python -m tests.links.herd

push: $(STAMP) ## orders over MQTT to SITES=1000 connected sites: how soon, at what cost, and after the broker was killed
	$(BIN)/python -m tests.push --sites $(if $(filter file,$(origin SITES)),1000,$(SITES))

bombs: $(STAMP) ## feed every decoder, and the running commands, with all that is made to take much memory or time
	FARSHORE_ALL_BOMBS=1 $(BIN)/pytest tests/fuzz/test_memory.py tests/fuzz/test_processes.py

deb: $(TOOLS) ## Debian packages in dist/; PRODUCTS="agent hub" ARCH=arm64
	$(foreach each,$(PRODUCTS),$(BUILD) deb $(each) --python $(PYTHON_OF_HUB) $(if $(ARCH),--architecture $(ARCH)) --output dist &&) true

pyz: $(TOOLS) ## the agent in one file in dist/; ARCH=arm64
	$(BUILD) pyz $(if $(ARCH),--architecture $(ARCH)) --output dist

test-packages: deb ## install, use, upgrade, remove and purge the packages in a clean SUITE=bookworm that is booted (root)
	@sh packaging/ensure-clean-root.sh
	PATH="$$PATH:/usr/sbin" FARSHORE_SUITE=$(SUITE) $(BIN)/pytest -v -x tests/packages/test_*.py tests/packages/journey.py

test-objects: $(STAMP) ## all tests of the lake and of its audit, the lake in an object store (SeaweedFS) instead of a folder
	FARSHORE_LAKE=objects $(BIN)/pytest -n $(WORKERS) --dist loadgroup tests/hub/lake tests/hub/audit

lint-containers: $(TOOLS) ## lint the container and compose files, without an engine
	@sh packaging/lint-containers.sh $(BIN)/hadolint

$(TOOLS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint packaging/constraints.txt --editable '.[hub,dev,package]'
	@touch $@

pins: ## pin the newest versions of all dependencies in packaging/constraints.txt
	sh packaging/make-pins.sh $(PYTHON)

clean: ## remove what was made, the virtual environment too
	rm -rf $(VENV) .fuzz .roots dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

system-packages:
	@sh packaging/ensure-postgres.sh
	@sh packaging/ensure-mosquitto.sh
	@sh packaging/ensure-chromium.sh
	@sh packaging/ensure-systemd.sh
