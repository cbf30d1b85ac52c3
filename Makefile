# Every target does all of its own set-up: Python 3.11+ and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# jsii wants a Node that is still supported; this one comes from PyPI.
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export JSII_NODE := $(CURDIR)/$(BIN)/node
# The CDK's modules take seconds to compile: keep what was compiled, whatever the
# machine's settings are.
export PYTHONDONTWRITEBYTECODE :=

DATA ?=
QUERIES ?=
CDK := node_modules/.bin/cdk

.PHONY: setup demo bench test test-all test-lowest lint format synth lock moto-names docs dashboard \
	docs-look docs-tables clean

setup: $(READY) $(CDK)

$(BIN)/uv: requirements/bootstrap.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r $<
	@touch $@

$(READY): requirements/dev.txt pyproject.toml $(BIN)/uv
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

$(CDK): package-lock.json $(READY)
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py $(if $(DATA),--data "$(DATA)") $(if $(QUERIES),--queries "$(QUERIES)")

# Nothing else should run meanwhile; it takes some 10 minutes.
bench: setup
	@$(BIN)/python benchmarks/bench.py

test: setup
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

test-all: setup
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --timeout 1200 --cov --cov-fail-under=95

# The oldest CDK that pyproject.toml promises, in an environment of its own.
test-lowest: setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	@$(BIN)/uv pip install --quiet --python $(VENV)-lowest --resolution lowest-direct . \
		"cdk-nag>=3.0.2" "cfn-lint>=1.50" "pytest>=9" "pytest-timeout>=2.4" "syrupy>=5"
	@$(VENV)-lowest/bin/python -m pytest tests/unit --confcutdir tests/unit

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

synth: setup
	@$(CDK) synth --quiet

# Locks carry hashes but no addresses, so that any index or mirror serves them.
lock: setup
	@printf 'uv\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header \
		--no-annotate --no-emit-index-url - -o requirements/bootstrap.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --extra cli --extra local --group dev \
		pyproject.toml -o requirements/dev.txt
	@$(BIN)/npm install --package-lock-only --omit-lockfile-registry-resolved --silent

# What local AWS replaces in moto: after a change of the bridges or of moto's version.
moto-names: setup
	@$(BIN)/python -m cdk_personalize_segments.local.moto_names

# Into site/; a warning fails it. It needs no network, and neither do readers.
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@$(BIN)/python docs/check_links.py site
	@echo "Serve it: python3 -m http.server --directory site"

# The site in Chromium, which must be installed, at two widths, in light and dark.
docs-look: docs
	@$(BIN)/node docs/look.mjs site .docs-look

# The picture of the dashboard in the docs: plays a week in local AWS.
dashboard: setup
	@$(BIN)/python docs/render_dashboard.py

# What README and docs have from code: the table of what local AWS honours, the pictures.
docs-tables: setup
	@$(BIN)/python docs/generate_local_aws.py
	@$(BIN)/python docs/generate_diagrams.py

clean:
	@rm -rf $(VENV) $(VENV)-lowest node_modules cdk.out dist site .docs-look
