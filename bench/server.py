"""nginx over a corpus on loopback: plain, with latency, or with a rate limit; its log counts the requests."""

import os
import pwd
import re
import resource
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LIFETIME_S = 4 * 3600  # nginx ends by itself should the driver be killed
READY_TIMEOUT_S = 10.0
MAX_OPEN_FILES = 65_536
MAX_CONNECTIONS = 512

CONFIG = """
{load_modules}
{user}
worker_processes 1;
worker_rlimit_nofile {open_files};
daemon off;
pid nginx.pid;
error_log error.log error;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path tmp_body;
    proxy_temp_path tmp_proxy;
    fastcgi_temp_path tmp_fastcgi;
    uwsgi_temp_path tmp_uwsgi;
    scgi_temp_path tmp_scgi;
    log_format requests '$msec $status $request_uri';
    access_log access.log requests;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
    open_file_cache max={cached_files} inactive=1h;
    open_file_cache_valid 1h;
    # the cursor chooses the file; other walks than the corpus was made for are refused, not answered wrongly
    map $arg_after $page {{
        ""                   ".json";
        "~^(?<cursor>\\w+)$" ".after-$cursor.json";
        default              ".none";
    }}
    map "$arg_limit $arg_order" $unexpected {{ "100 asc" 0; default 1; }}
    {limit_zone}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {www};
        default_type application/json;
        error_page 429 @limited;
        location /v1/threads/ {{
            if ($unexpected) {{ return 400 '{{"error":{{"message":"the corpus knows limit=100&order=asc"}}}}'; }}
            {limit}
            {latency}
            try_files $uri$page =404;
        }}
        # Foundry names a conversation's responses by a parameter, and a session is no list.
        location = /v1/responses {{
            {latency}
            try_files /v1/conversations/$arg_conversation_id/responses$page =404;
        }}
        location /v1/conversations/ {{
            {latency}
            try_files $uri$page =404;
        }}
        location /v1/agents/ {{
            {latency}
            try_files $uri$page =404;
        }}
        location @limited {{
            add_header retry-after 1 always;
            return 429 '{{"error":{{"message":"Too many requests","code":"rate_limit_exceeded"}}}}';
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Behaviour:
    """How the server answers. Above `requests_per_s` (a bucket of `burst`) it answers 429, `retry-after: 1`."""

    latency_ms: int = 0
    requests_per_s: int = 0
    burst: int = 20


@dataclass(frozen=True)
class Request:
    """One line of the server's log; `at` is when it was answered, in seconds since 1970."""

    at: float
    status: int
    path: str


@dataclass(frozen=True)
class Server:
    """A running nginx."""

    port: int
    log: Path

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def mark(self) -> int:
        """The place in the log from which `read_requests` tells what is new."""
        return self.log.stat().st_size

    def read_requests(self, mark: int = 0) -> list[Request]:
        """The requests answered since the mark."""
        with self.log.open() as lines:
            lines.seek(mark)
            return [parse_request(line) for line in lines]


def parse_request(line: str) -> Request:
    at, status, path = line.split(maxsplit=2)
    return Request(float(at), int(status), path.strip())


def count_by_status(requests: list[Request]) -> Counter[int]:
    return Counter(request.status for request in requests)


@contextmanager
def serve(www: Path, behaviour: Behaviour) -> Iterator[Server]:
    """An nginx of our own on a free loopback port, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as directory:
        prefix = Path(directory)
        port = find_free_port()
        (prefix / "nginx.conf").write_text(write_config(www.resolve(), port, behaviour))
        command = ["nginx", "-p", directory, "-e", "error.log", "-c", "nginx.conf"]
        process = subprocess.Popen(["timeout", str(LIFETIME_S), *command])
        try:
            wait_until_ready(process, port, prefix / "error.log")
            yield Server(port, prefix / "access.log")
        finally:
            process.terminate()
            process.wait(timeout=10)


def write_config(www: Path, port: int, behaviour: Behaviour) -> str:
    """The whole nginx.conf for this behaviour."""
    rate = behaviour.requests_per_s
    # a cache beyond the limit of open files would make nginx answer 404
    open_files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], MAX_OPEN_FILES)
    return CONFIG.format(
        www=www,
        open_files=open_files,
        cached_files=open_files * 3 // 4,
        port=port,
        connections=MAX_CONNECTIONS,
        user=f"user {pwd.getpwuid(0).pw_name} root;" if os.geteuid() == 0 else "",
        load_modules=load_lua() if behaviour.latency_ms else "",
        latency=f"access_by_lua_block {{ ngx.sleep({behaviour.latency_ms / 1000}) }}" if behaviour.latency_ms else "",
        limit_zone=f"limit_req_zone $server_port zone=all:1m rate={rate}r/s;" if rate else "",
        limit=f"limit_req zone=all burst={behaviour.burst} nodelay; limit_req_status 429;" if rate else "",
    )


def load_lua() -> str:
    """The directives that load Debian's Lua module, which alone can wait without blocking."""
    build = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"--modules-path=(\S+)", build)
    modules = Path(found.group(1) if found else "/usr/lib/nginx/modules")
    if not (modules / "ngx_http_lua_module.so").exists():
        raise SystemExit("latency needs nginx's Lua module: apt-get install libnginx-mod-http-lua")
    names = ("ndk_http_module.so", "ngx_http_lua_module.so")
    return "\n".join(f"load_module {modules / name};" for name in names)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], port: int, error_log: Path) -> None:
    """Return when the port answers; tell nginx's own error when it does not."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nginx did not start: {error_log.read_text() if error_log.exists() else 'no log'}")
