"""Records walks of an account: `python record.py RECORDER BASE_URL KEY FILE [PROXY] < thread ids`.

It runs where only recorders are installed, so it imports nothing of ours.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

Get = Callable[[str], Any]


def walk(get: Get, base_url: str, thread_id: str) -> None:
    """Every page of the runs of a thread and of the steps of each."""
    for run in pages(get, f"{base_url}/threads/{thread_id}/runs"):
        list(pages(get, f"{base_url}/threads/{thread_id}/runs/{run['id']}/steps"))


def pages(get: Get, url: str) -> Iterator[Any]:
    """The items of a list, page after page."""
    content = "&include[]=step_details.tool_calls[*].file_search.results[*].content"
    more, after = True, ""
    while more:
        answer = get(f"{url}?limit=100&order=asc{content if url.endswith('steps') else ''}{after}")
        yield from answer["data"]
        more, after = answer["has_more"], f"&after={answer['last_id']}"


@contextlib.contextmanager
def with_vcr(session: requests.Session, file: Path) -> Iterator[None]:
    """VCR.py, as YAML or JSON by the name of the file."""
    import vcr

    recorder = vcr.VCR(serializer="json" if file.suffix == ".json" else "yaml", filter_headers=["authorization"])
    with recorder.use_cassette(str(file)):
        yield


@contextlib.contextmanager
def with_betamax(session: requests.Session, file: Path) -> Iterator[None]:
    """Betamax."""
    import betamax

    recorder = betamax.Betamax(session, cassette_library_dir=str(file.parent))
    with recorder.use_cassette(file.stem, record="once", match_requests_on=["method", "uri"]):
        yield


@contextlib.contextmanager
def with_responses(session: requests.Session, file: Path) -> Iterator[None]:
    """The recorder of `responses`."""
    from responses._recorder import Recorder

    recorder: Any = Recorder()
    with recorder:
        yield
        recorder.dump_to_file(str(file))


@contextlib.contextmanager
def with_proxy(session: requests.Session, file: Path) -> Iterator[None]:
    """Somebody between, who writes the file."""
    session.proxies = {"http": sys.argv[5]}
    session.trust_env = False
    yield


RECORDERS = {"vcr": with_vcr, "betamax": with_betamax, "responses": with_responses, "proxy": with_proxy}

if __name__ == "__main__":
    name, base_url, key, file = sys.argv[1:5]
    with requests.Session() as session, RECORDERS[name](session, Path(file)):
        session.headers["Authorization"] = f"Bearer {key}"
        for thread_id in sys.stdin.read().split():
            walk(lambda url: session.get(url).json(), base_url, thread_id)
