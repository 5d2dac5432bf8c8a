"""An archive of JSON lines into typed tables with DuckDB's own `read_json`: two statements a table, nothing else.

Free-form fields stay JSON, texts of calls are text. What it does not know it drops, and a line that is broken ends it.
"""

import sys
from pathlib import Path

import duckdb

from bench.cases.contract import report_counts, report_done

_USAGE = """struct(prompt_tokens bigint, completion_tokens bigint, total_tokens bigint,
    prompt_token_details struct(cached_tokens bigint), completion_tokens_details struct(reasoning_tokens bigint))"""
_CALL = """struct(id varchar, type varchar, function struct(name varchar, arguments varchar, output varchar),
    code_interpreter struct(input varchar, outputs struct(type varchar, logs varchar, image json)[]),
    file_search struct(ranking_options json, results json))"""
_COLUMNS = {
    **dict.fromkeys(
        ("id", "object", "thread_id", "run_id", "assistant_id", "status", "type", "model", "instructions"), "varchar"
    ),
    **dict.fromkeys(("created_at", "started_at", "completed_at", "cancelled_at", "failed_at", "expires_at"), "double"),
    **dict.fromkeys(("tools", "metadata", "truncation_strategy", "response_format", "tool_choice"), "json"),
    "last_error": "struct(code varchar, message varchar)",
    "incomplete_details": "struct(reason varchar)",
    "temperature": "double",
    "top_p": "double",
    "usage": _USAGE,
    "step_details": f"struct(type varchar, message_creation struct(message_id varchar), tool_calls {_CALL}[])",
}
_INSTANTS = ", ".join(
    f"to_timestamp({name}) as {name}" for name in ("created_at", "completed_at", "cancelled_at", "failed_at")
)
_TOKENS = """usage.prompt_tokens, usage.prompt_token_details.cached_tokens, usage.completion_tokens,
    usage.completion_tokens_details.reasoning_tokens, usage.total_tokens"""
_TABLES = (
    f"""create table runs as select thread_id, id as run_id, assistant_id, object, status, model, {_INSTANTS},
        to_timestamp(started_at) as started_at, to_timestamp(expires_at) as expires_at, last_error.code as error_code,
        last_error.message as error_message, incomplete_details.reason as incomplete_reason, {_TOKENS}, instructions,
        tools, metadata, truncation_strategy, response_format, tool_choice, temperature, top_p
    from objects where object = 'thread.run'""",
    f"""create table run_steps as select thread_id, run_id, id as step_id, assistant_id, object, type,
        row_number() over (partition by thread_id, run_id order by created_at, place) - 1 as step_index, status,
        step_details.type as details_type, {_INSTANTS}, last_error.code as error_code,
        last_error.message as error_message, step_details.message_creation.message_id as message_id,
        len(step_details.tool_calls) as tool_call_count, {_TOKENS}, metadata
    from objects where object = 'thread.run.step'""",
    """create table tool_calls as select thread_id, run_id, step_id, call_index, call.id as tool_call_id, call.type,
        coalesce(call.function.name, call.type) as name,
        coalesce(call.function.arguments, call.code_interpreter.input) as arguments,
        coalesce(call.function.output, array_to_string(
            [output.logs for output in call.code_interpreter.outputs if output.logs is not null], chr(10)
        )) as output, call.file_search.ranking_options, call.file_search.results
    from (
        select thread_id, run_id, id as step_id, unnest(step_details.tool_calls) as call,
            generate_subscripts(step_details.tool_calls, 1) - 1 as call_index
        from objects where object = 'thread.run.step'
    )""",
)


def main() -> None:
    """Read the archive, write the tables, count them."""
    archive, out = sys.argv[1], Path(sys.argv[2])
    with duckdb.connect(out / "peer.duckdb") as connection:
        connection.execute("set TimeZone = 'UTC'")
        columns = ", ".join(f"{name}: '{sql}'" for name, sql in _COLUMNS.items())
        connection.execute(
            "create temp table objects as select row_number() over () as place, objects.*"
            f" from read_json(?, format = 'newline_delimited', columns = {{{columns}}}) as objects",
            [archive],
        )
        for table in _TABLES:
            connection.execute(table)
        connection.execute("drop table objects")
        connection.execute("checkpoint")
        report_done()
        report_counts(**count_rows(connection))


def count_rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int | dict[str, int]]:
    """Counts to be compared with the truth."""
    runs, steps, tokens, threads = connection.execute(
        "select (select count(*) from runs), count(*), sum(total_tokens)::bigint,"
        " (select count(distinct thread_id) from runs) from run_steps"
    ).fetchall()[0]
    calls = dict(connection.execute("select type, count(*) from tool_calls group by type").fetchall())
    return {"runs": runs, "steps": steps, "total_tokens": tokens, "tool_calls": calls, "threads_with_runs": threads}


if __name__ == "__main__":
    main()
