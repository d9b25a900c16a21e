# The words people and CI both use.
.PHONY: help demo test check check-python check-widgets bench fuzz generate soak
PY := .venv/bin/python
# The plugins of pytest that are used. Loaded by themselves they bring others, which cost each of its
# processes two seconds more.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD := 1
export PYTEST_PLUGINS := _hypothesis_pytestplugin,pytest_asyncio.plugin,pytest_timeout,xdist.plugin

help:
	@echo "make demo      start everything on this machine and print one address"
	@echo "make test      run every test but the long ones"
	@echo "make check     format, lint, types, import direction, drift of generated files"
	@echo "make bench     run a short set of benchmarks and write one report"
	@echo "make fuzz      fuzz what reads the network for a minute"
	@echo "make generate  write what is derived from the wire"
	@echo "make soak      run the long tests, and the chaos suite whole"

demo: .venv/demo.installed
	@exec .venv/bin/switchboard demo $(ARGS)

test: .venv/all.installed
	@.ci/require-parts
	@$(PY) -m pytest -m "not soak" -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

soak: .venv/all.installed
	@.ci/require-parts
	@$(PY) -m pytest -m "soak or chaos" --timeout 3600 $(ARGS)

check: check-python check-widgets

check-python: .venv/all.installed
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q -p no:cacheprovider tests/unit/test_architecture.py
	@$(PY) -m gateway.commands.generate --check
	@$(PY) -m actors.relay.network.declarations --check

check-widgets:
	@.ci/javascript/run

fuzz: .venv/all.installed
	@mkdir -p artifacts
	@nice -n 19 $(PY) -m tests.fuzz

bench: .venv/all.installed
	@mkdir -p artifacts
	@$(PY) -m benchmarks short --json artifacts/benchmarks.json --html artifacts/benchmarks.html

generate: .venv/all.installed
	@$(PY) -m gateway.commands.generate
	@$(PY) -m actors.relay.network.declarations

.venv/%.installed: pyproject.toml constraints.txt
	@.ci/install $*
	@touch $@
