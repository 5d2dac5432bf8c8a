"""A hosted agent on Microsoft's own server: asked for tools it calls two functions, else it answers. No model."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from azure.ai.agentserver.responses import (
    CreateResponse,
    ResponseContext,
    ResponseEventStream,
    ResponsesAgentServerHost,
)

app = ResponsesAgentServerHost()
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 64},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 120,
}


@app.response_handler
async def answer(request: CreateResponse, context: ResponseContext, _cancelled: asyncio.Event) -> AsyncIterator[Any]:
    stream = ResponseEventStream(response_id=context.response_id, request=request)
    yield stream.emit_created()
    yield stream.emit_in_progress()
    if "tools" in str(request.get("input")):
        for city in ("Paris", "Rome"):
            for event in stream.output_item_function_call("get_weather", f"call_{city}_{context.response_id}", "{}"):
                yield event
    else:
        for event in stream.output_item_message("It is sunny."):
            yield event
    yield stream.emit_completed(usage=USAGE)


app.run(host="127.0.0.1", port=int(sys.argv[1]))
