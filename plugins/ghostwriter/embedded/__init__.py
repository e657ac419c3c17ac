"""Airflow and MLflow on one machine, without containers: their processes, their settings, and Airflow's REST API."""
