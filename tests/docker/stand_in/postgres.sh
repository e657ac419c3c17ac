#!/usr/bin/env bash
# What the official image's entrypoint does with an empty data folder, as far as docker-compose.yaml needs it.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 > /dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start > /dev/null
    for file in /docker-entrypoint-initdb.d/*.sql; do psql --quiet --no-psqlrc --username=postgres --set=ON_ERROR_STOP=1 --file="$file"; done
    pg_ctl --wait --mode=fast stop > /dev/null
fi
exec postgres -c listen_addresses='*'
