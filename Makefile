# Everything a new machine needs: Python 3.11+, make, util-linux, iproute2, nftables.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BUILD := build

.DEFAULT_GOAL := help
.PHONY: help install demo demo-rollback test unit lab-test lint types bench soak lock clean

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(STAMP): requirements.lock pyproject.toml
	@echo "==> Python environment in $(VENV) (exact versions and hashes from requirements.lock)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q kafkaops
	@touch $(STAMP)
	@echo "==> installed"

install: $(STAMP) ## install everything into .venv

demo: $(STAMP) ## blue/green upgrade of a real cluster under load, here
	@$(BIN)/python -m kafkaops.lab.demo --out $(BUILD)/demo

demo-rollback: $(STAMP) ## the same, and back again
	@$(BIN)/python -m kafkaops.lab.demo --rollback --out $(BUILD)/demo

lint: $(STAMP) ## format and lint
	@$(BIN)/ruff format --no-cache --check .
	@$(BIN)/ruff check --no-cache .

types: $(STAMP) ## strict types
	@$(BIN)/mypy

unit: $(STAMP) ## the tests that need no lab
	@$(BIN)/python -m pytest -q -n auto -m "not lab and not soak and not bench" tests

lab-test: $(STAMP) ## the tests on real clusters and hosts (minutes)
	@$(BIN)/python -m pytest -q --durations=30 --durations-min=20 \
		-m "lab and not soak and not bench" tests

test: $(STAMP) ## all tests, unit first
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory lab-test

soak: $(STAMP) ## the whole fault matrix on the real lab (long)
	@KAFKAOPS_SOAK=1 $(BIN)/python -m pytest -q tests/crash
	@KAFKAOPS_SOAK=1 $(BIN)/python -m pytest -q -m soak tests

bench: $(STAMP) ## figures, as ratios in one run: a table and build/bench.json
	@$(BIN)/python -m tests.bench --out $(BUILD)/bench.json

lock: ## renew requirements.lock from pyproject.toml
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile -q --generate-hashes --no-emit-options --no-header \
		--strip-extras --allow-unsafe --extra lab --extra dev -o requirements.lock pyproject.toml

clean: ## remove what was built here
	@rm -rf $(BUILD)
