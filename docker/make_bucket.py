"""Before MLflow starts: wait for the object store, which may be starting too, and make the bucket of MLFLOW_ARTIFACTS if there is none."""

import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE_SECONDS = 60


def main() -> None:
    """Exits with what to do when the store refuses, or does not answer."""
    bucket = os.environ["MLFLOW_ARTIFACTS"].removeprefix("s3://").split("/")[0]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return make(bucket)
        except ClientError as error:
            sys.exit(f"The object store refused bucket {bucket!r} ({error}). Look at MLFLOW_ARTIFACTS and secrets/store_credentials.")
        except BotoCoreError as error:
            if time.monotonic() > deadline:
                sys.exit(f"No object store answers ({error}). Start it with --profile s3, or look at MLFLOW_S3_ENDPOINT_URL.")
            time.sleep(1)


def make(bucket: str) -> None:
    """Make the bucket unless it is there."""
    store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)
    try:
        store.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        store.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    main()
