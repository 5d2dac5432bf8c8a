"""Who charges for a source: what its profile says, told by imports as by syncs."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.settings.lookup import read_settings
from pipeline.sqlfiles.duck import read_frame
from tests.archived import lines_of, run_object
from tests.attached import looking_into
from tests.syncs import run_cli

PROFILE = """
[profiles.az]
kind = "azure-openai"
project = "proj_1"
models = { chat-prod = "gpt-4o" }

[profiles.gateway]
kind = "litellm"
provider = "azure"
sku = "regional"
"""
# An instant at which gpt-4o had another price on Azure than at OpenAI.
DECEMBER = 1_733_054_400


def imported(folder: Path, *flags: str, models: tuple[str, ...] = ("gpt-4o",)) -> tuple[list[Any], dict[str, Any]]:
    """The costs of runs of these models, and what is known of their source."""
    (folder / "pipeline.toml").write_text(PROFILE, "utf-8")
    (folder / "pipeline.toml").chmod(0o600)
    used = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
    runs = [
        run_object(f"run_{number}", model=model, created_at=DECEMBER, usage=used) for number, model in enumerate(models)
    ]
    (folder / "runs.jsonl").write_bytes(lines_of(runs))
    ended = run_cli(folder, "import", "runs.jsonl", "--quiet", *flags)
    assert ended.returncode == 0, ended.stderr
    with looking_into(folder / "data" / "warehouse.duckdb") as connection:
        costs = read_frame(connection, "select cost_usd from run_costs order by run_id")["cost_usd"].to_list()
        sql = "select kind, provider, sku from source_providers"
        return costs, read_frame(connection, sql).to_dicts()[0]


def test_an_import_is_priced_as_its_profile_says(tmp_path: Path) -> None:
    costs, told = imported(tmp_path, "--profile", "az", models=("gpt-4o", "chat-prod"))

    assert costs == [Decimal("0.0065"), Decimal("0.0065")]
    assert told == {"kind": "azure-openai", "provider": "azure", "sku": None}


def test_a_profile_says_who_charges_behind_a_gateway(tmp_path: Path) -> None:
    costs, told = imported(tmp_path, "--profile", "gateway")

    assert told == {"kind": "litellm", "provider": "azure", "sku": "regional"}
    assert len(costs) == 1


def test_an_import_without_a_profile_says_nothing_of_its_source(tmp_path: Path) -> None:
    costs, told = imported(tmp_path)

    assert costs == [Decimal("0.0035")]
    assert told == {"kind": None, "provider": "openai", "sku": None}


@pytest.mark.parametrize(("name", "value"), [("provider", "aws"), ("sku", "Regional"), ("sku", "")])
def test_who_charges_is_one_of_few(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "pipeline.toml").write_text(f'[profiles.default]\n{name} = "{value}"\n', "utf-8")

    with pytest.raises(ConfigurationError, match=f"{name} = '{value}' .* is not one of"):
        read_settings({}, {}, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("provider", "azure"), ("sku", "provisioned")])
def test_who_charges_comes_from_the_environment_before_the_profile(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "pipeline.toml").write_text('[profiles.default]\nprovider = "openai"\nsku = "global"\n', "utf-8")

    settings = read_settings({}, {f"PIPELINE_{name.upper()}": value}, tmp_path)

    assert settings[name] == value
    assert settings.settings[name].origin == f"PIPELINE_{name.upper()} in the environment"
