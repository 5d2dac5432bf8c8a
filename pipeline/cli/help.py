"""Help as plain text: options by purpose, whole at 80 columns, and examples as this program was started."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from pipeline.errors import ConfigurationError
from pipeline.program import command

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
VERBS = {
    "Get data": {
        "sync": "runs and steps of threads, from the server",
        "import": "runs and steps from files: dumps, logs, recordings",
        "import-usage": "what the provider billed",
        "load": "raw parts that have landed; --rebuild from all of them",
    },
    "Look at it": {
        "query": "named queries and SQL, in any format",
        "report": "one HTML file to send to somebody",
        "status": "what is covered, and what waits",
        "check": "data and budgets; exit code 5 for a breach",
        "prices": "what a model costs, and why",
        "explain-cost": "how the cost of a day came about",
        "explain-change": "why one period cost more than another",
    },
    "Look after it": {
        "doctor": "what is wrong, and what to do",
        "publish": "the same tables as a Delta Lake",
        "prune": "remove raw parts that are loaded and old",
        "forget": "remove threads or texts for good",
    },
    "More": {
        "docs": "pages of the documentation",
        "runs": "runs as the server sends them",
        "steps": "run steps as the server sends them",
        "emulate": "a local server with made-up threads",
    },
}
# Options by what they are for; those that are not here are what a verb is about.
PANELS = {
    "Server": (
        "--profile", "--base-url", "--allow-http", "--concurrency", "--requests-per-minute", "--attempts",
        "--settle-after", "--cold-after", "--cold-share", "--cold-longest",
    ),
    "Contents": ("--content", "--search-content", "--follow-agents", "--include", "--full-content"),
    "Processes": ("--workers", "--executor", "--ray-address"),
    "Data": ("--data-dir", "--raw", "--lake", "--no-load", "--lock-wait"),
    "Output": (
        "--format", "--json", "--out", "--limit", "--all", "--wide", "--vertical", "--decimal-strings", "--csv-raw",
        "--quiet", "--log-format", "--help", "--version", "--install-completion", "--show-completion",
    ),
}  # fmt: skip
_PANEL_OF = {option: panel for panel, options in PANELS.items() for option in options}
_TYPES = re.compile(r" <(\w[\w \[\]]*)>")
# SQL may begin with a comment, which is no option.
_COMMENT = re.compile(r"--\s")
_WORDS = {"str": " TEXT", "path": " PATH", "int": " N", "float": " N", "list[str]": "", "list[path]": "", "bool": ""}
EXAMPLES = {
    "sync": (
        "sync --sample",
        "sync --profile prod --all-threads",
        "sync --threads ids.csv --since 30d --dry-run",
    ),
    "import": (
        "import dumps/ --dry-run",
        "import 'logs/*.jsonl.gz' recording.har --source old-prod",
        "import - < run.json",
    ),
    "import-usage": (
        "import-usage costs.json --source prod",
        "import-usage 'export.csv'",
        "import-usage --admin --since 2026-05-01",
    ),
    "load": ("load", "load shard-1 shard-2 --data-dir all", "load --rebuild"),
    "query": (
        "query spend_by_model --since 30d",
        "query spend_by_customer --json",
        "query \"from runs where status = 'failed'\" --out failed.csv",
    ),
    "status": ("status", "status --json", "status --config --profile prod"),
    "report": ("report", "report --since 30d --out may.html", "report --source prod"),
    "check": ("check", "check --budgets budgets.toml --strict", "check --at 2026-05-31 --json"),
    "prices list": ("prices list", "prices list gpt-4o", "prices list --json"),
    "prices explain": (
        "prices explain gpt-4o",
        "prices explain gpt-4o --at 2024-09-01",
        "prices explain gpt-4o --provider azure --sku datazone",
    ),
    "prices reprice": ("prices reprice", "prices reprice --model gpt-4o", "prices reprice --yes --json"),
    "explain-cost": (
        "explain-cost --on 2026-05-20",
        "explain-cost --on 2026-05-20 --data-dir all",
        "explain-cost --on 2026-05-20 --json",
    ),
    "explain-change": (
        "explain-change",
        "explain-change --to 2026-05 --by model",
        "explain-change --from 2026-04 --to 2026-05 --by metadata.customer",
    ),
    "doctor": ("doctor", "doctor --offline", "doctor --profile prod --server thread_abc"),
    "publish delta": (
        "publish delta lake/",
        "publish delta s3://BUCKET/PREFIX --optimize",
        "publish delta lake/ --vacuum 7",
    ),
    "prune": ("prune --older-than 90d --dry-run", "prune --older-than 12w", "prune --older-than 90d --yes --json"),
    "forget": (
        "forget --thread thread_abc",
        "forget --metadata customer=northwind",
        "forget --full-content --source prod --yes",
    ),
    "docs": ("docs", "docs scale", "docs coverage"),
    "steps list": (
        "steps list thread_abc run_abc",
        "steps list thread_abc run_abc --all --profile prod",
        "steps list thread_abc run_abc --include content",
    ),
    "steps get": (
        "steps get thread_abc run_abc step_abc",
        "steps get thread_abc run_abc step_abc --include content",
        "steps get thread_abc run_abc step_abc --content hashed",
    ),
    "runs list": (
        "runs list thread_abc",
        "runs list thread_abc --all --order asc",
        "runs list thread_abc --limit 20 --after run_abc",
    ),
    "runs get": (
        "runs get thread_abc run_abc",
        "runs get thread_abc run_abc --profile prod",
        "runs get thread_abc run_abc --content hashed",
    ),
    "emulate": (
        "emulate",
        "emulate --port 8080 --threads 20",
        "emulate --dialect foundry --auth api-key",
    ),
}  # fmt: skip


class Verb(TyperCommand):
    """A verb whose options stand by purpose, with examples behind them; an option is no other option's value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_options_as_values(self.get_params(ctx), args)
        return super().parse_args(ctx, [f" {argument}" if _COMMENT.match(argument) else argument for argument in args])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                panels.setdefault(_panel(parameter), []).append((_TYPES.sub(_word, record[0]), record[1]))
        _write(formatter, {name: panels[name] for name in ("Arguments", "Options", *PANELS) if name in panels})

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        verb = ctx.command_path.removeprefix(ctx.find_root().command_path).strip()
        with formatter.section("Examples"):
            for example in EXAMPLES[verb]:
                formatter.write(f"{'':{formatter.current_indent}}{command(example)}\n")


