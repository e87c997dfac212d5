# The one entry point. `make help` prints what there is; every target does the set-up that it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

# Where rustup puts cargo, which a shell that is older than that does not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

BIN := .venv/bin
PYTEST := scripts/as-root $(BIN)/python -m pytest -p no:cacheprovider
READY := scripts/set-up system venv=build,test extension && scripts/as-root scripts/mount-test-controllers
CHAOS := scripts/as-root env PYTHONPATH=tests $(BIN)/python -m chaos
MINUTES ?= 5
SECONDS ?= 60
RUNTIME ?= crun
BENCH_JSON := .benchmarks/latest.json

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Start, show and stop a pod of real containers (sets everything up first)
	@scripts/set-up system venv=build extension
	@scripts/as-root $(BIN)/podcore demo

.PHONY: test
test: ## Run all tests on real runtimes, and the answers of the benchmarks (sets everything up first)
	@scripts/set-up system venv=build,test extension
	@scripts/as-root scripts/mount-test-controllers
	cargo test --quiet --no-default-features
	$(PYTEST) tests
	$(PYTEST) benches --benchmark-disable

.PHONY: full
full: ## Run the tests of pods at their full size: 1000 execs in one container, 200 containers on runc too
	@$(READY)
	HYPOTHESIS_PROFILE=thorough $(PYTEST) tests/pods --timeout=600

.PHONY: bench
bench: ## Measure everything beside its peers; print a table of ratios, keep the JSON in .benchmarks/
	@scripts/set-up system venv=build,test,bench extension
	@scripts/as-root scripts/mount-test-controllers
	@mkdir -p .benchmarks
	$(PYTEST) benches --benchmark-only --benchmark-json=$(BENCH_JSON) --timeout=1800 -q
	@$(BIN)/python benches/ratios.py $(BENCH_JSON)

.PHONY: bench-compare
bench-compare: ## Measure the working tree against another revision, alternated: make bench-compare BASE=main
	@: $${BASE:?say which revision to compare with: make bench-compare BASE=main}
	@scripts/set-up system venv=build,test,bench extension
	@scripts/as-root scripts/mount-test-controllers
	@$(BIN)/python benches/compare.py "$$BASE" $(SELECT)

.PHONY: sweep
sweep: ## Kill and fail every verb at each of its system calls: make sweep [RUNTIME=crun]
	@$(READY)
	$(CHAOS).sweep --runtime $(RUNTIME)

.PHONY: chaos
chaos: ## Kill random processes under random verbs: make chaos [MINUTES=5] [RUNTIME=crun]
	@$(READY)
	$(CHAOS).chaos --seconds $$(( $(MINUTES) * 60 )) --runtime $(RUNTIME)

.PHONY: soak
soak: ## Run pods through their lives and watch for leaks: make soak [MINUTES=5] [RUNTIME=crun]
	@$(READY)
	$(CHAOS).soak --seconds $$(( $(MINUTES) * 60 )) --runtime $(RUNTIME)

.PHONY: stress
stress: ## Start 800 containers by 64 processes at a time, and by one process; then 10,000 simulated ones
	@$(READY)
	$(CHAOS).stress --runtime $(RUNTIME)
	scripts/as-root env SCALE=10000 $(BIN)/python -m pytest -p no:cacheprovider -q --timeout=900 \
		tests/testing/test_fake.py::test_a_thousand_containers_in_one_pod

.PHONY: load
load: ## Measure the loads of docs/reliability.md that need no kills: make load [SECONDS=60] [SELECT="L5 L7"]
	@$(READY)
	scripts/as-root env PYTHONPATH=tests:benches $(BIN)/python benches/load.py --seconds $(SECONDS) $(SELECT)

.PHONY: fuzz
fuzz: ## Feed everything that parses others' output with garbage: make fuzz [SECONDS=60]
	@$(READY)
	FUZZ_SECONDS=$(SECONDS) HYPOTHESIS_PROFILE=thorough $(PYTEST) tests/fuzz -q --timeout=0

.PHONY: mutants
mutants: ## Take away each defence against a fault; its test must fail: make mutants [ONLY="F16 F20"]
	@$(READY)
	@cd tests && ../scripts/as-root ../$(BIN)/python -m mutants $(ONLY)

.PHONY: lint
lint: ## Check formatting, lints, types and the stub of the extension; change nothing
	@scripts/set-up venv=build,test,lint extension
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --all-targets --no-default-features -- -D warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest podcore._core

.PHONY: format
format: ## Format both languages and apply safe fixes
	@scripts/set-up venv=lint
	cargo fmt
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: build
build: ## Make the virtual environment and build the extension into it
	@scripts/set-up venv=build,test,lint extension

.PHONY: wheel
wheel: ## Build the abi3 wheel into dist/
	@scripts/set-up venv=build
	$(BIN)/maturin build --release --out dist

.PHONY: clean
clean: ## Remove everything that the other targets made
	rm -rf .venv .setup .benchmarks .hypothesis .pytest_cache .mypy_cache .ruff_cache dist target
	rm -f python/podcore/*.so
	find python tests benches -name __pycache__ -type d -prune -exec rm -rf {} +
