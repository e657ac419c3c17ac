#!/bin/sh
# Bring MLflow's database up to date, then serve. A database of an older version is upgraded; of a newer one, MLflow says so and ends.
set -eu
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
# An object store may still be starting, and a new one has no bucket.
case $MLFLOW_ARTIFACTS in s3://*) python - << 'EOF' ;; esac
import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

bucket = os.environ["MLFLOW_ARTIFACTS"].removeprefix("s3://").split("/")[0]
store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)
deadline = time.monotonic() + 60
while True:
    try:
        if bucket not in [found["Name"] for found in store.list_buckets()["Buckets"]]:
            store.create_bucket(Bucket=bucket)
        break
    except ClientError as error:
        sys.exit(f"The object store refused bucket {bucket!r} ({error}). Look at MLFLOW_ARTIFACTS and secrets/store_credentials.")
    except BotoCoreError as error:
        if time.monotonic() > deadline:
            sys.exit(f"No object store answers ({error}). Start it with --profile s3, or look at MLFLOW_S3_ENDPOINT_URL.")
        time.sleep(1)
EOF
# One worker, so a key of its own for each start is enough; it only protects the sign-up form.
MLFLOW_FLASK_SERVER_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(32))')
export MLFLOW_FLASK_SERVER_SECRET_KEY
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 --artifacts-destination "$MLFLOW_ARTIFACTS"
