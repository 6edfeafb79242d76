"""A real S3 server on loopback (moto's), in a process of its own, with one bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError
from mlflow_server import free_port

BUCKET = "sweeps"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "an-access-key",
    "AWS_SECRET_ACCESS_KEY": "a-very-secret-key",
    "AWS_EC2_METADATA_DISABLED": "true",
}
LONGEST_START_S = 120


class S3Server:
    """The server; `uri(path)` names a folder in its bucket as a grid does."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        self.url = f"http://127.0.0.1:{port}"
        with open(folder / "s3.log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=log,
            )
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
        )

    def wait(self) -> None:
        """Wait until it answers, and make the bucket."""
        deadline = time.monotonic() + LONGEST_START_S
        while True:
            try:
                self.client.create_bucket(Bucket=BUCKET)
            except BotoCoreError:
                assert time.monotonic() < deadline, "the S3 server does not come up"
                time.sleep(0.5)
            else:
                return

    def uri(self, path: str) -> str:
        """A folder in the bucket."""
        return f"s3://{BUCKET}/{path}?{self.options}"

    def objects(self) -> list[str]:
        """The keys of all that is in the bucket."""
        return [o["Key"] for o in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def read(self, key: str) -> bytes:
        """An object, read without pyarrow."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A running server with an empty bucket."""
    server = S3Server(folder)
    try:
        server.wait()
        yield server
    finally:
        server.process.kill()
        server.process.wait()
