"""What a warehouse holds, counted in the form in which the emulator counts what it serves."""

from pathlib import Path
from typing import Any

from pipeline.emulator import TokenTotals, Truth
from tests.syncs import read_all


def counts(data_dir: Path, sql: str) -> dict[Any, int]:
    """The rows of a query with two columns: what is counted, and how often it is there."""
    return dict(read_all(data_dir, sql))


def token_totals(data_dir: Path, table: str) -> dict[str, TokenTotals]:
    """Sums by model of a table with the columns of usage; no row of a model with tokens is left out."""
    names = list(TokenTotals.__dataclass_fields__)
    sums = ", ".join(f"coalesce(sum({table}.{name}), 0)::bigint" for name in names)
    sql = f"""
        select runs.model, {sums} from {table}
        {"" if table == "runs" else "inner join runs using (source, thread_id, run_id)"}
        where {table}.total_tokens is not null group by all
    """
    return {model: TokenTotals(*map(int, values)) for model, *values in read_all(data_dir, sql)}


def measured(data_dir: Path, phase: int) -> Truth:
    """The totals of the warehouse, in the form of the emulator's."""

    def count_by(table: str, column: str) -> dict[str, int]:
        return counts(data_dir, f"select {column}, count(*) from {table} group by all order by all")

    def count(table: str) -> int:
        [(number,)] = read_all(data_dir, f"select count(*) from {table}")
        return int(number)

    return Truth(
        phase=phase,
        threads=count("threads where status = 'synced'"),
        runs=count("runs"),
        steps=count("run_steps"),
        runs_by_status=count_by("runs", "status"),
        steps_by_type=count_by("run_steps", "type"),
        steps_by_details_type=count_by("run_steps", "details_type"),
        steps_by_status=count_by("run_steps", "status"),
        tool_calls=count("tool_calls"),
        tool_calls_by_type=count_by("tool_calls", "type"),
        code_interpreter_outputs=count("code_interpreter_outputs"),
        file_search_results=count("file_search_results"),
        step_tokens_by_model=token_totals(data_dir, "run_steps"),
        run_tokens_by_model=token_totals(data_dir, "runs"),
    )
