# make demo [SECONDS=20]   the whole gateway against simulated products
# make test                lint, types, import direction and every test
# make wheels              dist/wheels: the gateway and all it needs, with hashes, for a site without a network
# make deb                 dist/evce-gateway_*.deb for this Debian, out of the same wheels
# make soak [MINUTES=10] [SEED=1]   the gateway among products that fail in every way at once
# All make .venv in this checkout; they need Python 3.11 or newer and nothing else.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
# Workers of the tests: they wait more than they compute, so one more than there are small cores.
JOBS ?= 3
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint bench soak crash wheels deb clean

demo: .venv/.run
	$(BIN)/evce-gateway demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(DIALECT),--dialect $(DIALECT))

test: lint
	$(BIN)/python -m pytest -n $(JOBS)

lint: .venv/.test
	$(BIN)/ruff check gateway tests
	$(BIN)/ruff format --check gateway tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.test
	$(BIN)/python -m tests.benchmarks.main_job
	$(BIN)/python -m tests.benchmarks.traffic
	$(BIN)/python -m tests.benchmarks.neighbours
	$(BIN)/python -m tests.benchmarks.commands
	$(BIN)/python -m tests.benchmarks.modbus
	$(BIN)/python -m tests.benchmarks.torn
	$(BIN)/python -m tests.benchmarks.bacnet
	$(BIN)/python -m tests.benchmarks.bacnet_devices

soak: .venv/.test
	$(BIN)/python -m tests.faults.disturber --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

crash: .venv/.test
	$(BIN)/python -m tests.faults.crash_loop --rounds $(or $(ROUNDS),200) --seed $(or $(SEED),1)

.venv/.run: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say make PYTHON=/path/to/python3"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/.test: .venv/.run
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# The system's Python, for which the package is made; its wheels are not those of another minor version.
wheels:
	rm -rf dist/wheels build/wheel-venv
	$(or $(wildcard /usr/bin/python3),$(PYTHON)) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip wheel --quiet --wheel-dir dist/wheels .
	build/wheel-venv/bin/python systemd/packaging/wheelhouse.py dist/wheels

deb: wheels
	systemd/packaging/deb.sh

clean:
	rm -rf build dist .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache
