#!/usr/bin/env bash
# `make test-docker`: an engine where there is none, the images (on stand-ins where no registry is reachable), the tests of the stack and of
# launcher kubernetes' pods, and all away again.
set -euo pipefail
cd "$(dirname "$0")/../.."
state=var/test-docker; mkdir -p "$state"
export AIRFLOW_PORT=${AIRFLOW_PORT:-18080} MLFLOW_PORT=${MLFLOW_PORT:-15000} COMPOSE_PROJECT_NAME=ghostwriter-test
export GHOSTWRITER_COMMIT; GHOSTWRITER_COMMIT=$(git rev-parse HEAD)
export DOCKER_BUILDKIT=1   # Debian's client asks for the older builder otherwise
export TRAINING_MEMORY=4g SECRETS=$PWD/$state/secrets
wheels=${WHEELS_PORT:-18099}
patient=-oDPkg::Lock::Timeout=300   # two installations may run at a time
step() { echo "[$((SECONDS / 60)):$(printf %02d $((SECONDS % 60)))] $*"; }
# logged FILE COMMAND...: its output goes into the file, and is shown when it fails
logged() { local log=$state/$1; shift; "$@" > "$log" 2>&1 || { echo "This failed: $*. The end of $log:"; tail -n 40 "$log"; return 1; } >&2; }
need_root() { [ "$(id -u)" = 0 ] || { echo "$1 Do that as root, or run make test-docker as root; it does it itself then." >&2; exit 1; }; }

engine() {
    docker info > /dev/null 2>&1 && return
    need_root "No Docker engine answers: install docker.io and start dockerd."
    if ! command -v dockerd > /dev/null; then
        command -v apt-get > /dev/null || { echo "There is no Docker engine and no apt-get: install Docker and start it." >&2; exit 1; }
        logged apt.log apt-get update
        DEBIAN_FRONTEND=noninteractive logged apt.log apt-get "$patient" install --yes --no-install-recommends docker.io iptables ca-certificates
        docker info > /dev/null 2>&1 && return   # where services are started as they are installed
    fi
    setsid nohup dockerd > "$state/dockerd.log" 2>&1 &
    echo $! > "$state/dockerd.pid"
    for _ in $(seq 120); do docker info > /dev/null 2>&1 && return; sleep 0.5; done
    echo "The Docker engine did not start. The end of $state/dockerd.log:" >&2; tail -n 15 "$state/dockerd.log" >&2; exit 1
}

# image VARIABLE OFFICIAL STAND-IN COMMAND...: name the official image, or the stand-in that the command builds
image() {
    local variable=$1 official=$2 stand_in=$3; shift 3
    if docker image inspect "$stand_in" > /dev/null 2>&1; then official=$stand_in
    elif ! docker image inspect "$official" > /dev/null 2>&1 && ! timeout 60 docker pull --quiet "$official" > /dev/null 2>&1; then
        logged "${stand_in//[:\/]/-}.log" "$@"; official=$stand_in
    fi
    export "$variable=$official"
}
stand_in() { docker build --tag "stand-in/$1" --build-arg PYTHON_IMAGE --build-arg PIP_INDEX_URL --file "tests/docker/stand_in/$1.Dockerfile" tests/docker/stand_in; }

# What a failure leaves nothing of: how each service was, and what it said last.
show() {
    docker compose --profile '*' ps --all || true
    for service in $(docker compose --profile '*' ps --all --services); do
        echo "--- $service:"; docker compose --profile '*' logs --no-color --no-log-prefix --tail 25 "$service" 2>&1 | cut -c1-300 || true
    done
}

cleanup() {
    local status=$?
    [ $status = 0 ] || show
    docker ps --all --quiet --filter label=ghostwriter.guard=$COMPOSE_PROJECT_NAME | xargs --no-run-if-empty docker rm --force > /dev/null 2>&1 || true
    docker compose --profile '*' down --timeout 3 --volumes --remove-orphans > "$state/down.log" 2>&1 || true
    for pid in wheels dockerd; do
        [ ! -f "$state/$pid.pid" ] || { kill "$(cat "$state/$pid.pid")" 2> /dev/null || true; rm -f "$state/$pid.pid"; }
    done
    rm -rf "$state/secrets"
}
trap cleanup EXIT

step "The engine"
docker compose version > /dev/null 2>&1 && docker buildx version > /dev/null 2>&1 || {
    need_root "There is no Docker with Compose and buildx: install them."; logged compose.log tests/docker/stand_in/compose.sh & compose=$!
}
engine
[ -z "${compose:-}" ] || wait "$compose"
command -v podman > /dev/null || need_root "podman is missing: install podman, catatonit and runc."
rm -rf "$SECRETS"; python3 docker/make_secrets.py "$SECRETS" > /dev/null   # before the images: a search finds whether they got in
echo HF_TOKEN=hf_seeded-6b20 > "$SECRETS/training.env"
export TRAINING_SECRETS=$SECRETS/training.env
step "Base image"
image PYTHON_IMAGE python:3.11-slim-bookworm stand-in/python:3.11 tests/docker/stand_in/python.sh stand-in/python:3.11
step "Images"
if compgen -G "${PIP_FIND_LINKS:-/nowhere}/torch-*+cpu*.whl" > /dev/null; then   # a CPU build of torch lies on this machine
    eval "$(tests/docker/stand_in/wheels.sh "$PIP_FIND_LINKS" "$wheels" "$state/wheels.pid" | sed 's/^/export /')"
fi
logged build.log docker compose --progress plain --profile images build & building=$!
command -v podman > /dev/null || {   # meanwhile
    logged podman.log apt-get update
    DEBIAN_FRONTEND=noninteractive logged podman.log apt-get "$patient" install --yes --no-install-recommends podman catatonit runc
}
image POSTGRES_IMAGE postgres:16-bookworm stand-in/postgres stand_in postgres
image REDIS_IMAGE redis:7-bookworm stand-in/redis stand_in redis
image STORE_IMAGE chrislusf/seaweedfs:4.48 stand-in/store stand_in store
wait $building
docker images --format '{{.Repository}} {{.Size}}' | grep '^ghostwriter-'
step "Tests of the stack"
.venv/bin/python -m pytest tests/docker --timeout 900 --durations=0 --durations-min=5 "$@"
logged down.log docker compose --profile '*' down --timeout 3 --volumes --remove-orphans
step "Tests of pods"
.venv/bin/python -m pytest tests/kubernetes --timeout 300 --durations=0 --durations-min=5
step "Done"
