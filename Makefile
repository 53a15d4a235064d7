# `make demo` and `make test` each do everything on a fresh machine: they make .venv, install what is pinned in
# constraints.txt, and run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# OpenMP's threads sleep while they wait: on a shared machine active waiting makes small tensors many times slower.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: install demo test lint clean

demo: $(INSTALLED)
	$(BIN)/clif demo

install: $(INSTALLED)

test: lint
	$(BIN)/python -m pytest -m "not gpu"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# SpikingJelly is an oracle of the tests; its own requirements (torchvision among them) are not needed for that.
$(INSTALLED): pyproject.toml setup.py constraints.txt $(wildcard src/clif/csrc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,triton,distributed]"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps spikingjelly loguru
	touch $@

clean:
	rm -rf $(VENV) build clif-demo
