"""Of two states of one object that tell the same time: which of them says more, by what they hold and nothing else."""

from collections.abc import Collection

from pipeline.sqlfiles.catalog import read_sql_files

_TOKENS = (
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
)
# Where a row stands and who saw it: no part of what it says.
_PLACES = ("walk_id", "page_index", "step_index", "run_index", "observed_at", "sealed")


def said_by(table: str, rows: str, *, text_size: str = "0") -> str:
    """SQL of how much a row of `runs` or `run_steps` says: kinds of tokens, other columns, texts; then what it says, so
    that no two states are equal that differ. `text_size` is that of what stands below it.
    """
    tokens = _count_known(rows, _TOKENS)
    columns = _count_known(rows, [name for name in read_sql_files("tables")[table].columns if name not in _PLACES])
    texts = " + ".join(f"length(coalesce({rows}.{name}::varchar, ''))" for name in ("metadata", "extra"))
    return f"({tokens}, {columns}, {texts} + {text_size}, {digest_of(table, rows)})"


def digest_of(table: str, rows: str, *, without: Collection[str] = ()) -> str:
    """SQL of what tells the content of a row from any other, whoever saw it and wherever it stands."""
    names = [name for name in read_sql_files("tables")[table].columns if name not in (*_PLACES, *without)]
    # JSON tells null from a text that is empty, and where one column ends and the next begins.
    return f"md5(to_json([{', '.join(f'{rows}.{name}::varchar' for name in names)}])::varchar)"


def _count_known(rows: str, names: Collection[str]) -> str:
    return " + ".join(f"({rows}.{name} is not null)::int" for name in names)
