"""Run steps of AI assistants, from the HTTP API or an archive into DuckDB."""

__version__ = "0.1.0"
