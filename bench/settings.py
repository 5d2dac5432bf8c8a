"""What the command line of the driver asks for."""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import SIZES

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("openai_python", "openai_default", "dlt_best", "dlt_default")
# Another commit of ours, which `--against` names.
BEFORE = "before"
CASES = ("product", BEFORE, "curl_floor", *PEERS)


@dataclass(frozen=True)
class Settings:
    """One call of the driver. `connections` is None where each case does as it does by default."""

    mode: str
    size: str
    rounds: int
    cases: tuple[str, ...]
    latency_ms: int
    connections: int | None
    rate: int
    timeout_s: float
    cache: Path
    venv: Path
    product_python: str
    product_options: tuple[str, ...]
    output: Path | None
    steps: tuple[int, ...]
    against: str | None
    before_python: str | None = None

    @property
    def has_peers(self) -> bool:
        """Whether their environment is needed; DuckDB's own command line is in it, too."""
        return bool(set(self.cases) & set(PEERS)) or self.mode == "queries"

    @property
    def has_server(self) -> bool:
        """Whether anything is asked of nginx."""
        return self.mode != "queries"

    @property
    def peers_python(self) -> str:
        return str(self.venv / "bin" / "python")

    @property
    def builds(self) -> dict[str, str]:
        """The Pythons that have the product: of this tree, and of the commit that it is measured against."""
        return {"product": self.product_python} | ({BEFORE: self.before_python} if self.before_python else {})

    def python_of(self, case: str) -> str:
        """The Python of a case: peers have an environment of their own."""
        return self.peers_python if case in PEERS else self.builds.get(case, self.product_python)

    def root_of(self, python: str) -> Path:
        """Where a Python runs: in this tree, or beside `bench` alone for one that has a build installed."""
        return Path(python).parents[1] / "root" if python == self.before_python else ROOT

    def __str__(self) -> str:
        connections = self.connections or "default"
        return f"{self.size}, {self.latency_ms} ms latency, {connections} connections, {self.rounds} rounds"


def read_settings(modes: Iterable[str]) -> Settings:
    """The command line as settings."""
    parser = argparse.ArgumentParser(prog="python -m bench.run")
    parser.add_argument("mode", nargs="?", choices=list(modes), default="compare")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cases", help=f"of {','.join(CASES)}; default: all for compare, else the product")
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--connections", type=int, help="for all cases; default: the product's own, 32 for peers")
    parser.add_argument("--rate", type=int, default=100, help="requests/s that the server of `pacing` allows")
    parser.add_argument("--timeout-s", type=float, default=900, help="for each execution")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "run-steps-bench")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-bench", help="where the peers are installed")
    parser.add_argument("--product-python", default=sys.executable)
    parser.add_argument("--product-options", type=shlex.split, default=[], help="more for `sync`, as one string")
    parser.add_argument("--steps", default="10000,250000", help="for `queries`: sizes of the warehouse")
    parser.add_argument("--against", metavar="COMMIT", help="built and measured in turns with this tree")
    parser.add_argument("--output", type=Path, help="JSON Lines file that gets every figure")
    given = vars(parser.parse_args())
    known = [case for case in CASES if case != BEFORE or given["against"]]
    ours = [case for case in ("product", BEFORE) if case in known]
    cases = given["cases"].split(",") if given["cases"] else known if given["mode"] == "compare" else ours
    if unknown := set(cases) - set(known):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    steps = tuple(map(int, given["steps"].split(",")))
    given |= {"cases": tuple(cases), "product_options": tuple(given["product_options"]), "steps": steps}
    return Settings(**given)
