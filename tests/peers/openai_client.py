"""Responses as OpenAI's own client reads and dumps them: `openai_client.py BASE_URL KEY ID...`, one a line."""

import sys

from openai import OpenAI

client = OpenAI(base_url=sys.argv[1], api_key=sys.argv[2])
for response_id in sys.argv[3:]:
    response = client.responses.retrieve(
        response_id, include=["file_search_call.results", "code_interpreter_call.outputs"]
    )
    print(response.model_dump_json())
