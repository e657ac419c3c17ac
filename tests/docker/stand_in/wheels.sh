#!/usr/bin/env bash
# Serve a folder of wheels to `docker build` on the bridge's address, until killed. Usage: wheels.sh DIR PORT PIDFILE
# Prints two lines for `export`: where pip finds them, and that it may trust that host.
set -euo pipefail
dir=$1 port=$2 pidfile=$3
addr=$(ip -4 -o addr show docker0 | awk '{sub(/\/.*/, "", $4); print $4}')
root=$(mktemp -d)
for wheel in "$dir"/*.whl; do   # one folder a package, as a simple index has it
    name=$(basename "$wheel" | cut -d- -f1 | tr '[:upper:]_.' '[:lower:]--')
    mkdir -p "$root/$name"; ln -s "$wheel" "$root/$name/"
done
setsid nohup python3 -m http.server --bind "$addr" --directory "$root" "$port" > /dev/null 2>&1 &
echo $! > "$pidfile"
for _ in $(seq 50); do curl --silent --fail --output /dev/null "http://$addr:$port/" && break; sleep 0.1; done
echo "PIP_EXTRA_INDEX_URL=http://$addr:$port/"
echo "PIP_TRUSTED_HOST=$addr"
