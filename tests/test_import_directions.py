"""Which module may know which: each effect has an owner; the way from HTTP to raw parts never sees the warehouse."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "pipeline"
COMMAND_LINE = {"cli", *(path.stem for path in PACKAGE.glob("cli_*.py"))}
# Each carries out verbs of the command line and says how it went.
SPEAKERS = {
    *COMMAND_LINE,
    "billing",
    "doctor",
    "dry_run",
    "erasure",
    "importing",
    "lake_keeping",
    "money",
    "progress",
    "query",
    "sync_report",
    "syncing",
    "telling",
    "upkeep",
    "verbs",
}

# Who may import a library (or a part of Python) that does something; modules of the emulator are its own affair.
OWNERS = {
    "httpx": {"client", "exchanges", "probing", "transport"},
    # connecting knows its errors only.
    "pycurl": {"connecting", "exchanges", "transport"},
    "tenacity": {"client", "lake_retrying"},
    "aiohttp": set[str](),
    "ssl": {"transport"},
    "socket": set[str](),
    # The last two run SQL that a person wrote, and have to tell its errors apart.
    "duckdb": {"duck", "schema", "warehouse", "query", "thread_queries"},
    "filelock": {"writer_lock"},
    "deltalake": {"delta_tables", "lake"},
    "obstore": {"objects"},
    "dotenv": {"secret_files"},
    "tomllib": {"budgets", "profiles"},
    "typer": COMMAND_LINE,
    "random": {"pacing"},
    "time": {"loader", "pacing", "probing", "progress", "warehouse"},
    "subprocess": {"sample", "tokens"},
    "multiprocessing": {"crew", "fleet", "worker"},
    # ray_cluster has Ray keep quiet.
    "logging": {"ray_cluster"},
}
# Who may do what: names as they are written in the source.
ACTS = {
    # present asks only how wide the terminal is, warehouse how much memory a load may take, transport whom to trust.
    "os.environ": {*COMMAND_LINE, "present", "sample", "ray_cluster", "warehouse", "transport"},
    "os.getenv": set[str](),
    "print": SPEAKERS,
    "sys.stdout": {*SPEAKERS, "present"},
    "sys.stderr": SPEAKERS,
    "sys.exit": {*COMMAND_LINE, "sample"},
    # thread_queries in memory only: a file has one owner.
    "duckdb.connect": {"schema", "warehouse", "thread_queries"},
    "time.sleep": {"warehouse"},
    # asyncio's own loop cannot watch libcurl's sockets everywhere.
    "asyncio.run": set[str](),
    "asyncio.Runner": {"event_loop"},
}
# The modules of the one-way flow, and all that each may import of ours.
FLOW = {
    "errors": set[str](),
    "pages": set[str](),
    "wire": set[str](),
    "plan": set[str](),
    "hiding": {"json_text"},
    "content": {"hiding", "pages"},
    "json_text": set[str](),
    "plain_text": set[str](),
    "retrying": {"plain_text"},
    "pacing": set[str](),
    "kinds": set[str](),
    "connecting": set[str](),
    "endpoint": {"errors", "kinds"},
    "decay": {"errors"},
    "threads": {"decay", "errors"},
    "thread_files": {"endpoint", "errors", "threads"},
    "pace_budget": {"pacing"},
    "resume": {"extract", "json_text", "pages", "plan", "wire"},
    "part_frames": {"bills", "catalog", "flatten", "landing", "pages"},
    "flat_parts": {"__version__", "catalog", "errors", "landing", "part_frames", "whole_files"},
    "flattener": {"errors", "flat_parts", "landing"},
    "paging": {"errors", "pages", "wire"},
    "body_budget": set[str](),
    "client": {
        "body_budget",
        "connecting",
        "endpoint",
        "errors",
        "kinds",
        "pacing",
        "retrying",
        "tokens",
        "transport",
    },
    "event_loop": set[str](),
    "exchanges": {"connecting"},
    "transport": {"connecting", "endpoint", "errors", "exchanges"},
    "jobs": {"plan"},
    "extract": {"client", "errors", "hiding", "jobs", "json_text", "lander", "pages", "paging", "plan", "wire"},
    "salvage": {"wire"},
    "calls": {"json_text", "wire"},
    "extras": {"json_text", "pages", "wire"},
    "landed_items": {"json_text", "pages", "salvage", "wire"},
    "flatten": {"calls", "catalog", "extras", "json_text", "landed_items", "pages", "wire"},
    "landing": {"errors", "pages", "part_digest", "private_files", "whole_files"},
    "private_files": set[str](),
    "whole_files": {"private_files"},
    "part_digest": {"pages"},
    "part_writer": {"landing", "pages"},
    "lander": {"__version__", "landing", "pages", "part_writer"},
    "archive_ranges": {"archive_files", "archives", "errors"},
}
# What those of the flow must not reach in any number of steps.
BEHIND = {
    *("duck", "schema", "warehouse", "load", "sync", "syncing", "query", "planning", "config", "settings"),
    *COMMAND_LINE,
}


@cache
def read_trees() -> dict[str, ast.Module]:
    """Every module by its dotted name below the package."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        trees[name.removesuffix(".__init__")] = ast.parse(path.read_text("utf-8"))
    return trees


