"""Buckets: the stores behind s3://, gs:// and az://, with credentials from their usual environment. All of obstore."""

import importlib
import re
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PLACE = re.compile(r"^(?P<scheme>s3a?|gs|az|abfss?)://(?P<bucket>[^/]+)(?:/.*)?$")
# What the libraries take credentials from; their own messages do not say.
BUCKET_HINT = " (address and credentials come from the environment: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...)"
_EXTRA = "a bucket needs the libraries obstore and fsspec: pip install 'run-steps-pipeline[lake]'"


def is_bucket(place: str) -> bool:
    """Whether a place is in a bucket; everything without `://` is a folder.

    Raises ConfigurationError for a scheme that we do not know.
    """
    if "://" not in place:
        return False
    if not _PLACE.match(place):
        raise ConfigurationError(
            f"{place} is neither a folder nor a bucket: s3://, gs:// or az:// and its name, then a prefix"
        )
    return True


def open_store(place: str) -> "ObjectStore":
    """The store of what lies below a place in a bucket. Raises ConfigurationError if it cannot be made."""
    is_bucket(place)
    library = _library("obstore.store")
    try:
        store: ObjectStore = library.from_url(place)
    except (ValueError, library_errors()) as error:
        raise ConfigurationError(f"{place} cannot be opened: {first_line(error)}") from error
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


def first_line(error: Exception) -> str:
    """What a person needs of an error of obstore, which quotes requests."""
    return str(error).strip().partition("\n")[0]


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(_EXTRA) from error
