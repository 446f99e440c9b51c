# `make demo`, `make test` and `make lab` need Python 3.10-3.13 and this file; they set everything up in .venv first.
# Nothing is installed again until pyproject.toml changes. Another Python: make demo PYTHON=/path/to/python3.12

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PYTHON ?=
EXTRAS := dev
OUT ?= out
# The tests of a module share what they have prepared, so they stay in one process, the longest modules first.
PYTEST_OPTIONS ?= -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# COVERAGE=1 measures line coverage over `make test` and `make test-all` together.
COVERAGE ?=
# Percentage of lines that have to be covered for COVERAGE=1 to pass.
COVERED ?= 93
# Which tests `make test-all` adds to those of `make test`.
SLOW ?= slow
# How long `make fuzz` explores.
MINUTES ?= 10
# Where `make lab` puts copies of the lessons; AUTHOR=1 opens the lessons themselves, and saving one writes its source.
WORK ?= work
AUTHOR ?=
LAB_OPTIONS ?=
# SOLUTIONS=0 leaves the solutions of the exercises out of `make site`; QUICK=1 takes the parameters that the tests use.
SOLUTIONS ?= 1
QUICK ?=
# Other Keras backends, each in an environment of its own (.venv-jax, .venv-torch), and the tests that they have to pass.
# PyTorch without CUDA, a tenth of the size: make backends PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
BACKENDS ?= jax torch
BACKEND_TESTS := $(wildcard $(addprefix tests/test_,networks.py scoring.py training.py compact.py devices.py backends.py))
INSTALLED_BACKENDS := $(patsubst $(VENV)-%/.installed,%,$(wildcard $(addprefix $(VENV)-,$(addsuffix /.installed,$(BACKENDS)))))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all smoke fuzz backends lint results notebooks lab site clean distclean FORCE

help:
	@echo 'make demo       find particles in simulated micrographs and write a report'
	@echo 'make test       check style and run the tests that every change has to pass'
	@echo 'make test-all   the same, then the slow tests and those of the Keras backends that are installed'
	@echo 'make smoke      import every module and run the examples in the docstrings'
	@echo 'make fuzz       look for new counterexamples with the property tests and damaged files (MINUTES=10)'
	@echo 'make backends   install Keras on JAX and on PyTorch and run the tests of the networks with them'
	@echo 'make lab        open copies of the lessons in JupyterLab, in work/ (AUTHOR=1: the lessons themselves)'
	@echo 'make site       execute the lessons and write the course as static pages (SOLUTIONS=0, QUICK=1)'
	@echo 'make notebooks  generate the .ipynb files from their .py sources'
	@echo 'make results    write benchmarks/RESULTS.md and RELIABILITY.md from results (MIXED=1: of several commits)'
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
	    echo '  With python3 3.10-3.13 from Debian or Ubuntu: sudo apt install python3-venv' >&2; \
	    echo '  With Python 3.14, which TensorFlow does not support yet, or any other: install 3.13 beside it with uv' >&2; \
	    echo '  (https://docs.astral.sh/uv) and name it:' >&2; \
	    echo '      uv python install 3.13' >&2; \
	    echo '      make $(or $(firstword $(MAKECMDGOALS)),demo) PYTHON="$$(uv python find 3.13)"' >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$("$$chosen" --version) (about 2 GB; once, a few minutes)"; \
	  rm -rf $(VENV) && "$$chosen" -m venv $(VENV); \
	fi
	@# The stamp is written only after pip has succeeded; the pipe only thins out what pip prints.
	@{ $(BIN)/python -m pip install --disable-pip-version-check -e '.[$(EXTRAS)]' && touch $@; } \
	  | grep --line-buffered -v -e '^Requirement already' -e '^Collecting' -e '^Processing' -e '^  Using cached' -e '^  Preparing' \
	      -e '^  Getting' -e '^  Installing build' -e 'metadata' -e '^Looking in' -e '^ *$$'; test -f $@

demo: $(INSTALLED)
	@$(BIN)/python -m cryokit demo --out $(OUT)/demo

test: $(INSTALLED) lint
	@$(BIN)/python -m pytest -m 'not slow' $(PYTEST_OPTIONS) $(if $(COVERAGE),--cov --cov-report= --cov-fail-under=0)

test-all: test $(addprefix backend-,$(INSTALLED_BACKENDS))
	@$(BIN)/python -m pytest -m '$(SLOW)' $(PYTEST_OPTIONS) $(if $(COVERAGE),--cov --cov-append --cov-report=term --cov-fail-under=$(COVERED))

smoke: $(INSTALLED)
	@$(BIN)/python -m pytest $(PYTEST_OPTIONS) cryokit tests/test_packaging.py

fuzz: $(INSTALLED)
	@end=$$(($$(date +%s) + 60 * $(MINUTES))); \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
	  $(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=explore $(PYTEST_OPTIONS) tests || exit 1; \
	  CRYOKIT_MUTATIONS=5000 CRYOKIT_MUTATIONS_SEED=$$(date +%s) CRYOKIT_MUTATIONS_SECONDS=60 \
	    $(BIN)/python -m pytest -q $(PYTEST_OPTIONS) tests/test_mutated_files.py || exit 1; \
	done

backends: $(addprefix backend-,$(BACKENDS))

backend-%:
	@$(MAKE) --no-print-directory VENV=$(VENV)-$* EXTRAS=dev,$* install
	@echo 'Keras on $*:'
	@KERAS_BACKEND=$* $(VENV)-$*/bin/python -m pytest $(PYTEST_OPTIONS) $(BACKEND_TESTS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

results: $(INSTALLED)
	@$(BIN)/python benchmarks/results_markdown.py $(if $(MIXED),--mixed)
	@$(BIN)/python benchmarks/reliability_markdown.py

notebooks: $(INSTALLED)
	@$(BIN)/python -m cryokit notebooks sync

lab: $(INSTALLED)
	@$(BIN)/python -m cryokit notebooks lab $(if $(AUTHOR),--author,--dir '$(WORK)') $(if $(LAB_OPTIONS),-- $(LAB_OPTIONS))

site: $(INSTALLED)
	@$(if $(QUICK),mkdir -p $(OUT) && $(BIN)/python tests/quicker_parameters.py >$(OUT)/quicker.json)
	@$(BIN)/python -m cryokit site --out $(OUT)/site $(if $(QUICK),--parameters $(OUT)/quicker.json) \
	  $(if $(filter 0,$(SOLUTIONS)),--no-solutions)

clean:
	rm -rf $(OUT) build dist .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -path './$(VENV)*' -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VENV)-jax $(VENV)-torch $(VENV)-oldest

FORCE:
