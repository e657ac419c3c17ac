#!/bin/sh
# Start the container's command. libpq refuses a password file that others can read, and Airflow locks its login file, which a
# read-only mount forbids: so both get private copies in memory. No secret goes into the environment.
set -eu
for name in pgpass airflow_passwords.json; do
    if [ -f "/run/secrets/$name" ]; then install -m 600 "/run/secrets/$name" "/tmp/$name"; fi
done
exec "$@"
