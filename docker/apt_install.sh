#!/bin/sh
# Install Debian packages in an image that is being built: from the address in the file `apt_mirror` (the build argument APT_MIRROR) where
# there is one, with debian/ and debian-security/ below it. What the image's own sources say is put back afterwards: nothing of the mirror stays.
set -eu
etc=${APT_ETC:-/etc/apt}
mirror=$(cat "${APT_MIRROR_FILE:-/tmp/apt_mirror}")
if [ -n "$mirror" ]; then
    kept=$(mktemp -d)
    cp -a "$etc/." "$kept/"
    for file in "$etc/sources.list" "$etc"/sources.list.d/*; do
        if [ -f "$file" ]; then
            sed -i -E "s#^((URIs:|deb(-src)?)[[:space:]]+(\[[^]]*\][[:space:]]+)?)https?://[^/[:space:]]+#\1${mirror%/}#" "$file"
        fi
    done
fi
apt-get update
apt-get install -y --no-install-recommends "$@"
rm -rf "${APT_LISTS:-/var/lib/apt/lists}"/*
if [ -n "$mirror" ]; then
    cp -a "$kept/." "$etc/"
    rm -rf "$kept"
fi
