#!/bin/sh
# Bring MLflow's database up to date, then serve. A database of an older version is upgraded; of a newer one, MLflow says so and ends.
set -eu
# Uploads pass through TMPDIR, on a volume: what a kill left of them goes.
if [ -n "${TMPDIR:-}" ]; then mkdir -p "$TMPDIR" && find "$TMPDIR" -mindepth 1 -maxdepth 1 -name 'tmp*' -exec rm -rf {} +; fi
# MLflow would try for ten minutes with a password that is refused.
if ! python -c "import sys, psycopg2; psycopg2.connect(sys.argv[1].replace('+psycopg2', '')).close()" "$MLFLOW_BACKEND_STORE_URI"; then
    echo "Postgres refused MLflow; the line above says why. If it is the password: secrets/ is not the folder these volumes were" \
        "made with. Put that folder back; or start anew: docker compose down --volumes." >&2
    exit 1
fi
if ! mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"; then
    echo "MLflow's database could not be upgraded; the lines above say why. If its revision is unknown, it is of a newer MLflow than" \
        "this image: use the newer image, or restore a backup." >&2
    exit 1
fi
case $MLFLOW_ARTIFACTS in s3://*) python /usr/local/share/make_bucket.py ;; esac
# One worker, so a key of its own for each start is enough; it only protects the sign-up form.
MLFLOW_FLASK_SERVER_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')
export MLFLOW_FLASK_SERVER_SECRET_KEY
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 --artifacts-destination "$MLFLOW_ARTIFACTS"
