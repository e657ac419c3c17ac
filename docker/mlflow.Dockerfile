# The tracking server: behind a login, on Postgres, serving artifacts itself.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Where Debian's packages come from is known to this stage alone, so that no image's history tells it.
FROM ${PYTHON_IMAGE} AS mirror
ARG APT_MIRROR
RUN echo "$APT_MIRROR" > /apt_mirror

FROM ${PYTHON_IMAGE} AS build
# Where pip looks, for this build only: nothing of it stays in the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV UV_CACHE_DIR=/var/cache/uv
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9 && python -m venv --without-pip /opt/venv
COPY requirements/mlflow.txt /tmp/mlflow.txt
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --quiet --system-certs --link-mode copy --python /opt/venv ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} -r /tmp/mlflow.txt
# Bytecode of what every start imports. Nothing can be written at run time, and compiling it then costs each process seconds.
RUN /opt/venv/bin/python -c "import psycopg2, uvicorn.workers, mlflow.cli, mlflow.server.auth, mlflow.store.artifact.local_artifact_repo" \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib/python3.11/site-packages/mlflow/store

FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh tini
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp mlflow \
    && install -d -o mlflow -g mlflow -m 0750 /var/lib/mlflow
COPY --from=build /opt/venv /opt/venv
COPY --chmod=0755 docker/entrypoint.sh /usr/local/bin/entrypoint
COPY --chmod=0755 docker/mlflow.sh /usr/local/bin/mlflow-server
COPY docker/make_bucket.py /usr/local/share/make_bucket.py
WORKDIR /tmp
# Without job processes the server takes 0.4 GiB instead of 1.6.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp GIT_PYTHON_REFRESH=quiet \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER 10001:10001
EXPOSE 5000
ENTRYPOINT ["tini", "--", "entrypoint"]
CMD ["mlflow-server"]
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=5 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health', timeout=8)"]
ARG GHOSTWRITER_COMMIT=unknown
LABEL org.opencontainers.image.title="ghostwriter-mlflow" \
      org.opencontainers.image.description="MLflow's tracking server with a login, on Postgres" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GHOSTWRITER_COMMIT}"
