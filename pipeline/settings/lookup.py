"""Settings from where they are: flag before environment before `.env` before `pipeline.toml` before default."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigurationError
from pipeline.protocol.kinds import KINDS
from pipeline.settings.invocation import MOVED_SOURCE, SAMPLE_SOURCE, Setting, Settings
from pipeline.settings.profiles import (
    CONFIG_FILE,
    CONTENT_KEY_SOURCES,
    KEY_SOURCES,
    ConfigFile,
    Profile,
    read_config_file,
)
from pipeline.settings.secret_files import check_config_file, check_dotenv, read_dotenv

DOTENV_FILE = ".env"
DEFAULT_PROFILE = "default"
# The environment variables that users of this protocol already have, and two of our own.
OPENAI_VARIABLES = {
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
}
VARIABLES = {
    "profile": "PIPELINE_PROFILE",
    "data_dir": "PIPELINE_DATA_DIR",
    "raw": "PIPELINE_RAW",
    "provider": "PIPELINE_PROVIDER",
    "sku": "PIPELINE_SKU",
}
CONTENT_VARIABLE = "PIPELINE_CONTENT"
SETTLE_VARIABLE = "PIPELINE_SETTLE_AFTER"
CONTENT_KEY_VARIABLE = "PIPELINE_CONTENT_KEY"
# What a setting may be, where it is one of few.
_CHOICES = {
    "content": ("full", "hashed"),
    # Who charges, where the kind of server does not say it: behind a gateway.
    "provider": ("openai", "azure"),
    "sku": ("global", "datazone", "regional", "provisioned"),
}
DEFAULTS: dict[str, Any] = {
    "profile": DEFAULT_PROFILE,
    "data_dir": "data",
    "raw": None,
    "kind": "openai",
    "base_url": None,
    "api_key": None,
    "api_key_file": None,
    "api_key_command": None,
    "token_command": None,
    "azure_identity": False,
    "token_scope": None,
    "auth": None,
    "organization": None,
    "project": None,
    "beta": None,
    "headers": {},
    "headers_env": {},
    "params": {},
    "plain_http_hosts": [],
    "concurrency": 32,
    "workers": 0,
    "requests_per_minute": None,
    "timeout_s": 60.0,
    "attempts": 6,
    "longest_retry_after_s": 120.0,
    "include_content": True,
    "content": "full",
    "content_key": None,
    "content_key_file": None,
    "content_key_command": None,
    "follow_agents": None,
    "whole_lists": False,
    "odd_fields": [],
    "models": {},
    "provider": None,
    "sku": None,
    "cold_after": None,
    "cold_share": 0.1,
    "cold_longest": "30d",
    "settle_after": None,
}
# What numbers may be; beyond it they are slips of the hand that would take all memory, or for ever.
BOUNDS: dict[str, tuple[float, int]] = {
    "concurrency": (1, 1_024),
    "workers": (0, 256),
    "attempts": (1, 1_000),
    "timeout_s": (0.001, 86_400),
    "longest_retry_after_s": (0, 86_400),
    "requests_per_minute": (0.001, 10_000_000),
    "cold_share": (0.000_001, 1),
}
# Flags that are not spelled like the setting.
_FLAGS = {"plain_http_hosts": "--allow-http", "include_content": "--search-content/--no-search-content"}


def read_settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings from flags (None: not given), the environment, `.env` and `pipeline.toml` of the folder, and defaults.

    Raises ConfigurationError naming the file and the place for anything that cannot be read.
    """
    dotenv = read_dotenv(folder / DOTENV_FILE)
    file = read_config_file(folder / CONFIG_FILE)
    check_config_file(folder / CONFIG_FILE, file)
    check_dotenv(folder / DOTENV_FILE, dotenv, named=_key_variables(file))
    given = {name: Setting(value, _flag(name)) for name, value in flags.items() if value is not None}
    layers = ((dotenv, f"in {DOTENV_FILE}"), (environ, "in the environment"))
    variables = _from_variables({**VARIABLES, "content": CONTENT_VARIABLE, "settle_after": SETTLE_VARIABLE}, layers)
    top = {
        name: Setting(value, CONFIG_FILE) for name in ("profile", "data_dir", "raw") if (value := getattr(file, name))
    }
    name = {**top, **variables, **given}.get("profile", Setting(DEFAULT_PROFILE, "default")).value
    profile = _profile_of(file, name)
    own = {
        key: Setting(value, f"{CONFIG_FILE} [profiles.{name}]")
        for key in DEFAULTS
        if (value := getattr(profile, key, None)) is not None
    }
    defaults = {key: Setting(value, "default") for key, value in DEFAULTS.items()}
    settings = {**defaults, **top, **own, **variables, **given}
    _check(settings)
    if Path(settings["data_dir"].value).is_file():
        place, origin = settings["data_dir"].value, settings["data_dir"].origin
        raise ConfigurationError(f"{place} ({origin}) is a file: name the folder that the data is in, or is to be in")
    kind = KINDS[settings["kind"].value]
    if kind.takes_openai_variables:
        settings |= {**_from_variables(OPENAI_VARIABLES, layers), **given}
    sources = [source for source in KEY_SOURCES if getattr(profile, source)]
    if len(sources) > 1:
        raise ConfigurationError(f"[profiles.{name}] has {' and '.join(sources)}: say one place for the key")
    key_variable = profile.api_key_env or kind.key_variable
    # A key that happens to be in the environment is not for a server whose profile names another place.
    if sources in ([], ["api_key_env"]):
        settings |= _from_variables({"api_key": key_variable}, layers)
    settings |= _content_key(profile, name, layers)
    return Settings(settings, key_variable, {**dotenv, **environ}, folder)


