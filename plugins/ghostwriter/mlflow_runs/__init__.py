"""MLflow: what a night did, as runs, datasets, pages and links; and the requests that go to the training side.

Others use `server.mlflow_client`, `pipeline_run` and `handover`. Imports judging, distilling and what is below.
"""
