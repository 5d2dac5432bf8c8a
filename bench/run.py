"""The driver: `python -m bench.run [MODE]`. The table goes to stdout, progress to stderr."""

import json
import signal
import subprocess
import sys
import venv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.against import build_commit
from bench.modes import MODES, Result
from bench.report import describe_machine, list_versions
from bench.rounds import say
from bench.settings import ROOT, Settings, read_settings

REQUIREMENTS = ROOT / "bench" / "requirements.txt"


def main() -> None:
    """Measure, print, and keep the figures where asked."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and children are ended too
    settings = read_settings(MODES)
    if settings.against:
        settings = replace(settings, before_python=build_commit(settings.against, settings.cache))
    if settings.has_peers:
        install_peers(settings.venv)
    peers = settings.peers_python if settings.has_peers else None
    versions = list_versions(settings.product_python, peers, has_server=settings.has_server)
    result = MODES[settings.mode](settings)
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {describe_machine()}"
    print(f"\n**{settings.mode}**: {settings}\n\n{result.table}\n\n{machine}.")
    print("; ".join(f"{who}: {what}" for who, what in versions.items()) + ".")
    if settings.output:
        append_result(settings, result, machine, versions)


def install_peers(directory: Path) -> None:
    """Make the peers' environment, or renew it when their pins have changed."""
    pins = REQUIREMENTS.read_text()
    installed = directory / "installed.txt"
    if installed.exists() and installed.read_text() == pins:
        return
    say(f"installing the peers in {directory}")
    if not (directory / "bin" / "python").exists():
        venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    installed.write_text(pins)


def append_result(settings: Settings, result: Result, machine: str, versions: dict[str, str]) -> None:
    """Add one line of JSON with every figure."""
    line = {
        "mode": settings.mode,
        "size": settings.size,
        "latency_ms": settings.latency_ms,
        "connections": settings.connections,
        "machine": machine,
        "versions": versions,
        "figures": result.figures,
    }
    assert settings.output
    with settings.output.open("a") as lines:
        lines.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
