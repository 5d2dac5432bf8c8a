"""Warehouse files for tests of what reads them: empty, of one run, of hostile texts and values, the sample, large."""

import shutil
from pathlib import Path

import duckdb

from pipeline.sqlfiles.duck import Connection
from pipeline.warehouse.database import open_for_writing
from tests.copied_folders import make_copy
from tests.syncs import ROOT, run_cli
from tests.warehouse_rows import add_call, add_run, add_step, add_thread, add_walk, post_ledger

# So often, and each copy so many days earlier, that there are 200,000 steps over more than two years.
_COPIES = 20
_DAYS_APART = 40
_COPIED = ("threads", "runs", "run_steps", "walks", "tool_calls", "code_interpreter_outputs", "file_search_results")
# What a copy has instead of a column; n is its number. Later copies have more assistants and tools, some of them rare.
_IN_COPIES = {
    "thread_id": "thread_id || '_' || n",
    "run_id": "run_id || '_' || n",
    "walk_id": "walk_id || '_' || n",
    "step_id": "step_id || '_' || n",
    "assistant_id": "assistant_id || '_' || (n + ascii(right(thread_id, 1))) % (1 + n)",
    "name": "name || '_' || (n + ascii(right(run_id, 1))) % (1 + n)",
    "model": """case
        when n % 5 = 0 then model || '-deployment-' || n
        when n % 2 = 0 then model
        else (select list(distinct model order by model) from prices where match = 'exact')
            [1 + ascii(right(run_id, 1)) % 40]
    end""",
}
HOSTILE = '</script><script>document.title="owned"</script><img src="https://attacker.example/x" onerror="alert(1)">'


def make_empty(path: Path) -> Path:
    """Every table and view, no rows but the prices."""
    with open_for_writing(path, wait_s=1):
        return path


def make_one_run(path: Path) -> Path:
    """One run of gpt-4o with one function call: 1,000 prompt tokens (400 cached), 100 completion tokens: $0.003."""
    with open_for_writing(path, wait_s=1) as con:
        add_thread(con)
        usage = {"prompt_tokens": 1000, "cached_tokens": 400, "completion_tokens": 100, "total_tokens": 1100}
        add_run(con, **usage)
        add_walk(con)
        add_step(con, type="tool_calls", tool_call_count=1, completed_at="2024-11-20T12:00:04Z", **usage)
        add_call(con, arguments='{"city": "Bern"}', output="sunny")
        post_ledger(con)
    return path


def make_hostile(path: Path) -> Path:
    """Names, models, ids, errors and sources that are HTML, runs without any value, and usage that cannot be."""
    with open_for_writing(path, wait_s=1) as con:
        for number, source in enumerate((HOSTILE, "main")):
            _add_hostile_run(con, source, number)
        add_run(con, run_id="run_bare", assistant_id=None, model=None, status=None, created_at=None)
        add_step(con, run_id="run_bare", step_id="step_bare", assistant_id=None, created_at=None)
        add_call(con, step_id="step_bare", run_id="run_bare", type=None, name=None)
        add_run(con, run_id="run_zero", model="gpt-4o-mini")
        add_step(con, run_id="run_zero", step_id="step_zero", prompt_tokens=0, completion_tokens=0, total_tokens=0)
        add_run(con, run_id="run_absurd", model="gpt-4o")
        add_step(con, run_id="run_absurd", step_id="step_absurd", prompt_tokens=2**62, cached_tokens=-5)
        add_step(con, run_id="run_absurd", step_id="step_absurd_2", prompt_tokens=2**62, completion_tokens=2**62)
        post_ledger(con)
    return path


def make_sample(folder: Path) -> Path:
    """The warehouse that `sync --sample` leaves in a data folder."""
    make_copy(_sync_sample, folder)
    return folder / "warehouse.duckdb"


def _sync_sample(folder: Path) -> None:
    run_cli(ROOT, "sync", "--sample", "--quiet", "--data-dir", str(folder.absolute())).check_returncode()


def make_large(sample: Path, path: Path) -> Path:
    """The sample 21 times under other ids, every fourth copy with its tool calls: 209,643 steps over 30 months.

    More than 80 models, 100 assistants and 200 tools; deployments with names of their own have no price.
    """
    shutil.copy(sample, path)
    with open_for_writing(path, wait_s=1) as con:
        for table in _COPIED:
            columns = con.execute(
                "select column_name, data_type from duckdb_columns()"
                " where table_name = ? and schema_name = 'main' and database_name = current_database()",
                [table],
            ).fetchall()
            values = ", ".join(f"{_in_copy(name, dtype)} as {name}" for name, dtype in columns)
            by = 1 if table in ("threads", "runs", "run_steps", "walks") else 4
            copies = f"range({by}, {_COPIES + 1}, {by}) as copies(n)"
            con.execute(f"insert into {table} by name select {values} from {table} cross join {copies}")
        post_ledger(con)
    return path


def _in_copy(name: str, dtype: str) -> str:
    earlier = f"{name} - to_days(cast(n * {_DAYS_APART} as integer))"
    return earlier if dtype.startswith("TIMESTAMP") else _IN_COPIES.get(name, name)


def read_one(path: Path, sql: str) -> tuple[object, ...]:
    """The only row of a query, asked of the file by DuckDB alone."""
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        [row] = con.execute(sql).fetchall()
        return tuple(row)


def _add_hostile_run(con: Connection, source: str, number: int) -> None:
    run = {"source": source, "run_id": f"run_{number}{HOSTILE}", "thread_id": HOSTILE, "assistant_id": HOSTILE}
    step = {**run, "step_id": f"step_{number}{HOSTILE}"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    add_thread(con, source=source, thread_id=HOSTILE, status="failed", error=HOSTILE)
    add_run(con, **run, model="gpt-4o" if number else HOSTILE, status="failed", last_error_code=HOSTILE, **usage)
    add_step(con, **step, status="failed", last_error_code=HOSTILE, last_error_message=HOSTILE, **usage)
    for call_index in range(2):
        call = {name: step[name] for name in ("source", "thread_id", "run_id", "step_id")}
        add_call(con, **call, call_index=call_index, type=HOSTILE, name=HOSTILE, arguments=HOSTILE, output=HOSTILE)
