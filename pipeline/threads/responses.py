"""Ids of responses in any text: a list, JSONL, CSV, the log of an application. Read line by line, never whole."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigurationError
from pipeline.threads.files import STDIN

# OpenAI's, and those of Foundry's hosted agents and workflows. A gateway's are hundreds of signs long, and end in =,
# behind which a log may have a value. Short words without a digit before : or = are names of fields (resp_time).
_ID = re.compile(
    rb"(?<![A-Za-z0-9_])(?:ca|wf)?resp_"
    rb"(?:(?=[A-Za-z_-]*[0-9])|(?=[A-Za-z-]{16})|(?![A-Za-z_-]+[\"']?\s*[:=]))"
    rb"[A-Za-z0-9_-]+(?:={1,2}(?![A-Za-z0-9=\"'\[{+/_-]))?"
)
_LOOKED_FOR = "resp_..., caresp_... or wfresp_..."


def read_response_ids(files: Iterable[str]) -> Iterator[str]:
    """Ids in files (`-`: standard input), in order, also those that come twice.

    Raises ConfigurationError for a file that cannot be read, or that holds none.
    """
    for file in files:
        where = "standard input" if file == STDIN else file
        count = 0
        try:
            with nullcontext(sys.stdin.buffer) if file == STDIN else Path(file).open("rb") as content:
                for response_id in _ids_in(content):
                    count += 1
                    yield response_id
        except OSError as error:
            raise ConfigurationError(f"{where} cannot be read: {error.strerror}") from error
        if not count:
            raise ConfigurationError(
                f"no response ids in {where}: looked for {_LOOKED_FOR} anywhere in its lines. Ids of another form can"
                " be named as THREAD_ID, or in --threads FILE"
            )


def _ids_in(content: BinaryIO) -> Iterator[str]:
    for line in content:
        for match in _ID.finditer(line):
            yield match[0].decode()
