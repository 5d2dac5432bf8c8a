"""Markdown of the results, with the machine and the versions they belong to."""

import os
import platform
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

PRODUCT_PACKAGES = ("duckdb", "polars", "httpx", "pycurl", "msgspec")
PEER_PACKAGES = ("openai", "dlt", "duckdb", "polars", "pyarrow")
LIST_VERSIONS = """
import sys
from importlib.metadata import PackageNotFoundError, version
print("Python", sys.version.split()[0])
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        print(name, "missing")
"""


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [headers, ["---", *["---:"] * (len(headers) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def format_spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, with the lowest and highest where there are several."""
    if not values:
        return "-"
    median = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def describe_machine() -> str:
    """Processor, cores and memory in one line."""
    models = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = models[0] if models else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.release().split('-')[0]}"


def list_versions(product_python: str, peers_python: str | None, *, has_server: bool = True) -> dict[str, str]:
    """What ran, by who it ran for."""
    servers = {"nginx": "-v", "curl": "--version"} if has_server else {}
    versions = {program: find_version(program, option) for program, option in servers.items()}
    versions["product"] = list_packages(product_python, PRODUCT_PACKAGES)
    if peers_python:
        versions["peers"] = list_packages(peers_python, PEER_PACKAGES)
    return versions


def list_packages(python: str, packages: Sequence[str]) -> str:
    command = [python, "-c", LIST_VERSIONS, *packages]
    return ", ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1])


def find_version(program: str, option: str) -> str:
    """The number that a program gives as its version; nginx says it on stderr."""
    if not shutil.which(program):
        raise SystemExit(f"{program} is missing: apt-get install nginx-light libnginx-mod-http-lua curl")
    run = subprocess.run([program, option], capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", run.stdout + run.stderr)
    return found.group() if found else "unknown"
