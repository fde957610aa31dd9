PYTHON ?= python3
VENV ?= .venv
DATA ?= hf-vision/chest-xray-pneumonia
BACKBONE ?= imagenet
ARGS ?=
BIN := $(VENV)/bin
FLOWER := .venv-flower/bin

.DEFAULT_GOAL := app
.PHONY: help app train demo hospitals flower space test quick lint figures lock licences audit clean

help: ## what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

app: $(VENV)/app.done ## the page on http://127.0.0.1:7860
	$(BIN)/python app.py

train: $(VENV)/app.done ## train.py on DATA=DIR, BACKBONE=imagenet, ARGS="..."
	$(BIN)/python train.py --data $(DATA) --backbone $(BACKBONE) $(ARGS)

demo: $(VENV)/app.done ## a whole run on simulated patients, offline, in one to two minutes
	$(BIN)/python train.py --demo $(ARGS)

hospitals: .venv-flower/done ## a federation between processes, over TLS, in a few minutes; DATA=DIR
	$(FLOWER)/python -m fedmed.flower.loopback $(if $(filter file,$(origin DATA)),,--data $(DATA)) $(ARGS)

flower: .venv-flower/done ## the environment of a federation between machines (docs/hospital.md)

space: $(VENV)/app.done ## a folder to upload as a Space, with nothing else in it
	$(BIN)/python -m fedmed.space

# Two tests at a time, each on one thread: more threads than cores wait for one another. In the
# order of tests/conftest.py, slow files first, or the long ones would come last and on one core.
test quick: export OMP_NUM_THREADS = 1

test: lint ## lint and every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

quick: lint ## lint and the fast tests, before a commit
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

lint: $(VENV)/dev.done ## style, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What comes from the snapshots that ship and from benchmarks, in README.md and docs/measured.md.
figures: $(VENV)/dev.done ## copy figures into README.md and docs/measured.md
	$(BIN)/python -m benchmarks.readme

# Pins stay where requirements.txt and requirements-dev.txt still allow them. To take newer releases:
# make lock ARGS=--upgrade, or ARGS="--upgrade-package NAME".
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" $(ARGS)
# What decides the bits of a result is the same in both environments.
SHARED = torch|numpy|safetensors|scipy|scikit-learn|pillow|pydicom|python-gdcm|pylibjpeg|pylibjpeg-openjpeg
lock: $(VENV)/dev.done ## renew the pinned dependencies
	$(COMPILE) requirements.txt -o requirements.lock
	$(COMPILE) requirements-dev.txt -c requirements.lock -o requirements-dev.lock
	mkdir -p build && grep -oE '^($(SHARED))==[^\]*' requirements.lock > build/shared.txt
	$(COMPILE) requirements-flower.txt -c build/shared.txt -o requirements-flower.lock

licences: $(VENV)/app.done ## renew docs/licences.md
	$(BIN)/python docs/licences.py

# Asks a service on the network for known vulnerabilities of what the locks pin.
audit: $(VENV)/dev.done ## known vulnerabilities of what is pinned
	$(BIN)/uvx pip-audit@2.10.1 --require-hashes --disable-pip -r requirements.lock -r requirements-dev.lock

$(VENV)/app.done: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	touch $@

$(VENV)/dev.done: $(VENV)/app.done requirements-dev.lock
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	touch $@

# What is there already is kept: PyTorch for processors alone may be installed before.
.venv-flower/done: requirements-flower.lock
	$(PYTHON) -m venv .venv-flower
	$(FLOWER)/python -m pip install -q --require-hashes -r requirements-flower.lock
	$(FLOWER)/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'fedmed.pth').write_text('$(CURDIR)\n')"
	touch $@

clean: ## remove the environment and caches
	rm -rf $(VENV) .venv-flower build .pytest_cache .mypy_cache .ruff_cache
