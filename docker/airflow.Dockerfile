# Airflow's components, the tasks that need no GPU, and the command line of Ghostwriter.
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
COPY requirements/airflow.txt requirements/fab.txt requirements/s3-logs.txt /tmp/
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --quiet --system-certs --link-mode copy --python /opt/venv ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} -r /tmp/airflow.txt
# What not everyone wants: `fab` (users with roles), `s3-logs` (logs of tasks in an object store), or both with a space between them.
ARG AIRFLOW_EXTRAS=
RUN --mount=type=cache,target=/var/cache/uv \
    for extra in $AIRFLOW_EXTRAS; do uv pip install --quiet --system-certs --link-mode copy --python /opt/venv \
    ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} --no-deps -r "/tmp/$extra.txt" || exit 1; done
# An editable install, so that the package's entry points are found while its files stay where recipes and prompts can be mounted over them.
COPY pyproject.toml /opt/ghostwriter/pyproject.toml
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --quiet --system-certs --link-mode copy --python /opt/venv ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} \
    --no-deps --editable /opt/ghostwriter
# Bytecode of what every start and every task imports. Nothing can be written at run time, and compiling it then costs each process seconds.
# Airflow asks each provider what it brings, ours among them.
RUN --mount=type=bind,source=plugins/ghostwriter/provider/info.py,target=/opt/ghostwriter/plugins/ghostwriter/provider/info.py \
    AIRFLOW_HOME=/tmp/airflow /opt/venv/bin/python -c "import alembic.command, mlflow, openai, psycopg2, uvicorn.workers; \
    import airflow.providers.docker.operators.docker, airflow.providers.standard.operators.hitl, airflow.providers.standard.operators.python; \
    from airflow.api_fastapi.app import create_app; from airflow.dag_processing import processor; from airflow.executors import local_executor; \
    from airflow.jobs import dag_processor_job_runner, scheduler_job_runner, triggerer_job_runner; \
    from airflow.sdk.execution_time import task_runner; from airflow.utils import serve_logs; create_app()" \
    && /opt/venv/bin/python -m compileall -q /opt/venv/lib/python3.11/site-packages/airflow/migrations

FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh tini
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp ghostwriter \
    && install -d -o ghostwriter -g ghostwriter -m 0750 /var/lib/ghostwriter /var/log/airflow /run/ghostwriter
COPY --from=build /opt/venv /opt/venv
COPY --chmod=0755 docker/entrypoint.sh /usr/local/bin/entrypoint
WORKDIR /opt/ghostwriter
COPY training training
COPY writers writers
COPY demo demo
COPY plugins plugins
COPY dags dags
RUN /opt/venv/bin/python -m compileall -q .
# /tmp is the only place to write to beside the volumes; Airflow keeps its generated settings there.
# Artifacts go through MLflow, also the large ones: where it keeps them is not for a container to reach.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp AIRFLOW_HOME=/tmp/airflow GHOSTWRITER_HOME=/var/lib/ghostwriter GIT_PYTHON_REFRESH=quiet \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/ghostwriter/dags AIRFLOW__CORE__PLUGINS_FOLDER=/opt/ghostwriter/plugins \
    MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=false MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=false \
    AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/log/airflow
USER 10001:10001
ENTRYPOINT ["tini", "--", "entrypoint"]
CMD ["airflow", "version"]
# That of the API server; compose gives each other component its own.
HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=5 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/api/v2/monitor/health', timeout=8)"]
ARG GHOSTWRITER_COMMIT=unknown
ENV GHOSTWRITER_COMMIT=${GHOSTWRITER_COMMIT}
LABEL org.opencontainers.image.title="ghostwriter-airflow" \
      org.opencontainers.image.description="Airflow with Ghostwriter's DAGs and library" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GHOSTWRITER_COMMIT}"
