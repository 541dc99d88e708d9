# Everything a fresh machine needs is installed by these targets; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
NATIVE := $(wildcard native/*.c native/*.h) hatch_build.py

WEB := $(shell find web -path web/node_modules -prune -o -type f -print)
# what runs side by side is told one after the other
SIDE_BY_SIDE := --no-print-directory --jobs=3 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
PAGE := src/menura/server/page/index.html
NODE := web/node_modules/.ready

.PHONY: help run test check check-python check-web test-web bench tools setup page system clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: tools setup page ## set up, then the server with its page (ARGS="--port 8001")
	@$(BIN)/menura serve $(ARGS)

test: tools ## set up, then every test, browser and audio devices included
	@$(MAKE) $(SIDE_BY_SIDE) setup page system check test-web
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not devices and not browser"
	scripts/test-real-time.sh

check: check-python check-web ## formatting, types, layers: the fences, in seconds

check-python: setup
	$(BIN)/ruff format --check src tests benchmarks examples scripts hatch_build.py
	$(BIN)/ruff check src tests benchmarks examples scripts hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports

check-web: $(NODE)
	npm --prefix web run --silent check

test-web: $(NODE)
	npm --prefix web run --silent test

bench: setup ## every benchmark beside its peers (half an hour; ARGS="--quick shifter" for a part)
	scripts/bench.sh $(ARGS)

tools:
	@scripts/check-tools.sh $(PYTHON)

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock requirements-peers.lock pyproject.toml $(NATIVE)
	@echo "Setting up in $(VENV): a few minutes, once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-peers.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

page: $(PAGE) ## the page, where its sources are newer: needs Node.js

$(PAGE): $(NODE) $(WEB)
	npm --prefix web run --silent build

$(NODE): web/package.json web/package-lock.json
	@scripts/check-tools.sh $(PYTHON)
	npm --prefix web ci
	touch $@

system: ## what the tests need beside Python: chromium, pulseaudio, portaudio, nats-server, postgresql
	scripts/system-packages.sh

clean: ## remove what was built
	rm -rf $(VENV) .venv-bench src/menura/dsp/_native.* src/menura/server/page web/node_modules
