# The commands a person needs. Everything lives in .venv; nothing else is touched.
#   make demo    a tour on real work (installs what it needs first)
#   make test    the tests, without those marked slow
#   make controllers   limits of jobs, under a kernel of their own: CONTROLLERS
#   make check   what CI demands: lint and test
#   make soak    faults for an hour or more: SOAK_MINUTES, SOAK_KILLS, SOAK_SEED
#   make fuzz    what clients' bytes go through, with atheris: FUZZ_SECONDS
#   make bench   how fast it is, beside the floors of this machine: BENCH, BENCH_ROUNDS
#   make bench-peers   the same work by other queues, installed into a scratch place
#   make power-loss   that many power cuts: POWER_CUTS

PYTHON ?= python3
POWER_CUTS ?= 20000
CONTROLLERS ?= tests/controllers
BENCH ?=
BENCH_ROUNDS ?= 5
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

FUZZ_VENV := build/fuzz-venv
FUZZ_PIP := $(FUZZ_VENV)/bin/python -m pip install --quiet \
	--disable-pip-version-check

# What decides on the installed packages; the code itself is installed in place.
INSTALLED_FROM := pyproject.toml protocol/queuectl_protocol/version.py

.PHONY: venv demo test controllers bench bench-peers soak power-loss fuzz lint format check docs clean
.DELETE_ON_ERROR:

$(VENV)/.installed: $(INSTALLED_FROM)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

venv: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh

test: venv
	$(BIN)/python -m pytest -m "not slow"

# No shell and no make in between: a signal, or the end of make, ends it all.
controllers: venv
	setpriv --pdeathsig TERM env PYTHONPATH=tests $(BIN)/python -m helpers.uml \
		$(CURDIR)/$(BIN)/python -m pytest -p no:cacheprovider $(CONTROLLERS)

bench: venv
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(BENCH) \
		--rounds $(BENCH_ROUNDS) --into build

bench-peers: venv
	PYTHONPATH=tests $(BIN)/python -m benchmarks.peers

soak: venv
	PYTHONPATH=tests $(BIN)/python -m benchmarks.soak

power-loss: venv
	QUEUECTL_POWER_CUTS=$(POWER_CUTS) $(BIN)/python -m pytest -rP \
		tests/faults/test_power_loss.py

# atheris has wheels for few versions of Python: it is no matter if there is none.
$(FUZZ_VENV)/.installed: $(INSTALLED_FROM)
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_PIP) --editable .
	-$(FUZZ_PIP) --only-binary :all: atheris
	@touch $@

fuzz: $(FUZZ_VENV)/.installed
	PYTHONPATH=tests $(FUZZ_VENV)/bin/python -m benchmarks.fuzz

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: lint test

docs: venv
	for script in tools/generate_*.py; do \
		$(BIN)/python "$$script" || exit; \
	done

clean:
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find queuectl queuectld protocol tests benchmarks tools -name __pycache__ -prune \
		-exec rm -rf {} +
