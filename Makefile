# Everything a fresh machine needs is installed by these targets; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard native/*.c native/*.h) hatch_build.py

.PHONY: help run test check bench setup system clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: setup ## set up, then the server with its page
	$(BIN)/menura serve

test: setup system check ## set up, then every test, browser and audio devices included
	$(BIN)/python -m pytest

check: setup ## formatting, types, layers: the fences, in seconds
	$(BIN)/ruff format --check src tests benchmarks examples scripts hatch_build.py
	$(BIN)/ruff check src tests benchmarks examples scripts hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## every benchmark beside its peers (half an hour; ARGS="--quick shifter" for a part)
	scripts/bench.sh $(ARGS)

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock requirements-peers.lock pyproject.toml $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-peers.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

system: ## what the tests need beside Python: chromium, pulseaudio, portaudio, nats-server, postgresql
	scripts/system-packages.sh

clean: ## remove what was built
	rm -rf $(VENV) .venv-bench src/menura/dsp/_native.*
