#!/usr/bin/env bash
# Build images as behind a firewall: a mirror on the bridge is all that a build can reach. Says what each took from it, and that nothing
# of the mirror stayed in the image. Usage: tests/docker/mirrored_build.sh [IMAGE...]   (guard mlflow airflow serving; the last with WHEELS)
#   WHEELS   a folder with a CPU build of torch, served beside the mirror
# Needs: root, a Docker engine, and the stand-in base that `make test-docker` leaves (or PYTHON_IMAGE).
set -euo pipefail
cd "$(dirname "$0")/../.."
export DOCKER_BUILDKIT=1
base=${PYTHON_IMAGE:-stand-in/python:3.11} port=${MIRROR_PORT:-18098}
address=$(ip -4 -o addr show docker0 | awk '{sub(/\/.*/, "", $4); print $4}')
mirror=http://$address:$port work=$(mktemp -d)
closed=(DOCKER-USER --in-interface docker0 --jump REJECT)

cleanup() {
    iptables --delete "${closed[@]}" 2> /dev/null || true
    for pid in "$work"/*.pid; do [ ! -f "$pid" ] || kill "$(cat "$pid")" 2> /dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

python3 tests/docker/mirror.py "$address" "$port" > "$work/access.log" 2> "$work/errors.log" &
echo $! > "$work/mirror.pid"
more=()
if [ -n "${WHEELS:-}" ]; then
    eval "$(tests/docker/stand_in/wheels.sh "$WHEELS" $((port + 1)) "$work/wheels.pid")"
    more=(--build-arg "PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL")
fi
iptables --insert "${closed[@]}"
if docker run --rm "$base" apt-get -o APT::Update::Error-Mode=any -qq update > /dev/null 2>&1; then
    echo "A container still reaches Debian without the mirror: this would prove nothing." >&2; exit 1
fi
[ $# -gt 0 ] || set -- guard mlflow airflow
for name in "$@"; do
    file=$name target=() before=$(wc -l < "$work/access.log") t0=$SECONDS
    [ -f "docker/$file.Dockerfile" ] || { file=training target=(--target "$name"); }
    docker build --no-cache --progress plain --tag "mirrored/$name" --file "docker/$file.Dockerfile" "${target[@]}" \
        --build-arg PYTHON_IMAGE="$base" --build-arg APT_MIRROR="$mirror" \
        --build-arg PIP_INDEX_URL="$mirror/simple" --build-arg PIP_TRUSTED_HOST="$address" "${more[@]}" . > "$work/build.log" 2>&1 \
        || { tail -n 30 "$work/build.log" "$work/errors.log" >&2; exit 1; }
    tail -n +$((before + 1)) "$work/access.log" > "$work/taken.log"
    count() { grep "^20[06] /$1" "$work/taken.log" | sort --unique | wc -l || true; }   # a large wheel is asked for in parts
    echo "$name: $((SECONDS - t0)) s; from the mirror: $(count 'debian.*\.deb$') Debian packages, $(count simple/) pages of the index," \
        "$(count 'files/.*\.\(whl\|tar\.gz\)$') packages"
    grep --invert-match "^20[06]" "$work/taken.log" | sed -E 's#^([0-9]+) .*(\.[a-z]+)$#   not there: \1 *\2#' | sort | uniq --count || true
    if docker run --rm --entrypoint sh "mirrored/$name" -c "grep -rsl '$address' /etc /usr/local/etc /root /home /opt/venv/pyvenv.cfg" \
        || docker history --no-trunc "mirrored/$name" | grep -q "$address"; then
        echo "$name: the mirror's address stayed in the image." >&2; exit 1
    fi
    docker image rm --no-prune "mirrored/$name" > /dev/null
done
