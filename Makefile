PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist worksteal
BENCHMARKS ?= $(filter-out %/harness.py %/datasets.py %/suite.py %/imitations.py %/selection_methods.py \
	%/figures.py benchmarks/pages%,$(wildcard benchmarks/*.py))

VENV := .venv
BIN := $(VENV)/bin
PAGES := $(wildcard README.md) $(filter-out docs/generated/% docs/auto_examples/% docs/_build/%, \
	$(wildcard docs/*.md docs/*.rst docs/*/*.md docs/*/*.rst))

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types doctest docs bench clean

demo: $(VENV)/.plot
	$(BIN)/python examples/demo.py

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest $(PYTEST_ARGS)
	@test -e docs/_build/html/index.html || echo "tests/test_site.py was skipped: make docs builds the site that it looks at"

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.test
	$(BIN)/mypy

doctest: $(VENV)/.test
	$(BIN)/pytest --doctest-modules --doctest-glob='*.md' --doctest-glob='*.rst' gemclust $(PAGES)

# Without a network, warnings are errors; then each page is looked at, in a browser if there is one
# (else a line of the output says that it was not).
docs: $(VENV)/.docs
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	GEMCLUST_SITE_NEEDED=1 $(BIN)/pytest -rs tests/test_site.py

bench: $(VENV)/.bench
	for script in $(BENCHMARKS); do $(BIN)/python $$script || exit 1; done
	$(BIN)/python benchmarks/quality.py --summary
	for page in benchmarks/pages*.py; do $(BIN)/python $$page || exit 1; done

clean:
	rm -rf docs/_build docs/auto_examples docs/generated
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

# One stamp per extra. The constraints pin torch and all else to a set that was tested together.
$(VENV)/.%: pyproject.toml constraints.txt
	@echo "Installing gemclust[$*] into $(VENV), a minute or two the first time"
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@