def imported(module: str) -> set[str]:
    """Full names of what a module imports, also inside functions."""
    names = set()
    for node in ast.walk(read_trees()[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inside = node.module == "pipeline"
            names |= {f"pipeline.{alias.name}" for alias in node.names} if inside else {str(node.module)}
    return names


@cache
def own_imports(module: str) -> frozenset[str]:
    return frozenset(name.removeprefix("pipeline.") for name in imported(module) if name.startswith("pipeline."))


def reached_from(module: str) -> set[str]:
    reached: set[str] = set()
    left = [module]
    while left:
        new = own_imports(left.pop()) & read_trees().keys() - reached
        reached |= new
        left += new
    return reached


def ours() -> list[str]:
    """Modules that are not the emulator's."""
    return [name for name in read_trees() if not name.startswith("emulator")]


def written(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_that_does_something_has_its_owners(library: str) -> None:
    users = {name for name in ours() if library in {found.split(".")[0] for found in imported(name)}}
    assert users <= OWNERS[library]


@pytest.mark.parametrize("act", ACTS)
def test_what_touches_the_world_is_done_only_by_its_owners(act: str) -> None:
    doers = {name for name in ours() if any(written(node) == act for node in ast.walk(read_trees()[name]))}
    assert doers <= ACTS[act]


@pytest.mark.parametrize("module", FLOW)
def test_a_module_of_the_flow_imports_only_what_it_may(module: str) -> None:
    assert own_imports(module) <= FLOW[module]


@pytest.mark.parametrize("module", FLOW)
def test_the_flow_never_reaches_what_lies_behind_it(module: str) -> None:
    assert not reached_from(module) & BEHIND


def test_only_the_command_line_knows_the_emulator_and_the_emulator_knows_none_of_us() -> None:
    knowing = {name for name in ours() if any(found.split(".")[0] == "emulator" for found in own_imports(name))}
    assert knowing <= COMMAND_LINE
    known = {name for module in read_trees() if module.startswith("emulator") for name in own_imports(module)}
    assert {name.split(".")[0] for name in known} == {"emulator"}


def test_nobody_imports_the_command_line() -> None:
    users = {name for name in ours() if own_imports(name) & COMMAND_LINE}
    assert users <= {*COMMAND_LINE, "__main__"}


def test_no_two_modules_need_each_other() -> None:
    graph = {name: own_imports(name) & read_trees().keys() - {name} for name in read_trees()}
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(graph)


# Statements of a module that only name things; what typer registers is a name as well.
NAMING = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.If,
)  # fmt: skip


@pytest.mark.parametrize("module", ours())
def test_a_module_only_names_things_when_it_is_read(module: str) -> None:
    for statement in read_trees()[module].body:
        if isinstance(statement, ast.Expr):
            registers = module in COMMAND_LINE and ast.unparse(statement).startswith(("app.", "add_"))
            assert isinstance(statement.value, ast.Constant) or registers, ast.unparse(statement)
        else:
            assert isinstance(statement, NAMING), ast.unparse(statement)


IMPORT_ALL = """
import importlib, sys, threading
acts = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "os.remove", "os.rename")
seen = []

def note(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if watching and (event in acts or writes):
        seen.append((event, str(arguments[0])))

watching = False
sys.addaudithook(note)
import dotenv, duckdb, filelock, httpx, polars, pycurl, rich, tenacity, typer
watching = True
for name in sys.argv[1:]:
    importlib.import_module(name)
watching = False
assert not seen, seen
assert threading.active_count() == 1, threading.enumerate()
"""


def test_importing_everything_writes_nothing_starts_nothing_and_says_nothing(tmp_path: Path) -> None:
    modules = [f"pipeline.{name}" for name in ours() if name not in ("__main__", "__init__")]
    done = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT_ALL, *modules],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(tmp_path.iterdir()) == []
