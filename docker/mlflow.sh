#!/bin/sh
# Bring MLflow's database up to date, then serve. A database of an older version is upgraded; of a newer one, MLflow says so and ends.
set -eu
if ! mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"; then
    echo "MLflow's database could not be opened or upgraded; the lines above say why." >&2
    echo "Password refused: secrets/ is not the one this database was made with; put that folder back." >&2
    echo "Unknown revision: the database is of a newer MLflow than this image; use the newer image, or restore a backup." >&2
    exit 1
fi
# One worker, so a key of its own for each start is enough; it only protects the sign-up form.
MLFLOW_FLASK_SERVER_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')
export MLFLOW_FLASK_SERVER_SECRET_KEY
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 --artifacts-destination "$MLFLOW_ARTIFACTS"
