# `make demo` and `make test` work on a fresh machine: they set up what they need and run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo console test check setup-station setup-dev clean help

help:
	@echo "make demo     set up the station (no torch) and inspect three simulated parts"
	@echo "make console  set up the station and open the operator's window on a simulated rig"
	@echo "make test     set up everything and run all checks and tests"
	@echo "make check    ruff and mypy only (after make test has set up once)"
	@echo "make clean    remove .venv and results"

demo: setup-station
	$(BIN)/station demo --out out/demo

console: setup-station
	$(BIN)/station console

test: setup-dev check
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -n 2 --dist loadfile

check:
	$(BIN)/ruff check .
	$(BIN)/mypy

setup-station:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh station

setup-dev:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh dev

clean:
	rm -rf .venv out build *.egg-info
