# Everything a newcomer, a developer or CI types. Each target sets up what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLUSTER_STAMP := $(VENV)/.installed-cluster
# Apart from the environment, whose speed they would change: what benchmarks compare with.
PEERS := $(VENV)/peers
BENCHMARKS := dumps documents end_to_end questions framework lake analytics increment positions engine

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format faults fuzz conformance bench bench-quick drills cluster observability sample lock docs clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP)  ## make the environment (.venv) from the lock file

demo: $(STAMP)  ## set up, and take the embedded sample the whole way to a published database
	$(BIN)/kshift demo

test: $(STAMP)  ## set up, and run the tests
	$(BIN)/python -m pytest

faults: $(STAMP)  ## the whole fault matrix of the ingestion, printed as a table (about half an hour)
	PYTHONPATH=tests $(BIN)/python -m faults.matrix

drills: $(STAMP)  ## recovery from kills, full disks, drift and more, as a table; then a real web UI and daemon; the longest kills and races (40 minutes)
	PYTHONPATH=tests $(BIN)/python -m drills.table
	$(BIN)/python -m pytest tests/drills -n 0
	$(BIN)/python -m pytest -m drill -n 0

fuzz: $(STAMP)  ## the readers of PGN and JSON on fifty times as many texts made at random (about half an hour)
	FUZZ=50 $(BIN)/python -m pytest --timeout 3600 -m "not whole" tests/test_pgn_compiled.py tests/test_document_columns.py

$(CLUSTER_STAMP): $(STAMP) requirements-cluster.lock
	$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-cluster.lock
	@touch $@

cluster: $(CLUSTER_STAMP)  ## workers, Redis, Postgres, S3 for real (seven minutes; apt-get install redis-server postgresql)
	$(BIN)/python -m pytest tests/cluster -n 0 -s

observability: $(STAMP)  ## Prometheus itself against the exporter: rules, panels, alerts (two minutes; apt-get install prometheus)
	$(BIN)/python -m pytest tests/observability -n 0 -rs

lint: $(STAMP)  ## style, types, the direction of imports, and no secret in any file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	git ls-files -z | xargs -0 $(BIN)/detect-secrets-hook --no-verify --baseline .secrets.baseline

format: $(STAMP)  ## write the code the way ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP)  ## pin all dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --no-strip-extras --output-file requirements.lock
	uv pip compile pyproject.toml --extra dev --extra cluster --extra cluster-test --universal --python-version 3.11 \
		--generate-hashes --constraint requirements.lock \
		--no-emit-index-url --no-annotate --no-header --no-strip-extras --output-file requirements-cluster.lock

docs: $(STAMP)  ## write the pages that come from the code
	$(BIN)/python docs/write_pages.py

conformance: $(STAMP)  ## hold analytics and readers against real recordings, with Lichess's own numbers, where they are
	$(BIN)/python -m tests.conformance
	$(BIN)/python -m pytest -m whole tests/test_board_games.py
	$(BIN)/python -m pytest -m "" -k "not every_fourth" -n 0 -s tests/test_recorded_dumps.py tests/test_recorded_games.py tests/test_contracts.py

sample: $(STAMP)  ## play the embedded sample anew (needs Stockfish; takes long)
	$(BIN)/python -B data/sample/generate.py

$(PEERS): pyproject.toml | $(STAMP)
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['bench'])" \
		| xargs $(BIN)/pip install -qq --disable-pip-version-check --no-deps --upgrade --target $(PEERS)
	@touch $@

bench: $(PEERS)  ## measure everything, beside what one would take instead: medians, as tables and as JSON (about half an hour)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	$(BIN)/python benchmarks/page.py

bench-quick: $(PEERS)  ## the same with few games, to see that it works (a few minutes)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py --quick || exit 1; done

clean:  ## remove the environment and all caches, those of the benchmarks too; no data
	rm -rf data/bench $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
