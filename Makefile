# `make demo` and `make test` each do everything on a fresh machine: they make .venv, install what is pinned in
# constraints.txt, and run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# OpenMP's threads sleep while they wait: on a shared machine active waiting makes small tensors many times slower.
export OMP_WAIT_POLICY ?= PASSIVE

# Two workers of one thread each: most tests are too small for a second thread.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: install demo docs test test-all test-gpu benchmarks wheels lint clean

demo: $(INSTALLED)
	$(BIN)/clif demo

install: $(INSTALLED)

test: lint
	$(PYTEST)

test-all: lint
	$(PYTEST) -m "not gpu"

# On a machine with a GPU: the kernels there, and how near they come to the memory's speed.
test-gpu: $(INSTALLED)
	$(BIN)/python -m pytest -m gpu

# docs/benchmarks.md, with the other packages' neurons beside ours; they need nothing that is not here.
benchmarks: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps snntorch norse nir nirtorch
	$(BIN)/python benchmarks/page.py --rounds 12

# dist/: the sdist and a wheel for each platform, by zig's compiler alone. The first time zig builds its C++ library for
# each, which takes minutes.
wheels: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt auditwheel build lief setuptools ziglang
	$(BIN)/python tools/wheels.py

# The documentation as a site, build/docs/index.html; warnings are errors, and nothing is fetched.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -E -n -W --keep-going -b html docs build/docs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# SpikingJelly is an oracle of the tests; its own requirements (torchvision among them) are not needed for that.
# --no-compile: Python compiles the modules that it imports, a small part of those installed.
$(INSTALLED): pyproject.toml setup.py constraints.txt $(wildcard src/clif/csrc/* src/clif/csrc/generated/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable ".[dev,triton,distributed]"
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-deps spikingjelly loguru
	touch $@

clean:
	rm -rf $(VENV) build dist clif-demo
