# Everything sets itself up: .venv is made from the pinned, hashed requirements of the target that needs it.
PYTHON ?= python3
BIN := .venv/bin
UV ?= uv
RUN := .venv/.run-$(shell cat requirements.txt pyproject.toml | cksum | cut -d' ' -f1)
DEV := .venv/.dev-$(shell cat requirements-dev.txt pyproject.toml | cksum | cut -d' ' -f1)

PEERS := .peers/.ready-$(shell cat tests/peers/package-lock.json tests/peers/requirements.txt | cksum | cut -d' ' -f1)
CLIENTS := .peers/.clients-$(shell cat tests/peers/clients-requirements.txt tests/peers/agentserver-requirements.txt | cksum | cut -d' ' -f1)
CLIENT_TESTS := $(addprefix tests/peers/test_,clients.py hosted_agent.py openai_client.py)
READERS := .readers/.ready-$(shell cat tests/readers/*requirements.txt | cksum | cut -d' ' -f1)
TOOLS := .tools/.ready-$(shell cat tests/tools/package-lock.json tests/tools/requirements.txt | cksum | cut -d' ' -f1)
RECORDERS := .recorders/.ready-$(shell cat tests/recorders/package-lock.json tests/recorders/*requirements.txt | cksum | cut -d' ' -f1)

.PHONY: demo test check prices licences architecture decisions audit \
	notebooks test-peers test-clients test-browser test-duckdb15 test-lake test-recorders test-tools test-publishers test-dates faults load-test \
	mutants pictures bench wheels lock clean

demo: $(RUN)  ## sync the sample and show what came out: no key, no network
	$(BIN)/python -m pipeline sync --sample

test: $(DEV)  ## every test; ROOM=flatten: those of one room, in this process
	$(BIN)/python -m pytest $(if $(ROOM),-n 0 tests/$(ROOM),-n 3 --dist worksteal)

check: $(DEV)  ## lint, format and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=python3.11") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv .venv

$(RUN): $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(DEV): $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@
	touch $(RUN)

notebooks: $(DEV)  ## execute the notebooks over a fresh sample and store their outputs
	$(BIN)/python notebooks/execute.py

test-peers: $(DEV) $(PEERS)  ## real Portkey, LiteLLM and Prism before the emulator, raw parts and a lake in Azurite; needs node and npm
	$(BIN)/python -m pytest -o addopts=-q tests/peers $(addprefix --ignore=,$(CLIENT_TESTS))

test-clients: $(DEV) $(PEERS) $(CLIENTS)  ## what real clients dump, and a hosted agent's server, come to the rows of a sync
	$(BIN)/python -m pytest -o addopts=-q $(CLIENT_TESTS)

$(PEERS):
	@command -v node >/dev/null && command -v npm >/dev/null || \
		{ echo "make test-peers needs node and npm (Node 20 or newer) for the Portkey gateway, Prism and Azurite: install them first" >&2; exit 1; }
	mkdir -p .peers
	cp tests/peers/package.json tests/peers/package-lock.json .peers/
	cd .peers && npm ci --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
	$(PYTHON) -m venv --clear .peers/litellm
	.peers/litellm/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/peers/requirements.txt
	touch $@

$(CLIENTS): $(PEERS)
	$(PYTHON) -m venv --clear .peers/clients
	.peers/clients/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/peers/clients-requirements.txt
	$(PYTHON) -m venv --clear .peers/agentserver
	.peers/agentserver/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/peers/agentserver-requirements.txt
	touch $@

test-lake: $(DEV) $(READERS)  ## nine readers of Delta tables find in a lake what the warehouse has; they take about 2 GB
	$(BIN)/python -m pytest -o addopts=-q tests/readers

$(READERS):
	for name in new deltalake-0.25; do $(PYTHON) -m venv --clear .readers/$$name; done
	.readers/new/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/readers/requirements.txt
	.readers/deltalake-0.25/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/readers/deltalake-0.25-requirements.txt
	touch $@

test-duckdb15: $(DEV)  ## what touches DuckDB, on duckdb 1.5, and every view of a file that 2.0 wrote
	test -d .duckdb15/duckdb || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--require-hashes --target .duckdb15 -r tests/duckdb15-requirements.txt
	rm -rf .duckdb15/sample && $(BIN)/python -m pipeline sync --sample --quiet --data-dir .duckdb15/sample
	PYTHONPATH=.duckdb15 $(BIN)/python -m tests.read_every_view .duckdb15/sample/warehouse.duckdb
	PYTHONPATH=$(CURDIR)/.duckdb15 $(BIN)/python -m pytest -n 2 tests/warehouse/test_ledger.py tests/lake/test_reading.py \
		tests/verbs/test_sync.py::test_the_warehouse_has_exactly_what_the_server_has_before_and_after_it_went_on \
		tests/lake/test_publishing.py::test_the_warehouse_the_lake_and_a_rebuild_from_raw_are_the_same_whole \
		tests/project/test_notebooks.py::test_over_a_lake_it_shows_what_it_shows_over_the_warehouse

test-tools: $(DEV) $(TOOLS)  ## tools that people open the warehouse with, see docs/tools.md; needs node and npm
	$(BIN)/python -m pytest -o addopts=-q tests/tools

$(TOOLS):
	mkdir -p .tools
	cp tests/tools/package.json tests/tools/package-lock.json .tools/
	cd .tools && npm ci --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
	$(PYTHON) -m venv --clear .tools/python
	.tools/python/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/tools/requirements.txt
	.tools/python/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--upgrade --target .tools/duckdb15 -r tests/duckdb15-requirements.txt
	touch $@

test-recorders: $(DEV) $(RECORDERS)  ## what Playwright, mitmproxy, Polly.js, VCR.py, betamax and responses keep, imported; needs node, npm and Debian's chromium
	$(BIN)/python -m pytest -o addopts=-q tests/recorders

$(RECORDERS):
	mkdir -p .recorders
	cp tests/recorders/package.json tests/recorders/package-lock.json .recorders/
	cd .recorders && npm ci --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
	for name in python mitmproxy; do $(PYTHON) -m venv --clear .recorders/$$name; done
	.recorders/python/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/recorders/requirements.txt
	.recorders/mitmproxy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r tests/recorders/mitmproxy-requirements.txt
	touch $@

test-publishers: $(DEV)  ## two publishers of one lake, killed a hundred times
	LAKE_KILLS=100 $(BIN)/python -m pytest tests/lake/test_publishing.py -k killed_at_random

test-dates: $(DEV)  ## every test a day, a month and a year from now: the clock moved in all processes; needs a C compiler
	$(BIN)/python -m tests.dates

faults: $(DEV)  ## every fault at every stage, 500 odd servers, and kill -9 at 200 random points; writes docs/reliability.md
	$(BIN)/python -m tests.faults cells --out docs/reliability.md
	$(BIN)/python -m tests.faults servers --seeds 500
	$(BIN)/python -m tests.faults kills --seeds 200 --jobs 2 --out docs/reliability.md

load-test: $(DEV)  ## 5,000 threads, 250,000 steps: memory, throughput, what is fetched again; writes its part of docs/reliability.md
	$(BIN)/python -m tests.faults load --out docs/reliability.md

mutants: $(DEV)  ## plant faults in copies of the product, each must be caught; writes docs/mutants.md
	$(BIN)/python -m tests.mutants --out docs/mutants.md

bench: $(DEV)  ## beside openai-python, dlt and curl on one nginx; see bench/README.md
	$(BIN)/python -m bench.run --size small --rounds 2

test-browser: $(DEV)  ## the report in a real browser; needs node, npm and Debian's chromium
	tests/browser/run

pictures: $(DEV)  ## draw what README.md shows: the report (needs Debian's chromium) and the sample in a terminal
	$(BIN)/python -m scripts.draw_pictures

prices:  ## compare data/prices.csv with three lists of others, in a venv of its own; fails on a difference nobody judged
	$(PYTHON) -m venv .venv-prices
	.venv-prices/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r scripts/prices-requirements.txt
	.venv-prices/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r scripts/litellm-requirements.txt
	.venv-prices/bin/python scripts/check_prices.py

licences: $(DEV)  ## write docs/licences.md from what is installed
	$(BIN)/python -m scripts.list_licences

architecture: $(DEV)  ## draw the picture and the list of rooms in docs/architecture.md
	$(BIN)/python -m scripts.draw_architecture

decisions: $(DEV)  ## write the index docs/decisions/README.md
	$(BIN)/python -m scripts.list_decisions

audit:  ## known vulnerabilities of all pinned packages, in a venv of its own; fails where it cannot ask for one
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r scripts/audit-requirements.txt
	.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		-r requirements.txt -r requirements-dev.txt

wheels:  ## that pins have wheels where nothing is run: Windows, macOS and, but for duckdb and pycurl, musl; needs uv
	for place in x86_64-pc-windows-msvc aarch64-apple-darwin x86_64-apple-darwin; do \
		$(UV) pip compile requirements.txt --no-deps --python-version 3.11 --python-platform $$place \
			--only-binary :all: --quiet > /dev/null || exit 1; done
	$(UV) pip compile requirements.txt --no-deps --python-version 3.11 --python-platform x86_64-unknown-linux-musl \
		--only-binary :all: --no-binary duckdb --no-binary pycurl --quiet > /dev/null

lock:  ## pin requirements anew
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -o requirements.txt
	$(UV) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links -c requirements.txt -o requirements-dev.txt
	scripts/lock_tool "genai-prices azure-genai-prices" scripts/prices-requirements.txt $(UV)
	scripts/lock_tool litellm scripts/litellm-requirements.txt $(UV) --no-deps
	scripts/lock_tool pip-audit scripts/audit-requirements.txt $(UV)

clean:
	rm -rf .venv .venv-prices .venv-audit build dist .pytest_cache .mypy_cache .ruff_cache
