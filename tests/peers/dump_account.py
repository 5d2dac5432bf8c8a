"""Dumps all runs and steps with a client as users do: `python dump_account.py CLIENT BASE_URL KEY FOLDER < thread ids`.

One file for each way in which the client makes text of an object, one object a line; the ids of the threads that the
client can read are printed. It runs where only clients are installed, so it imports nothing of ours.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

# What a sync asks for.
CONTENT: Any = ["step_details.tool_calls[*].file_search.results[*].content"]
Spell = Callable[[Any], str]
ReadThread = Callable[[str], Iterator[Any]]


def read_with_openai(base_url: str, key: str) -> ReadThread:
    """openai-python."""
    import openai

    runs = openai.OpenAI(base_url=base_url, api_key=key).beta.threads.runs

    def read(thread_id: str) -> Iterator[Any]:
        for run in runs.list(thread_id, limit=100, order="asc"):
            yield run
            yield from runs.steps.list(run.id, thread_id=thread_id, limit=100, order="asc", include=CONTENT)

    return read


def read_with_azure(base_url: str, key: str) -> ReadThread:
    """azure-ai-agents, over http and with a key: its own policy sends tokens over https only."""
    from azure.ai.agents import AgentsClient
    from azure.core.credentials import AzureKeyCredential
    from azure.core.pipeline.policies import AzureKeyCredentialPolicy

    policy = AzureKeyCredentialPolicy(AzureKeyCredential(key), "Authorization", prefix="Bearer")
    client = AgentsClient(base_url, AzureKeyCredential(key), authentication_policy=policy)

    def read(thread_id: str) -> Iterator[Any]:
        for run in client.runs.list(thread_id, limit=100, order="asc"):
            yield run
            yield from client.run_steps.list(thread_id, run.id, limit=100, order="asc", include=CONTENT)

    return read


def read_with_dashscope(base_url: str, key: str) -> ReadThread:
    """dashscope, which pages nothing by itself."""
    import dashscope
    from dashscope.threads.runs.runs import Runs
    from dashscope.threads.runs.steps import Steps

    dashscope.base_http_api_url = base_url
    dashscope.api_key = key

    def pages(read: Callable[..., Any], *ids: str, **options: str) -> Iterator[Any]:
        after: dict[str, str] = {}
        while True:
            page = read(*ids, limit=100, order="asc", **options, **after)
            yield from page.data
            if not page.has_more:
                return
            after = {"after": page.data[-1].id}

    def read_thread(thread_id: str) -> Iterator[Any]:
        for run in pages(Runs.list, thread_id):
            yield run
            yield from pages(Steps.list, run.id, thread_id=thread_id)

    return read_thread


def _azure_json(value: Any) -> str:
    from azure.ai.agents._utils.model_base import SdkJSONEncoder

    return json.dumps(value, cls=SdkJSONEncoder)


CLIENTS: Mapping[str, tuple[Callable[[str, str], ReadThread], Mapping[str, Spell]]] = {
    "openai": (
        read_with_openai,
        {
            "model_dump": lambda value: json.dumps(value.model_dump()),
            "model_dump_mode_json": lambda value: json.dumps(value.model_dump(mode="json")),
            "model_dump_json": lambda value: str(value.model_dump_json()),
            "to_dict": lambda value: json.dumps(value.to_dict()),
            "to_json": lambda value: str(value.to_json(indent=None)),
        },
    ),
    "azure": (
        read_with_azure,
        {
            "as_dict": lambda value: json.dumps(value.as_dict()),
            "encoder": _azure_json,
        },
    ),
    "dashscope": (
        read_with_dashscope,
        # It has no way of its own.
        {"vars": lambda value: json.dumps(value, default=vars)},
    ),
}

if __name__ == "__main__":
    name, base_url, key, folder = sys.argv[1:]
    warnings.simplefilter("ignore")
    make, spellings = CLIENTS[name]
    read, objects = make(base_url, key), []
    for thread_id in sys.stdin.read().split():
        try:
            objects += list(read(thread_id))
        except TypeError as error:
            # A client that cannot read what a server sends: its users have no dump of this thread.
            print(f"{thread_id}: {error}", file=sys.stderr)
        else:
            print(thread_id)
    for spelling, spell in spellings.items():
        lines = [spell(value) for value in objects]
        Path(folder, f"{spelling}.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
