"""The guarded Docker API: between Airflow and the Docker socket, which is root on the host to whoever holds it.

    Airflow ──HTTP, inside the compose network──▶ guard ──▶ /var/run/docker.sock

policy.py turns the body of a create call into a new one from an allow list, proxy.py lets through the few calls that a training
container needs, leases.py stops containers nobody follows any more. Standard library only.
"""
