"""A real S3 server on loopback for tests: moto's, in a process of its own, as clients wait with Python's lock held."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

BUCKET = "marker-bucket"
# Ends when whoever started it closes its standard input or dies.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class S3:
    """A server with one empty bucket: the environment that leads there, and the log of what it was asked."""

    environ: dict[str, str]
    log: Path

    def asked(self) -> list[str]:
        """Method and path of every request."""
        return [line.split('"')[1] for line in self.log.read_text("utf-8").splitlines() if "HTTP/1.1" in line]


@contextmanager
def running_s3(folder: Path) -> Iterator[S3]:
    """The server; its log is in that folder."""
    log = folder / "s3.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as server,
    ):
        assert server.stdout is not None
        url = f"http://{server.stdout.readline().strip()}"
        try:
            httpx.put(f"{url}/{BUCKET}").raise_for_status()
            yield S3(
                {
                    "AWS_ENDPOINT_URL": url,
                    "AWS_ALLOW_HTTP": "true",
                    "AWS_REGION": "us-east-1",
                    "AWS_ACCESS_KEY_ID": "marker-id",
                    "AWS_SECRET_ACCESS_KEY": "marker-key",
                },
                log,
            )
        finally:
            server.kill()
