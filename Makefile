# make app | test | train DATA=... [BACKBONE=bundled] [ARGS="..."] | lint | figures | clean
PYTHON ?= python3
VENV ?= .venv
DATA ?= hf-vision/chest-xray-pneumonia
BACKBONE ?= imagenet
ARGS ?=
BIN := $(VENV)/bin

.PHONY: app train demo test lint figures clean

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

$(VENV)/app.done: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $@

$(VENV)/dev.done: $(VENV)/app.done requirements-dev.txt
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache
