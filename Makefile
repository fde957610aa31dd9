# make app | test | train DATA=... [BACKBONE=bundled] [ARGS="..."] | lint | figures | lock | licences | audit
# make clean
PYTHON ?= python3
VENV ?= .venv
DATA ?= hf-vision/chest-xray-pneumonia
BACKBONE ?= imagenet
ARGS ?=
BIN := $(VENV)/bin

.PHONY: app train demo test lint figures lock licences audit clean

app: $(VENV)/app.done
	$(BIN)/python app.py

train: $(VENV)/app.done
	$(BIN)/python train.py --data $(DATA) --backbone $(BACKBONE) $(ARGS)

demo: $(VENV)/app.done
	$(BIN)/python train.py --demo $(ARGS)

test: lint
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# README's and the examples' parts that come from the bundled snapshot.
figures: $(VENV)/dev.done
	$(BIN)/python -m benchmarks.readme

# Pins stay where requirements.txt and requirements-dev.txt still allow them. To take newer releases:
# make lock ARGS=--upgrade, or ARGS="--upgrade-package NAME".
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock" $(ARGS)
lock: $(VENV)/dev.done
	$(COMPILE) requirements.txt -o requirements.lock
	$(COMPILE) requirements-dev.txt -c requirements.lock -o requirements-dev.lock

licences: $(VENV)/app.done
	$(BIN)/python docs/licences.py

# Asks a service on the network for known vulnerabilities of what the locks pin.
audit: $(VENV)/dev.done
	$(BIN)/uvx pip-audit@2.10.1 --require-hashes --disable-pip -r requirements.lock -r requirements-dev.lock

$(VENV)/app.done: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	touch $@

$(VENV)/dev.done: $(VENV)/app.done requirements-dev.lock
	$(BIN)/python -m pip install -q --require-hashes -r requirements-dev.lock
	touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
