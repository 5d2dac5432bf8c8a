"""Buckets: the stores behind s3://, gs:// and az://, with credentials from their usual environment. All of obstore."""

import importlib
import re
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigurationError
from pipeline.program import install_command

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PLACE = re.compile(r"^(?P<scheme>s3a?|gs|az|abfss?)://(?P<bucket>[^/]+)(?:/.*)?$")
# What the libraries take credentials from; their own messages do not say.
_VARIABLES = {
    "s3": "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_SERVICE_ACCOUNT_KEY, ...",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, ...",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_QUERY = re.compile(r"(\b\w+://)(?:[^\s/@]*@)?([^\s?]*)\?\S*")
_OS_ERROR = re.compile(r"(?:Error: )?Os \{.*?message: \"([^\"]*)\" \}")
# What a server sends with a status, of which only the code of its error is told.
_BODY = re.compile(r":?\s*(?:<[?!a-zA-Z]|\{|Debug source:).*", re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_LONGEST_CAUSE = 300


def is_bucket(place: str) -> bool:
    """Whether a place is in a bucket; everything without `://` is a folder.

    Raises ConfigurationError for a scheme that we do not know, and without repeating it for a place that holds a user
    name, a query or a fragment.
    """
    if "://" not in place:
        return False
    if holds_credentials(place):
        raise ConfigurationError(
            f"a place in a {place.partition('://')[0]}:// bucket must not hold a user name, a query or a fragment:"
            f" name its bucket and a prefix only{hint_at(place)}"
        )
    if not _PLACE.match(place):
        raise ConfigurationError(
            f"{place} is neither a folder nor a bucket: s3://, gs:// or az:// and its name, then a prefix"
        )
    return True


def holds_credentials(place: str) -> bool:
    """Whether a URL has what may be a credential: a user name, a password, a query or a fragment."""
    scheme, found, rest = place.partition("://")
    bucket = rest.partition("/")[0]
    # There the container is named before the account. A secret key may have slashes: then its `@` comes later.
    user = "@" in bucket and scheme not in ("abfs", "abfss")
    return bool(found) and (user or ":" in bucket or "?" in rest or "#" in rest)


def shown_place(place: str) -> str:
    """The place, to be shown: not if it holds what may be a credential."""
    return "(not shown: it holds a user name, a query or a fragment)" if holds_credentials(place) else place


def open_store(place: str) -> "ObjectStore":
    """The store of what lies below a place in a bucket. Raises ConfigurationError if it cannot be made."""
    is_bucket(place)
    library = _library("obstore.store")
    try:
        store: ObjectStore = library.from_url(place)
    except (ValueError, library_errors()) as error:
        raise ConfigurationError(f"{place} cannot be opened: {tell_cause(error)}{hint_at(place)}") from error
    return store


def bucket_files(place: str) -> Any:
    """The files of all buckets of a place's scheme, for DuckDB to read; each is asked for its size once."""
    base: Any = _library("obstore.fsspec").FsspecStore

    class ImmutableFiles(base):  # type: ignore[misc]
        """Files that never change under one name."""

        known: dict[str, Any]

        async def _info(self, path: str, **options: Any) -> Any:
            if path not in self.known:
                self.known[path] = await super()._info(path, **options)
            return self.known[path]

    files = ImmutableFiles(place.partition("://")[0])
    files.known = {}
    return files


def object_library(part: str | None = None) -> Any:
    """The module obstore, or one of its parts."""
    return _library("obstore" if part is None else f"obstore.{part}")


def library_errors() -> type[Exception]:
    """The class of all errors of obstore."""
    errors: type[Exception] = _library("obstore.exceptions").BaseError
    return errors


def tell_cause(error: Exception) -> str:
    """One line of an error of obstore or deltalake, without query strings and what the server sent with a status."""
    told = _OS_ERROR.sub(r"\1", _COLOURS.sub("", str(error)))
    code = _CODE.search(told)
    causes = (line.strip(" \u21b3") for line in _QUERY.sub(r"\1\2", _BODY.sub("", told)).splitlines())
    cause = ": ".join(cause for cause in causes if cause)[:_LONGEST_CAUSE]
    return f"{cause} ({code[1]})" if code else cause


def hint_at(place: str) -> str:
    """What to look at when a bucket or a folder cannot be used, to be put after the cause."""
    found = _PLACE.match(place)
    if found is None:
        return ": name a folder that can be made and written"
    # s3a, abfs and abfss are other names.
    scheme = {"s3a": "s3", "abfs": "az", "abfss": "az"}.get(found["scheme"], found["scheme"])
    return f" (address and credentials come from the environment: {_VARIABLES[scheme]})"


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"a bucket needs the libraries obstore and fsspec: {install_command('lake')}"
        ) from error
