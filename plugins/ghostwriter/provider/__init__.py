"""Connection types of our own in Airflow's forms, and what their Test button does.

    info.py   what Airflow reads of them, without importing anything (entry point `apache_airflow_provider` in pyproject.toml)
    hooks.py  one request to the site or the teacher, and its answer in words a person can act on

Connections of type HTTP with the same fields work as before: tasks read host, login and password, whatever the type.
"""