def _content_key(profile: Profile, name: str, layers: Sequence[tuple[Mapping[str, str], str]]) -> dict[str, Setting]:
    """The key of hidden contents, if the environment is where this profile has it from."""
    sources = [source for source in CONTENT_KEY_SOURCES if getattr(profile, source)]
    if len(sources) > 1:
        raise ConfigurationError(f"[profiles.{name}] has {' and '.join(sources)}: say one place for the content key")
    if sources not in ([], ["content_key_env"]):
        return {}
    return _from_variables({"content_key": profile.content_key_env or CONTENT_KEY_VARIABLE}, layers)


def _key_variables(file: ConfigFile) -> set[str]:
    """Variables that some profile has a key or a secret header from."""
    named = {
        name
        for profile in file.profiles.values()
        for name in (profile.api_key_env, profile.content_key_env, *(profile.headers_env or {}).values())
    }
    return {name for name in named if name}


def _flag(name: str) -> str:
    return _FLAGS.get(name) or f"--{name.replace('_', '-')}"


def _profile_of(file: ConfigFile, name: str) -> Profile:
    if name in file.profiles or name in (DEFAULT_PROFILE, SAMPLE_SOURCE, MOVED_SOURCE):
        return file.profiles.get(name, Profile())
    known = ", ".join(sorted(file.profiles)) or "none"
    raise ConfigurationError(f"{CONFIG_FILE} has no profile {name!r} (there is: {known}): add [profiles.{name}]")


def _from_variables(
    variables: Mapping[str, str], layers: Sequence[tuple[Mapping[str, str], str]]
) -> dict[str, Setting]:
    """What the variables say, by the name of their setting; a later layer before an earlier one."""
    return {
        name: Setting(value, f"{variable} {where}")
        for values, where in layers
        for name, variable in variables.items()
        if (value := values.get(variable))
    }


def _check(settings: Mapping[str, Setting]) -> None:
    if (kind := settings["kind"]).value not in KINDS:
        raise ConfigurationError(f"kind = {kind.value!r} ({kind.origin}) is not one of {', '.join(KINDS)}")
    for name, choices in _CHOICES.items():
        if (chosen := settings[name]).value not in (*choices, DEFAULTS[name]):
            raise ConfigurationError(f"{name} = {chosen.value!r} ({chosen.origin}) is not one of {', '.join(choices)}")
    if not str(settings["profile"].value).replace("-", "").replace("_", "").isalnum():
        raise ConfigurationError(
            f"the profile name {settings['profile'].value!r} may have letters, digits, - and _ only:"
            " it becomes a folder"
        )
    for name, (least, most) in BOUNDS.items():
        setting = settings[name]
        # Not `<`: nan is neither less nor more.
        if setting.value is not None and not setting.value >= least:
            raise ConfigurationError(f"{name} = {setting.value} ({setting.origin}) is too small: at least {least}")
        if setting.value is not None and not setting.value <= most:
            raise ConfigurationError(f"{name} = {setting.value} ({setting.origin}) is too large: at most {most:,}")
