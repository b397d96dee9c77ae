# Tapereader. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The first that runs: a version manager's shim can be there and still refuse.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do $$p -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null && { command -v $$p; break; }; done)
# A uv of its own: one on the PATH may be too old for the lock file, or a shim that refuses.
UV := .uv/bin/uv
RUN := $(UV) run --no-sync
export UV_PYTHON_DOWNLOADS := never

.PHONY: calendar help setup run test verify check chart-tools chart format bench bench-engine bench-start bench-start-market bench-rebalance differential clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(UV):
	@echo "Setting up uv in .uv"
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 is needed and none was found; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; rm -rf .uv; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' || { rm -rf .uv; exit 1; }

.venv/.ready: $(UV) pyproject.toml uv.lock
	@echo "Installing the locked dependencies into .venv"
	@$(UV) sync --frozen --inexact --quiet --compile-bytecode --python $(PYTHON)
	@touch $@

setup: .venv/.ready ## install everything that is locked, Kafka's jars, the page
	@.venv/bin/python -m app.local.fetch
	@command -v npm >/dev/null || $(UV) sync --frozen --inexact --quiet --group page
	@.venv/bin/python -m app.gateway.page.build

run: setup ## start the platform and print the address of the page
	@.venv/bin/tapereader up

# As many processes as processors, and not so many that each one's Kafka would not fit into the memory. A file's tests
# stay together, in the order of the collection: those that take longest come first.
PYTEST := $(RUN) pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

test: setup ## before each commit, in minutes: every part on a real Kafka, Redis and browser; a skip without leave fails
	@$(PYTEST) -m "not verify and not long"

verify: test chart-tools ## everything: after `test` what takes longer, or Go tools: half an hour
	@$(PYTEST) -m "verify or long"

check: setup ## format, lint, types, layers
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports

chart-tools: setup ## build what checks the Helm chart into .tools: some minutes, the first time only
	@command -v go >/dev/null || $(UV) sync --frozen --inexact --quiet --group chart
	@.venv/bin/python -m tests.chart_tools

chart: chart-tools ## write what is generated of the Helm chart: its topics and its README
	@.venv/bin/tapereader topics list --json > helm/files/topics.json
	@.venv/bin/python -m tests.chart_tools readme

calendar: setup ## write the exchange's days from exchange_calendars, after an update of it
	@.venv/bin/python -m tests.exchange_days

format: setup ## put the code into the format that `check` wants
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .

differential: setup ## the long run of the crash test: 50 rounds
	@DIFFERENTIAL_ROUNDS=50 $(RUN) pytest tests/consistency -m 'long or not long'

BENCHMARKS := engine recovery latency memory scaling trade_windows platform cache reference_delay fanout scans chain_latency hand_overs

bench: setup ## every benchmark, half an hour; writes benchmarks/results
	@$(UV) sync --frozen --inexact --quiet --group bench
	@number=0; for name in $(BENCHMARKS); do number=$$((number + 1)); \
		echo "[$$number/$(words $(BENCHMARKS))] benchmarks.$$name"; \
		.venv/bin/python -m benchmarks.$$name || exit 1; done

bench-start-market: setup ## reference data of 12,000 symbols: whole market beside ticker by ticker
	@.venv/bin/python -m benchmarks.start_market

bench-engine: setup ## the engine beside Faust, Quix Streams and aiokafka
	@$(UV) sync --frozen --inexact --quiet --group bench
	@.venv/bin/python -m benchmarks.engine

bench-rebalance: setup ## from a worker's `kill -9` to its partitions' first row, and the pause of the others
	@.venv/bin/python -m benchmarks.rebalance
	@.venv/bin/python -m benchmarks.rebalance --standbys 1

bench-start: setup ## how long `up` takes, step by step: first and second start
	@.venv/bin/python -m benchmarks.start

clean: ## remove what setup and runs made
	rm -rf .venv .uv .tools .tapereader .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf app/gateway/page/node_modules app/gateway/page/built
