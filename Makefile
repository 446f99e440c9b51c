# `make demo`, `make test` and `make lab` need Python 3.10-3.13 and this file; they set everything up in .venv first.
# Nothing is installed again until pyproject.toml changes. Another Python: make demo PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?=
EXTRAS := dev
OUT ?= out
# Tests of one file share what they have prepared, so they stay in one process.
PYTEST_OPTIONS ?= -n auto --maxprocesses 4 --dist loadfile
# Other backends of Keras, each in an environment of its own (.venv-jax, .venv-torch), and the tests that they have to pass.
# PyTorch without CUDA, a tenth of the size: make backends PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
BACKENDS ?= jax torch
BACKEND_TESTS := $(wildcard $(addprefix tests/test_,networks.py scoring.py training.py compact.py devices.py backends.py))

.DEFAULT_GOAL := help
.PHONY: help install demo test backends lint results notebooks lab clean distclean FORCE

help:
	@echo 'make demo       find particles in simulated micrographs and write a report'
	@echo 'make test       run the tests'
	@echo 'make backends   run the tests of the networks with Keras on JAX and on PyTorch'
	@echo 'make lab        open JupyterLab on notebooks/'
	@echo 'make notebooks  generate the .ipynb files from their .py sources'
	@echo 'make results    write benchmarks/RESULTS.md from benchmarks/results/*.json'
	@echo 'make lint       check the style of the code'
	@echo 'make clean      remove results and caches (make distclean: the environment, too)'

install: $(INSTALLED)

# A Python that has been removed or upgraded under the environment leaves a dead link in it: that counts as not installed.
$(INSTALLED): pyproject.toml $(if $(shell $(BIN)/python -c 'print("alive")' 2>/dev/null),,FORCE)
	@rm -f $@
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  chosen=''; \
	  for candidate in $(if $(PYTHON),'$(PYTHON)',python3.13 python3.12 python3.11 python3.10 python3 python); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' \
	        >/dev/null 2>&1; then chosen=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$chosen" ]; then \
	    echo 'cryokit needs Python 3.10, 3.11, 3.12 or 3.13 with its venv module; none was found' \
	      '$(if $(PYTHON),at PYTHON=$(PYTHON),on the PATH).' >&2; \
	    echo '  Debian, Ubuntu: sudo apt install python3-venv      macOS: brew install python@3.12' >&2; \
	    echo '  or name one:    make $(or $(firstword $(MAKECMDGOALS)),demo) PYTHON=/path/to/python3.12' >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$("$$chosen" --version) (about 2 GB; once, a few minutes)"; \
	  rm -rf $(VENV) && "$$chosen" -m venv $(VENV); \
	fi
	@# The stamp is written only after pip has succeeded; the pipe only thins out what pip says.
	@{ $(BIN)/python -m pip install --disable-pip-version-check -e '.[$(EXTRAS)]' && touch $@; } \
	  | grep --line-buffered -v -e '^Requirement already' -e '^Collecting' -e '^Processing' -e '^  Using cached' -e '^  Preparing' \
	      -e '^  Getting' -e '^  Installing build' -e 'metadata' -e '^Looking in' -e '^ *$$'; test -f $@

demo: $(INSTALLED)
	@$(BIN)/python -m cryokit demo --out $(OUT)/demo

test: $(INSTALLED)
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS)
	@$(MAKE) --no-print-directory lint

backends: $(addprefix backend-,$(BACKENDS))

backend-%:
	@$(MAKE) --no-print-directory VENV=$(VENV)-$* EXTRAS=dev,$* install
	@echo 'Keras on $*:'
	@KERAS_BACKEND=$* $(VENV)-$*/bin/python -m pytest $(PYTEST_OPTIONS) $(BACKEND_TESTS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

results: $(INSTALLED)
	@$(BIN)/python -c 'from cryokit.benchmark.markdown import write_results; \
	  print("written:", write_results("benchmarks/results", "benchmarks/RESULTS.md"))'

notebooks: $(INSTALLED)
	@$(BIN)/python -m cryokit notebooks sync

# The root is the repository, not notebooks/: jupytext finds in pyproject.toml that the .ipynb and .py files belong together.
lab: $(INSTALLED)
	@$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

clean:
	rm -rf $(OUT) build dist .pytest_cache .ruff_cache .hypothesis
	find . -path './$(VENV)*' -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VENV)-jax $(VENV)-torch

FORCE:
