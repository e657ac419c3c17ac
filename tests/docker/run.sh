#!/usr/bin/env bash
# `make test-docker`: an engine where there is none, the images (on stand-ins where no registry is reachable), the tests, and all away again.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=var/test-docker; mkdir -p "$state"
export AIRFLOW_PORT=${AIRFLOW_PORT:-18080} MLFLOW_PORT=${MLFLOW_PORT:-15000} COMPOSE_PROJECT_NAME=ghostwriter-test
export GHOSTWRITER_COMMIT; GHOSTWRITER_COMMIT=$(git rev-parse HEAD)
export TRAINING_MEMORY=4g SECRETS=$PWD/$state/secrets
wheels=${WHEELS_PORT:-18099}
step() { echo "[$((SECONDS / 60)):$(printf %02d $((SECONDS % 60)))] $*"; }

engine() {
    docker info > /dev/null 2>&1 && return
    command -v dockerd > /dev/null || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io > "$state/apt.log"; }
    setsid nohup dockerd > "$state/dockerd.log" 2>&1 &
    echo $! > "$state/dockerd.pid"
    for _ in $(seq 60); do docker info > /dev/null 2>&1 && return; sleep 0.5; done
    echo "The Docker engine did not start. The end of $state/dockerd.log:" >&2; tail -n 15 "$state/dockerd.log" >&2; exit 1
}

# image VARIABLE OFFICIAL STAND-IN COMMAND...: name the official image, or the stand-in that the command builds
image() {
    local variable=$1 official=$2 stand_in=$3; shift 3
    if docker image inspect "$stand_in" > /dev/null 2>&1; then official=$stand_in
    elif ! docker image inspect "$official" > /dev/null 2>&1 && ! timeout 60 docker pull --quiet "$official" > /dev/null 2>&1; then
        "$@" > "$state/${stand_in//[:\/]/-}.log" 2>&1 || { tail -n 20 "$state/${stand_in//[:\/]/-}.log" >&2; exit 1; }
        official=$stand_in
    fi
    export "$variable=$official"
}
debian() { docker build --tag "stand-in/$1" --build-arg PYTHON_IMAGE --file "tests/docker/stand_in/$1.Dockerfile" tests/docker/stand_in; }

cleanup() {
    docker compose --profile '*' down --volumes --remove-orphans > "$state/down.log" 2>&1 || true
    [ ! -f "$state/wheels.pid" ] || { kill "$(cat "$state/wheels.pid")" 2> /dev/null || true; rm -f "$state/wheels.pid"; }
    [ ! -f "$state/dockerd.pid" ] || { kill "$(cat "$state/dockerd.pid")" 2> /dev/null || true; rm -f "$state/dockerd.pid"; }
    rm -rf "$state/secrets"
}
trap cleanup EXIT

step "The engine"; engine
tests/docker/stand_in/compose.sh > "$state/compose.log" 2>&1 || { tail "$state/compose.log" >&2; exit 1; }
step "Base images"
image PYTHON_IMAGE python:3.11-slim-bookworm stand-in/python:3.11 tests/docker/stand_in/python.sh stand-in/python:3.11
image POSTGRES_IMAGE postgres:16-bookworm stand-in/postgres debian postgres
image REDIS_IMAGE redis:7-bookworm stand-in/redis debian redis
if compgen -G "${PIP_FIND_LINKS:-/nowhere}/torch-*+cpu*.whl" > /dev/null; then   # a CPU build of torch lies on this machine
    eval "$(tests/docker/stand_in/wheels.sh "$PIP_FIND_LINKS" "$wheels" "$state/wheels.pid" | sed 's/^/export /')"
fi
step "Images"
docker compose --profile images build > "$state/build.log" 2>&1 || { tail -n 30 "$state/build.log" >&2; exit 1; }
rm -rf "$SECRETS"; python3 docker/make_secrets.py "$SECRETS" > /dev/null
step "Tests"
.venv/bin/python -m pytest tests/docker --timeout 900 "$@"
step "Done"
