# `make demo`, `make check` and `make test` each work alone on a machine with Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST = $(BIN)/pytest --numprocesses auto --dist worksteal

.PHONY: demo check test extras browser sanitize lint docs docs-check release-check clean

demo: $(VENV)/.installed
	rm -rf checkpoints/demo
	$(BIN)/charrnn train --for 1m --name demo
	$(BIN)/charrnn eval --model demo
	$(BIN)/charrnn sample --model demo --temp 0.7 --length 600

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Between two edits: style, types, and the tests that take no time.
check: lint
	$(PYTEST) -m "not slow"

test: lint
	$(PYTEST)

PAGES = tests/extras/test_pages.py tests/extras/test_playground.py tests/extras/test_playground_numbers.py

# Against packages that nobody needs: lm-evaluation-harness, scikit-learn, pyarrow, openai, onnxruntime, llm. They are large, and not pinned.
extras: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[harness,clients,examples,parquet,onnx,llm,tensorboard]" onnx
	$(BIN)/pytest tests/extras $(PAGES:%=--ignore %)

# Pages in Chromium, which must be on the machine, through Playwright.
browser: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	$(BIN)/pytest $(PAGES)

# The compiled step under AddressSanitizer and UBSan (Linux, GCC): nothing is read or written outside.
SANITIZED = $(VENV)/network-sanitized.so
sanitize: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check setuptools
	CFLAGS="-g -fsanitize=address,undefined -fno-sanitize-recover=all" LDFLAGS="-fsanitize=address,undefined" \
		$(BIN)/python hatch_build.py $(SANITIZED)
	CHARRNN_LIBRARY=$(SANITIZED) ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so) $$($${CC:-gcc} -print-file-name=libstdc++.so)" \
		$(BIN)/pytest tests/test_native.py tests/test_mixing.py tests/test_compiled_windows.py

# Pages, playground and manual from the code, and the site of all pages in dist/site; a link that leads nowhere is an error (not
# beside --quiet, which counts no warnings).
docs: $(VENV)/.installed-docs
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_api.py
	$(BIN)/python docs/make_man.py
	$(BIN)/charrnn page --train --quiet -o docs/playground.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# All that the pages show is run, and the notebooks: some ten minutes.
docs-check: $(VENV)/.installed-docs
	$(BIN)/python docs/check.py

# What would be published: built, looked at, and used in an environment of its own.
release-check: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	$(BIN)/python .ci/release.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(INSTALL) --editable ".[test]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed-test
	$(INSTALL) --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) dist
