"""The DAG files as Airflow reads them."""

import warnings

from ghostwriter.home import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from airflow.dag_processing.dagbag import DagBag


def read_dags(file: str = "") -> DagBag:
    """All DAGs, or those of one file, with the environment as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DagBag(dag_folder=str(ROOT / "dags" / file))
