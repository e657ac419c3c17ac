#!/usr/bin/env bash
# Build a local stand-in for the official python:3.11-slim-bookworm (no container registry needed).
# Debian's python3.11 + a venv *at /usr/local*, so that sys.prefix, `python`, `pip` and site-packages
# are where the official image has them and PEP 668's EXTERNALLY-MANAGED does not apply.
# usage: python.sh TAG      needs: root, docker, apt (installs mmdebstrap)
set -euo pipefail
tag=$1
stamp=local.stand-in
command -v mmdebstrap >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends mmdebstrap; }
sources=${APT_SOURCES:-/etc/apt/sources.list.d/debian.sources}   # the host's own Debian mirror
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# Runs in the rootfs ($1) once packages are in.
cat >"$work/customize" <<'EOS'
#!/bin/sh
set -eu
root=$1
# trust what this host trusts (e.g. an intercepting proxy's CA); nothing on a host without extras
mkdir -p "$root/usr/local/share/ca-certificates"
cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
chroot "$root" update-ca-certificates >/dev/null
# pip < 24.2 reads certifi, not the system store
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
chroot "$root" python3.11 -m venv --system-site-packages /usr/local
cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'EOC'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Acquire::Languages "none"; Acquire::GzipIndexes "true"; APT::AutoRemove::SuggestsImportant "false";
EOC
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/doc/* "$root"/var/log/*
EOS
chmod +x "$work/customize"

# /etc/resolv.conf is copied in by mmdebstrap while it runs; docker mounts its own later
t0=$SECONDS
mmdebstrap --mode=root --variant=minbase --quiet \
  --include=ca-certificates,netbase,tzdata,python3.11,python3.11-venv \
  --dpkgopt='force-unsafe-io' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="$work/customize"' "$1"' bookworm "$work/rootfs.tar" "$sources"

echo "rootfs: $((SECONDS-t0)) s, $(du -h "$work/rootfs.tar" | cut -f1)"
docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV LANG=C.UTF-8' --change 'ENV PYTHON_VERSION=3.11' --change "LABEL $stamp=true" \
  --change 'CMD ["python3"]' "$work/rootfs.tar" "$tag"
