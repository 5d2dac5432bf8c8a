"""Which room may know which: floors, owners of effects, and what the way from HTTP to raw parts never reaches."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "pipeline"
# From the ground up, in the order of the flow: a room imports only from those before it.
FLOORS = (
    "protocol", "sqlfiles", "console", "storage", "http", "privacy", "settings", "raw", "flatten", "archives",
    "warehouse", "money", "threads", "upkeep", "extract", "cluster", "lake", "report", "verbs", "cli",
)  # fmt: skip
# The emulator is a server of its own: it knows no room, and only the command line knows it.
APART = "emulator"
# Which rooms may import a library, or a part of Python, that does something.
LIBRARIES = {
    "httpx": {"http"},
    "pycurl": {"http"},
    "tenacity": {"http", "lake"},
    "ssl": {"http"},
    "aiohttp": set[str](),
    "socket": set[str](),
    # threads and verbs run SQL that a person wrote, and have to tell its errors apart.
    "duckdb": {"sqlfiles", "warehouse", "threads", "verbs"},
    "filelock": {"storage"},
    "deltalake": {"lake"},
    "obstore": {"storage"},
    "dotenv": {"settings"},
    "tomllib": {"settings", "money"},
    "typer": {"cli"},
    "random": {"http"},
    "time": {"http", "warehouse", "verbs"},
    "subprocess": {"http", "verbs"},
    "multiprocessing": {"cluster"},
    # To have Ray keep quiet.
    "logging": {"cluster"},
}
# Which rooms may do what, by names as they are written in the source.
ACTS = {
    # console asks only how wide the terminal is, warehouse how much memory a load may take, http whom to trust, program
    # whether uv started us.
    "os.environ": {"cli", "verbs", "console", "cluster", "warehouse", "http", "program"},
    "os.getenv": set[str](),
    # __main__ tells of a library that the command line needs.
    "print": {"cli", "verbs", "__main__"},
    "sys.stdout": {"cli", "verbs", "console"},
    "sys.stderr": {"cli", "verbs", "__main__"},
    "sys.exit": {"cli", "verbs", "__main__"},
    # threads in memory only: a file has one owner.
    "duckdb.connect": {"sqlfiles", "warehouse", "threads"},
    "time.sleep": {"warehouse"},
    # asyncio's own loop cannot watch libcurl's sockets everywhere.
    "asyncio.run": set[str](),
    "asyncio.Runner": {"http"},
}
# The way from HTTP to raw parts and frames, and what no part of it reaches in any number of steps.
WAY = (
    "protocol", "http", "privacy", "flatten", "raw.parts", "raw.landing", "raw.writer", "raw.digest",
    "extract.plan", "extract.certifying", "extract.jobs", "extract.resume", "extract.fetching",
)  # fmt: skip
BEHIND = (
    "sqlfiles.duck",
    "sqlfiles.schema",
    "settings",
    "warehouse",
    "money",
    "upkeep",
    "lake",
    "report",
    "verbs",
    "cli",
)


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
            both = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in both if name.removeprefix("pipeline.") in read_trees()}
            names |= modules or {str(node.module)}
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


def room(module: str) -> str:
    return module.split(".")[0]


def inside(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def ours() -> list[str]:
    """Modules that are not the emulator's."""
    return [name for name in read_trees() if room(name) != APART]


def runs_up(module: str, known: str) -> bool:
    """Whether what a module of a room knows lies on a floor above its own."""
    return room(known) in FLOORS and FLOORS.index(room(known)) > FLOORS.index(room(module))


def written(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def test_every_room_has_its_floor() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == {*FLOORS, APART}


@pytest.mark.parametrize(
    ("module", "known"),
    [("protocol.wire", "warehouse.load"), ("http.client", "settings.lookup"), ("verbs.sync.flow", "cli.options")],
)
def test_an_import_that_runs_up_is_seen_and_the_way_down_is_free(module: str, known: str) -> None:
    assert runs_up(module, known)
    assert not runs_up(known, module)
    assert not runs_up(module, module)


@pytest.mark.parametrize("floor", FLOORS)
def test_a_room_imports_only_from_the_floors_below(floor: str) -> None:
    modules = [name for name in ours() if room(name) == floor]
    assert [(name, known) for name in modules for known in own_imports(name) if runs_up(name, known)] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_does_something_has_its_owners(library: str) -> None:
    users = {name for name in ours() if library in {found.split(".")[0] for found in imported(name)}}
    assert {room(name) for name in users} <= LIBRARIES[library], users


@pytest.mark.parametrize("act", ACTS)
def test_what_touches_the_world_is_done_only_by_its_owners(act: str) -> None:
    doers = {name for name in ours() if any(written(node) == act for node in ast.walk(read_trees()[name]))}
    assert {room(name) for name in doers} <= ACTS[act], doers


@pytest.mark.parametrize("place", WAY)
def test_the_way_from_http_to_raw_parts_never_reaches_what_lies_behind_it(place: str) -> None:
    reached = {known for name in ours() if inside(name, (place,)) for known in reached_from(name)}
    assert [name for name in sorted(reached) if inside(name, BEHIND)] == []


def test_only_the_command_line_knows_the_emulator_and_the_emulator_knows_none_of_us() -> None:
    knowing = {name for name in ours() if any(room(found) == APART for found in own_imports(name))}
    assert {room(name) for name in knowing} <= {"cli"}
    known = {name for module in read_trees() if room(module) == APART for name in own_imports(module)}
    assert {room(name) for name in known} == {APART}


def test_no_two_modules_need_each_other() -> None:
    graph = {name: own_imports(name) & read_trees().keys() - {name} for name in read_trees()}
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(graph)


@pytest.mark.parametrize(
    "name", sorted(str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.glob("*/**/__init__.py"))
)
def test_a_room_says_what_it_is_and_is_small_enough_to_know(name: str) -> None:
    package = PACKAGE / name
    assert ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))), package
    assert len([path for path in package.glob("*.py") if path.name != "__init__.py"]) <= 12


@pytest.mark.parametrize("module", read_trees())
def test_a_module_and_its_functions_are_short(module: str) -> None:
    assert (max((node.end_lineno or 0 for node in read_trees()[module].body), default=0)) <= 300
    functions = [
        node for node in ast.walk(read_trees()[module]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [node.name for node in functions if length(node) > 45] == []


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body: the options of a verb are a table above it."""
    return (function.end_lineno or 0) - function.body[0].lineno + 1


ENDINGS = ("s", "es", "e", "er", "or", "ed", "en", "ing", "ings", "ion", "ions")


def stem(word: str) -> str:
    """What is left of a file's name without an ending that says nothing of what it holds."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            cut = word.removesuffix(ending)
            return cut[:-1] if len(cut) > 3 and cut[-1] == cut[-2] else cut
    return word


def test_no_two_files_differ_by_an_ending_and_none_repeats_its_room() -> None:
    files = {path for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "__main__")}
    names: dict[str, set[str]] = {}
    for path in files:
        names.setdefault(stem(path.stem), set()).add(path.stem)
    assert {key: found for key, found in names.items() if len(found) > 1} == {}
    assert [path for path in files if stem(path.parent.name) in {stem(word) for word in path.stem.split("_")}] == []


# Statements of a module that only name things; what typer registers is a name as well.
NAMING = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.If,
)  # fmt: skip


@pytest.mark.parametrize("module", ours())
def test_a_module_only_names_things_when_it_is_read(module: str) -> None:
    for statement in read_trees()[module].body:
        if isinstance(statement, ast.Expr):
            registers = room(module) == "cli" and ast.unparse(statement).startswith(("app.", "add_"))
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