class Verbs(TyperGroup):
    """Verbs by what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        own = {name: each.get_short_help_str(formatter.width) for name, each in self.commands.items()}
        panels = VERBS if self is ctx.find_root().command else {"Verbs": own}
        _write(formatter, {panel: list(verbs.items()) for panel, verbs in panels.items()})


GROUP: dict[str, Any] = {
    "cls": Verbs,
    "no_args_is_help": True,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}


def _refuse_options_as_values(parameters: Sequence[Any], arguments: Sequence[str]) -> None:
    """Raises ConfigurationError for an option without its value, for which the next option would be taken."""
    options = [each for each in parameters if each.param_type_name == "option"]
    short = {name for each in options for name in each.opts if not name.startswith("--")}
    taking = {name: each for each in options if not each.is_flag for name in each.opts}
    rest = iter(arguments)
    for name in rest:
        if name == "--":
            return
        value = next(rest, "") if name in taking else ""
        if value in short or (value.startswith("--") and not _COMMENT.match(value)):
            long = max(taking[name].opts, key=len)
            raise ConfigurationError(
                f"{name} is given without its value: {value} follows it; write {long} {taking[name].metavar or 'VALUE'}"
                f" (or, if that is the value, {long}={value})"
            )


def _word(found: re.Match[str]) -> str:
    """A type as people write it; of a flag there is nothing to say."""
    return _WORDS.get(found[1].split(" ")[0].lower(), found[0])


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return next((_PANEL_OF[option] for option in parameter.opts if option in _PANEL_OF), "Options")


def _write(formatter: Any, panels: dict[str, Iterable[tuple[str, str]]]) -> None:
    for name, rows in panels.items():
        with formatter.section(name):
            formatter.write_dl(list(rows), col_max=28)
