# `make demo` and `make test` work on a fresh machine: they set up what they need and run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo console test check kernels floors figures durations fault-table windows-build setup-station setup-dev clean

help:
	@echo "make demo           set up the station (no torch) and inspect three simulated parts"
	@echo "make console        set up the station and open the operator's window on a simulated rig"
	@echo "make test           set up everything and run all checks and tests"
	@echo "After make test has set up once:"
	@echo "make check          ruff and mypy only"
	@echo "make kernels        compile the kernels that most tests need, once"
	@echo "make floors         who may import whom, contract by contract"
	@echo "make figures        rooms, arrows, sizes of files and functions, share of docstrings"
	@echo "make durations      all tests, with the 60 slowest"
	@echo "make fault-table    write docs/faults.md anew from the tests of every fault"
	@echo "make windows-build  compile the simulated camera for Windows (needs zig)"
	@echo "make clean          remove .venv and results"

demo: setup-station
	$(BIN)/station demo --out out/demo

console: setup-station
	$(BIN)/station console

# Four workers on two cores: tests of serial faults and of whole inspections mostly wait.
test: setup-dev
	@$(MAKE) --no-print-directory -j2 check kernels
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n 4 --dist loadfile

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks docs

kernels:
	@$(BIN)/python scripts/compile_kernels.py

floors:
	$(BIN)/lint-imports --no-cache

figures:
	$(BIN)/python scripts/figures.py

durations:
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n 4 --dist loadfile --durations=60

fault-table:
	FACET_FAULT_TABLES=docs $(BIN)/python -m pytest tests/faults

windows-build:
	sh scripts/check_windows_build.sh

setup-station:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh station

setup-dev:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh dev

clean:
	rm -rf .venv out build *.egg-info
