# A stand-in for the official image of Postgres where no registry is reachable: the same settings, Debian's own version.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/* \
    && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data && chmod 3777 /run/postgresql && mkdir -p /docker-entrypoint-initdb.d \
    && ln -s /usr/lib/postgresql/*/bin /opt/postgresql
COPY --chmod=0755 postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/opt/postgresql:$PATH PGDATA=/var/lib/postgresql/data
USER postgres
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
