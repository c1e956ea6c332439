# The development commands. `make help` lists them; each sets up what it needs in .venv, and works from any directory.
#   PYTHON=…       the Python (3.11 or newer) for .venv
#   PYTEST_ARGS=…  additional arguments for pytest
#   BENCH_ARGS=…   additional arguments for the benchmarks, such as --size full

.DEFAULT_GOAL := help

TARGETS := help demo test lint lint-ruff lint-format lint-mypy lint-imports lint-opa lint-rego docs format render coverage decider-coverage rego-test docker-test opa wheel clean conformance-long exhaustive \
    mutants bench bench-chosen-names constraints test-lowest test-pythons
.PHONY: $(TARGETS)

# MAKEFILE_LIST begins with a space, which `strip` removes. It has one name, as nothing is included: so folders may have spaces.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd -P)

ifneq ($(shell pwd -P),$(ROOT))

# make -f /elsewhere/Makefile: all file names below are relative to the root of the tree.
$(TARGETS):
	@$(MAKE) --no-print-directory -C "$(ROOT)" $@

else

VENV := .venv
PY := $(VENV)/bin/python
REGO := rego/jwt_policy
DECIDERS := bridge/reference.py,bridge/policy.py,bridge/resource.py,bridge/decision.py,bridge/strict_json/*,bridge/engines/codec.py,bridge/engines/decision_codec.py,bridge/engines/wasm_trimming.py,bridge/engines/wasm_batch.py
INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints-dev.txt
UV := $(VENV)/bin/uv
DECIDER_TESTS := tests/unit/decision tests/unit/strict_json tests/unit/engines tests/unit/rules tests/unit/client
OPA_SOURCE := $(PY) tools/opa_source.py
# A file's tests stay in one process: they share an OPA, or a set-up of their own. The files go in the order of their
# folders, so that the long ones begin first; xdist's own order, files with many tests first, leaves a long file to the
# end, and one process waits for the other. `-n 0` in PYTEST_ARGS: one process.
TEST_PROCESSES := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
PYTHONS := $(or $(PYTHON),python3 python python3.14 python3.13 python3.12 python3.11)

# The scripts of a .venv have the path of their folder. A .venv that was moved, or lost its Python, is created again.
STALE := $(shell for stamp in $(VENV)/.installed*; do \
    test -e "$$stamp" || continue; test -x $(PY) && grep -qxF "$(ROOT)" "$$stamp" || rm -f $(PY) $(VENV)/.installed*; done)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed ## sign five tokens, decide on sample devices and sessions, print the table (no OPA needed)
	@$(PY) -m bridge demo

test: $(VENV)/.installed-dev ## run all tests, one file on each core (uses the OPA of OPA_URL, PATH, Docker or Go)
	@$(PY) -m pytest $(TEST_PROCESSES) $(PYTEST_ARGS)

lint: lint-ruff lint-format lint-mypy lint-imports lint-opa ## ruff, mypy, import-linter, opa fmt, opa check

lint-ruff: $(VENV)/.installed-dev
	$(PY) -m ruff check .

lint-format: $(VENV)/.installed-dev
	$(PY) -m ruff format --check .

lint-mypy: $(VENV)/.installed-dev
	$(PY) -m mypy

lint-imports: $(VENV)/.installed-dev
	$(VENV)/bin/lint-imports

lint-opa: $(VENV)/.installed-dev
	opa="$$($(OPA_SOURCE))" && "$$opa" fmt --fail --list $(REGO) && "$$opa" check --strict $(REGO)

lint-rego: ## run the pinned regal with the exceptions of .regal/config.yaml (built with Go if the cache has none)
	@regal="$$(bash .ci/regal)" && "$$regal" lint $(REGO)

format: $(VENV)/.installed-dev ## format the Python and the Rego
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	opa="$$($(OPA_SOURCE))" && "$$opa" fmt --write $(REGO)

# Only the pinned OPA: the Wasm of another version has different bytes.
render: $(VENV)/.installed-dev ## render the committed Rego again and build its Wasm
	opa="$$($(OPA_SOURCE) --pinned)" && JWT_BRIDGE_OPA="$$opa" $(PY) -m bridge render --default --write rego

# The tests that show within a few minutes whether a set of versions works: unit tests, HTTP, and every vector.
QUICK_TESTS := tests/unit tests/http tests/conformance/test_vectors.py tests/conformance/test_token_vectors.py tests/conformance/test_batches.py
LOWEST := .venv-lowest

test-lowest: $(LOWEST)/.installed ## run the unit tests and the vectors with the lowest versions that pyproject.toml allows, in .venv-lowest
	@opa="$$($(OPA_SOURCE))" && JWT_BRIDGE_OPA="$$opa" $(LOWEST)/bin/python -m pytest $(TEST_PROCESSES) $(QUICK_TESTS) \
	    --ignore=tests/unit/tooling --ignore=tests/unit/rules/test_builtin_errors.py $(PYTEST_ARGS)

test-pythons: $(VENV)/.installed-dev ## run the unit tests and the vectors on each installed Python from 3.11 to 3.14 (VERSIONS="3.12 3.13")
	@opa="$$($(OPA_SOURCE))" && UV=$(UV) JWT_BRIDGE_OPA="$$opa" bash tools/test_pythons $(VERSIONS) -- $(TEST_PROCESSES) $(QUICK_TESTS) $(PYTEST_ARGS)

coverage: $(VENV)/.installed-dev ## run all tests and report the lines that no test reaches
	@$(PY) -m coverage run -m pytest $(PYTEST_ARGS)
	@$(PY) -m coverage report

decider-coverage: $(VENV)/.installed-dev ## run the unit tests of what decides; they must cover every branch of it
	@$(PY) -m coverage run -m pytest --quiet $(DECIDER_TESTS) $(PYTEST_ARGS)
	@$(PY) -m coverage report --include='$(DECIDERS)' --fail-under=100

rego-test: $(VENV)/.installed-dev ## run the Rego tests; every line must be covered
	@opa="$$($(OPA_SOURCE))" && "$$opa" test $(REGO) && "$$opa" test --coverage --threshold 100 --fail-on-empty $(REGO) >/dev/null

docker-test: $(VENV)/.installed-dev ## run the tests of docker-compose.yml; fails without Docker
	@$(PY) -m pytest --docker=require -m docker $(PYTEST_ARGS)

docs: $(VENV)/.installed-docs ## build the pages of docs/ and the API reference into build/docs; a warning is an error
	@$(PY) -m sphinx --quiet --fail-on-warning --keep-going -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

opa: $(VENV)/bin/python ## print the path of the opa to use; get one if there is none
	@$(OPA_SOURCE)

wheel: $(VENV)/.installed-dev ## build the wheel into dist/
	@$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

# One file for all Pythons and systems: a version that differs between them has a condition in its line.
constraints: $(VENV)/.installed-dev ## resolve constraints-dev.txt again: the newest versions that pyproject.toml allows, for Python 3.11 and later
	$(UV) pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev --group docs --group bench \
	    --no-annotate --custom-compile-command "make constraints" --output-file constraints-dev.txt

clean: ## remove what the other targets created, including .venv
	rm -rf $(VENV) $(VENV)-* dist build .coverage htmlcov .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

conformance-long: $(VENV)/.installed-dev ## compare all deciders on COUNT random queries (default: 1000000)
	@opa="$$($(OPA_SOURCE))" && JWT_BRIDGE_OPA="$$opa" PYTHONPATH=tests $(PY) -m conformance.long \
	    --count $(or $(COUNT),1000000) $(CONFORMANCE_ARGS)

exhaustive: $(VENV)/.installed-dev ## compare all deciders on every policy and resource of a small scope
	@opa="$$($(OPA_SOURCE))" && JWT_BRIDGE_OPA="$$opa" PYTHONPATH=tests $(PY) -m conformance.exhaustive $(CONFORMANCE_ARGS)

mutants: $(VENV)/.installed-dev ## change the rules and the deciding Python, one place at a time: a test must fail each time
	@opa="$$($(OPA_SOURCE))" && PYTHONPATH=tests:tools $(PY) -m mutation --opa "$$opa" $(MUTANTS_ARGS)

bench: $(VENV)/.installed-bench ## measure this project and its peers (BENCH_ARGS=--help lists the options)
	@opa="$$($(OPA_SOURCE))" && JWT_BRIDGE_OPA="$$opa" $(PY) -m benchmarks.bench $(BENCH_ARGS)

bench-chosen-names: $(VENV)/.installed-dev ## measure queries designed to be costly in Wasm; fails above 50 times the cost of a plain one
	@PYTHONPATH=tests $(PY) benchmarks/chosen_names.py $(BENCH_ARGS)

# The first Python that is new enough and can make a venv: `python3` may be neither.
$(VENV)/bin/python:
	@for python in $(PYTHONS); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        exec "$$python" -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed (Debian: apt install python3-venv)," >&2; \
	echo "there is none among: $(PYTHONS);" >&2; \
	echo "name one: make PYTHON=/path/to/python3" >&2; \
	exit 1

$(VENV)/.installed: pyproject.toml constraints-dev.txt | $(VENV)/bin/python
	@echo "installing into $(VENV)"
	@$(PY) $(INSTALL) --editable '.[cli]'
	@echo "$(ROOT)" >$@

# Dependency groups need pip 25.1; the installed Python may have an older one.
$(VENV)/.installed-dev: pyproject.toml constraints-dev.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), with the tools for development"
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(PY) $(INSTALL) --editable '.[async,cli]' --group dev
	@echo "$(ROOT)" | tee $@ >$(VENV)/.installed

# uv resolves the lowest version of each direct dependency; their own dependencies have the usual pins.
$(LOWEST)/.installed: pyproject.toml constraints-dev.txt $(VENV)/.installed-dev
	@echo "installing into $(LOWEST) the lowest versions that pyproject.toml allows"
	@$(UV) venv --quiet --clear --python $(PY) $(LOWEST)
	@$(UV) pip compile pyproject.toml --quiet --all-extras --resolution lowest-direct --python-version 3.11 --no-header --no-annotate \
	    --output-file $(LOWEST)/lowest.txt
	@sed 's/^\([^=]*==\).*/^\1/' $(LOWEST)/lowest.txt | grep -v -f - constraints-dev.txt >$(LOWEST)/others.txt
	@$(UV) pip install --quiet --python $(LOWEST) --constraint $(LOWEST)/others.txt -r $(LOWEST)/lowest.txt --editable . --group test
	@echo "$(ROOT)" >$@

# Sphinx is installed separately: the tests do not need it.
$(VENV)/.installed-docs: pyproject.toml constraints-dev.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), with Sphinx"
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(PY) $(INSTALL) --editable '.[async]' --group docs
	@echo "$(ROOT)" | tee $@ >$(VENV)/.installed

# The peers are installed separately: only the benchmarks need them.
$(VENV)/.installed-bench: pyproject.toml constraints-dev.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), with what the benchmarks compare with"
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(PY) $(INSTALL) --editable '.[cli]' --group bench
	@echo "$(ROOT)" | tee $@ >$(VENV)/.installed

endif
