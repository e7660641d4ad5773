# make lab     set up once, then open JupyterLab on the course
# make work    the same on a copy of the course, in work/: what you change there leaves this clone as it is
# make test    set up once, then run every test
# make fast    the tests that a change needs, about two minutes: chosen by what imports what (tools/fast.py)
# make unit, make notebooks, make browser    parts of `make test`
# make fresh   do the notebooks still show what their cells say?
# make slow    what takes too long for every change: the tests marked slow, and odd inputs by the thousand
# make fuzz    odd configurations, tokenizers, checkpoints, prompts and messages, 2,000 of each
# make coverage    which lines of t2i_learn/ the unit tests run; COV_ARGS="--cov-report html" writes htmlcov/
# make export  notebooks -> t2i_learn/, cleaned and formatted
# make docs    the site, in _docs/
# make weights train the models that ship (hours; goes on where it stopped)
# make robustness  the trainings of `Robustness, measured` (about two hours on one core; goes on where it stopped)
# make speedrun    the speed board: lists the recipes; SPEEDRUN_ARGS="film --seed 1" trains one (20 minutes of one core)
#
# PYTHON=python3.12     another Python, 3.11 or newer
# PIP_ARGS="..."        more arguments for pip, such as the index with PyTorch's builds for CPUs
# WORKERS=4             tests side by side
# UV=1                  install with uv, which has to be there
# ROBUSTNESS_ARGS="..." options of tools/robustness.py
# SPEEDRUN_ARGS="..."   recipes and options for tools/speedrun.py
# LAB_ARGS="..."        options for JupyterLab, such as --no-browser (and --allow-root for root)

PYTHON ?= python3
PIP_ARGS ?=
WORKERS ?= 2
UV ?=
LAB_ARGS ?=
ROBUSTNESS_ARGS ?=
SPEEDRUN_ARGS ?=
COV_ARGS ?=
STUDENT_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL := -c constraints.txt -e ".[dev]" $(PIP_ARGS)

.PHONY: lab work test fast student unit notebooks browser fresh slow fuzz coverage export docs weights robustness speedrun clean

export OMP_WAIT_POLICY ?= PASSIVE
PYTEST = OMP_NUM_THREADS=1 T2I_DEVICE=cpu $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lab: $(STAMP)
	@echo "To leave this clone as it is, work in a copy of the course: make work"
	$(BIN)/t2i-learn lab $(LAB_ARGS)

work: $(STAMP)
	$(BIN)/t2i-learn lab --work $(LAB_ARGS)

# One thread a worker: two workers of one thread beat one of two. Groups keep one browser and one server for all
# the tests that need them (tests/conftest.py).
test: $(STAMP)
	$(PYTEST)

fast: $(STAMP)
	$(PYTEST) $$($(BIN)/python tools/fast.py)

unit: $(STAMP)
	$(PYTEST) --ignore tests/browser --ignore tests/repository/test_notebooks.py

notebooks: $(STAMP)
	$(PYTEST) tests/repository/test_notebooks.py

browser: $(STAMP)
	$(PYTEST) tests/browser

fresh: $(STAMP)
	OMP_NUM_THREADS=1 T2I_DEVICE=cpu $(BIN)/python tools/nbs.py check --jobs 2

slow: $(STAMP)
	$(PYTEST) -m slow
	T2I_EXAMPLES=2000 $(PYTEST) tests/core/test_fuzz.py

fuzz: $(STAMP)
	T2I_EXAMPLES=2000 $(PYTEST) tests/core/test_fuzz.py

coverage: $(STAMP)
	$(PYTEST) --cov --cov-report term-missing $(COV_ARGS) --ignore tests/browser --ignore tests/repository

export: $(STAMP)
	$(BIN)/ruff format --quiet .
	$(BIN)/nbdev_export
	$(BIN)/python tools/nbs.py clean
	$(BIN)/python tools/readme.py

# The course without its solutions, in student/; STUDENT_ARGS=--progress says which exercises are done.
student: $(STAMP)
	$(BIN)/python tools/student.py $(STUDENT_ARGS)

docs: $(STAMP)
	$(BIN)/python tools/docs.py

weights: $(STAMP)
	$(BIN)/python tools/weights.py

# Two processes share the work: ROBUSTNESS_ARGS="--share 1/2" in one terminal, "--share 2/2" in another.
robustness: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tools/robustness.py $(ROBUSTNESS_ARGS)

# Training within a budget of processor time, so that other programs may run beside it.
speedrun: $(STAMP)
	OMP_NUM_THREADS=1 T2I_DEVICE=cpu $(BIN)/python tools/speedrun.py $(SPEEDRUN_ARGS)

clean:
	rm -rf htmlcov .coverage _docs _colab jupyter_execute build *.egg-info .pytest_cache .ruff_cache .hypothesis

# Made once; again only when what is to be installed changes.
$(STAMP): pyproject.toml constraints.txt
ifeq ($(UV),)
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install $(INSTALL)
else
	test -x $(BIN)/python || uv venv --seed --python $(PYTHON) $(VENV)
	uv pip install --python $(BIN)/python $(INSTALL)
endif
	touch $@
