"""A real S3 server over HTTP for tests (moto's), with a versioned bucket, so that a rewritten object shows.

As a program (for tests of the Airflow side, which has no moto) it writes its environment as JSON and serves until its input ends.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUCKET = "ghostwriter"


@dataclass(frozen=True)
class Bucket:
    """The bucket, and the environment in which programs find it."""

    environment: dict[str, str]
    client: Any

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/home"

    def names(self, below: str = "") -> set[str]:
        """Objects that are there now."""
        return {each["Key"].removeprefix("home/") for each in self._pages("list_objects_v2", "Contents", below)}

    def versions(self) -> dict[str, int]:
        """How often each object was written or deleted."""
        counts: dict[str, int] = {}
        for each in [*self._pages("list_object_versions", "Versions", ""), *self._pages("list_object_versions", "DeleteMarkers", "")]:
            name = each["Key"].removeprefix("home/")
            counts[name] = counts.get(name, 0) + 1
        return counts

    def read(self, name: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=f"home/{name}")["Body"].read()
        return content

    def write(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"home/{name}", Body=content)

    def empty(self) -> None:
        """Remove everything, with its history."""
        for part in ("Versions", "DeleteMarkers"):
            for each in self._pages("list_object_versions", part, ""):
                self.client.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"home/{name}")

    def _pages(self, call: str, part: str, below: str) -> Iterator[dict[str, Any]]:
        for page in self.client.get_paginator(call).paginate(Bucket=BUCKET, Prefix=f"home/{below}"):
            yield from page.get(part, [])


@contextmanager
def s3_server(folder: Path) -> Iterator[Bucket]:
    """The bucket of a running server; the credentials' file is in `folder`."""
    import boto3
    from moto.server import ThreadedMotoServer

    credentials = folder / "credentials"
    credentials.write_text("[default]\naws_access_key_id = one\naws_secret_access_key = two\n")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    try:
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="one", aws_secret_access_key="two")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        environment = {"AWS_ENDPOINT_URL": address, "AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_EC2_METADATA_DISABLED": "true"}
        yield Bucket(environment, client)
    finally:
        server.stop()


if __name__ == "__main__":
    with s3_server(Path(sys.argv[1])) as served:
        sys.stdout.write(json.dumps(served.environment) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
