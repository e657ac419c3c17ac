#!/bin/sh
# Start the container's command. libpq refuses a password file that others can read, and Airflow locks its login file, which a
# read-only mount forbids: so both get private copies in memory. No secret goes into the environment.
set -eu
for name in pgpass airflow_passwords.json; do
    if [ -f "/run/secrets/$name" ]; then install -m 600 "/run/secrets/$name" "/tmp/$name"; fi
done
# Airflow's traces and metrics: what ghostwriter/embedded/stack.py sets (TELEMETRY), with its reasons.
if [ -n "${OTEL_EXPORTER_OTLP_ENDPOINT:-}" ]; then
    export AIRFLOW__TRACES__OTEL_ON=True AIRFLOW__METRICS__OTEL_ON=True OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf \
        OTEL_TRACES_EXPORTER=otlp_proto_http OTEL_SERVICE_NAME=ghostwriter MLFLOW_ENABLE_OTLP_EXPORTER=false
fi
# Logs of tasks: in the object store that AWS_* name. Airflow asks for a connection first, and takes those when there is none.
if [ -n "${GHOSTWRITER_LOGS_URL:-}" ]; then
    if ! python -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('boto3') is None)"; then
        echo "GHOSTWRITER_LOGS_URL is $GHOSTWRITER_LOGS_URL, but this image has nothing to send logs with: build it with AIRFLOW_EXTRAS=s3-logs." >&2
        exit 1
    fi
    export AIRFLOW__LOGGING__REMOTE_LOGGING=True AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER="$GHOSTWRITER_LOGS_URL"
fi
exec "$@"
