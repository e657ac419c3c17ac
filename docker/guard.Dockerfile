# The guarded Docker API: Python's standard library and a few files.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# Where Debian's packages come from is known to this stage alone, so that no image's history tells it.
FROM ${PYTHON_IMAGE} AS mirror
ARG APT_MIRROR
RUN echo "$APT_MIRROR" > /apt_mirror

FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=mirror,source=/apt_mirror,target=/tmp/apt_mirror \
    --mount=type=bind,source=docker/apt_install.sh,target=/tmp/apt_install.sh sh /tmp/apt_install.sh tini
WORKDIR /opt/ghostwriter
COPY guard guard
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Compose gives it the user that owns the socket. It listens inside its network only.
USER 10001:10001
EXPOSE 2375
ENTRYPOINT ["tini", "--", "python", "-m", "guard"]
HEALTHCHECK --interval=15s --timeout=10s --start-period=5s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:2375/_ping', timeout=8)"]
ARG GHOSTWRITER_COMMIT=unknown
LABEL org.opencontainers.image.title="ghostwriter-guard" \
      org.opencontainers.image.description="A Docker API that can start training containers and nothing else" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GHOSTWRITER_COMMIT}"
