"""The guarded Docker API, between Airflow and the Docker socket, which is root on the host.

    Airflow ──HTTP, inside the compose network──▶ guard ──▶ /var/run/docker.sock

    policy.py       what a training container may be: the body of a create call is built anew
    calls.py        a request into the one call that may be sent to the engine (pure, as policy.py)
    network.py      where containers find hubs and proxies: the guard's own values
    parsing.py      values of a client, checked
    proxy.py        HTTP in, the engine out
    connections.py  how many connections are held, how long, and how much is read from each
    quota.py        how many containers, and how much memory they have together
    leases.py       who follows which container, and since when nobody does
    keeper.py       stops containers that nobody follows
    engine.py       the engine behind its Unix socket

Standard library only. What is trusted with what stands in docs/threat-model.md.
"""
