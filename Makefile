# `make demo` and `make test` set everything up by themselves, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-oldest test-newest test-slow test-cluster chaos bench check docs format schema \
  install lock clean

demo: install
	@$(BIN)/norm-sweep run grids/quickstart.yaml --report report/quickstart

# As many at a time as there are cores, up to four.
IN_PARALLEL := -n auto --maxprocesses 4 --dist worksteal

# Coverage of the packages' lines, in percent, below which `make test` fails. What runs in processes
# that tests start (Ray's workers among them) is not counted. From Python 3.12 on it is measured by
# sys.monitoring; Python 3.11's tracer costs the tests half as much again, so there it is measured
# when asked for: make test COVERAGE=yes
LEAST_COVERAGE := 78
COVERAGE ?= $(shell $(BIN)/python -c 'import sys; print("yes" * (sys.version_info >= (3, 12)))')
MEASURE := --cov --cov-report= --cov-fail-under=$(LEAST_COVERAGE)

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(IN_PARALLEL) $(if $(COVERAGE),$(MEASURE))

# The same tests with other versions than the lock's, in an environment of their own: the oldest
# that pyproject.toml promises, and the newest that there are on this day. To run a part of them:
# make test-oldest TESTS=tests/normmods
TESTS ?= tests
EXTRAS := --extra dev --extra postgresql

test-oldest: ENVIRONMENT := .venv-oldest
test-oldest: RESOLUTION := lowest-direct
test-newest: ENVIRONMENT := .venv-newest
test-newest: RESOLUTION := highest
test-oldest test-newest:
	@test -x $(ENVIRONMENT)/bin/python || $(PYTHON) -m venv $(ENVIRONMENT)
	@$(ENVIRONMENT)/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	@$(ENVIRONMENT)/bin/uv pip compile --quiet --upgrade --resolution $(RESOLUTION) $(EXTRAS) \
	  --python $(ENVIRONMENT)/bin/python --no-header pyproject.toml \
	  --output-file $(ENVIRONMENT)/requirements.txt
	@$(ENVIRONMENT)/bin/uv pip sync --quiet --python $(ENVIRONMENT)/bin/python \
	  $(ENVIRONMENT)/requirements.txt
	@$(ENVIRONMENT)/bin/uv pip install --quiet --python $(ENVIRONMENT)/bin/python --no-deps \
	  --no-build-isolation --editable .
	OMP_NUM_THREADS=1 $(ENVIRONMENT)/bin/python -m pytest $(IN_PARALLEL) $(TESTS)

test-slow: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

# Three hosts on this machine, made of namespaces: needs root, and Debian's openssh-server, iproute2,
# rsync and postgresql; says what is missing.
test-cluster: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/cluster

# A random schedule of kills, outages and restarts over the quickstart, held against an
# undisturbed run; MINUTES=30 SEED=7 say for how long and which schedule.
MINUTES ?= 30
chaos: install
	PYTHONPATH=tests/servers:tests/e2e $(BIN)/python -m chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# What the documentation says of speed, and its tables; an hour and a half without other work.
bench: install
	$(BIN)/python -m benchmarks.training --models resnet8 --compile --publish
	$(BIN)/python -m benchmarks.training --models resnet18 --repetitions 5 --publish
	$(BIN)/python -m benchmarks.sweep startup --publish
	$(BIN)/python -m benchmarks.sweep overhead --publish
	$(BIN)/python -m benchmarks.sweep growth --publish
	$(BIN)/python -m benchmarks.sweep forecast --publish
	$(BIN)/python -m benchmarks.sweep tracking --publish
	$(BIN)/python -m benchmarks.seeds cells --models resnet8 --batch-sizes 2 --compile --publish
	$(BIN)/python -m benchmarks.seeds cells --models resnet8 --batch-sizes 16 64 --publish
	$(BIN)/python -m benchmarks.seeds cells --models resnet18 --batch-sizes 2 --publish
	$(BIN)/python -m benchmarks.seeds quickstart --publish
	$(BIN)/python -m benchmarks.analysis --trials 1000
	$(BIN)/python -m benchmarks.page

ISSUE_FORMS := $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(ISSUE_FORMS)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

# The site in site/, from docs/ and the docstrings; a link that leads nowhere is an error.
# (With --quiet no warning is an error.)
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "to read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

# What editors are given and docs/grid.md shows, from the classes that check a grid.
schema: install
	$(BIN)/norm-sweep schema > grids/grid.schema.json
	$(BIN)/norm-sweep schema --markdown > docs/grid.md

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which: make PYTHON=/path/to/python3.12 demo"; exit 2; }
	@echo "installing into $(VENV) (once; several GB, most of it PyTorch)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "uv>=0.5"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED)

lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
	  --all-extras --python-version 3.11 pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest site .mypy_cache .ruff_cache .import_linter_cache .grimp_cache \
	  .pytest_cache .hypothesis
