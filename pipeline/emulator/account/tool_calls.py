"""Tool calls of every kind that servers are known to send, one small function for each variant."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.emulator.account.texts import (
    CITIES,
    FILE_NAMES,
    PASSAGES,
    PRODUCTS,
    QUESTIONS,
    UNICODE_SAMPLES,
    make_id,
    write_log,
)

JsonObject = dict[str, Any]

LONG_LOG_CHARS: Final = 100_000

_PYTHON_INPUTS: Final = (
    "import pandas as pd\ndf = pd.read_csv('/mnt/data/orders.csv')\ndf.describe()",
    "df.groupby('region')['revenue'].sum().sort_values(ascending=False)",
    "import matplotlib.pyplot as plt\ndf.plot(kind='bar')\nplt.show()",
    "model = LinearRegression().fit(X, y)\nmodel.score(X, y)",
    "df.isna().sum()",
)
_PYTHON_LOGS: Final = (
    "       revenue\ncount  1240.00\nmean    318.42\nstd      97.13\nmin       0.00\nmax    1999.00\n",
    "region\nEMEA    812344.10\nAMER    640021.55\nAPAC    402118.00\nName: revenue, dtype: float64\n",
    "0.8731\n",
    "order_id    0\nregion      3\nrevenue    17\ndtype: int64\n",
)
_TRACEBACK: Final = (
    "Traceback (most recent call last):\n"
    '  File "<stdin>", line 1, in <module>\n'
    "FileNotFoundError: [Errno 2] No such file or directory: '/mnt/data/orders.csv'\n"
)


def _call(rng: random.Random, kind: str, payload: object) -> JsonObject:
    return {"id": make_id(rng, "call_"), "type": kind, kind: payload}


def _python(rng: random.Random, outputs: list[JsonObject], code: str | None = None) -> JsonObject:
    return _call(rng, "code_interpreter", {"input": code or rng.choice(_PYTHON_INPUTS), "outputs": outputs})


def _logs(text: str) -> JsonObject:
    return {"type": "logs", "logs": text}


def _image(rng: random.Random) -> JsonObject:
    return {"type": "image", "image": {"file_id": make_id(rng, "file-")}}


def make_code_logs(rng: random.Random) -> JsonObject:
    """Python that printed something."""
    return _python(rng, [_logs(rng.choice(_PYTHON_LOGS))])


def make_code_image(rng: random.Random) -> JsonObject:
    """Python that drew one picture."""
    return _python(rng, [_image(rng)])


def make_code_mixed(rng: random.Random) -> JsonObject:
    """Python with logs, a picture and logs again."""
    return _python(rng, [_logs(rng.choice(_PYTHON_LOGS)), _image(rng), _logs("done\n")])


def make_code_silent(rng: random.Random) -> JsonObject:
    """Python without any output."""
    return _python(rng, [])


def make_code_error(rng: random.Random) -> JsonObject:
    """Python that raised."""
    return _python(rng, [_logs(_TRACEBACK)])


def make_code_long(rng: random.Random) -> JsonObject:
    """Python with a log of about 100 KB."""
    return _python(rng, [_logs(write_log(rng, LONG_LOG_CHARS))], "train(epochs=2000, verbose=True)")


def make_code_unicode(rng: random.Random) -> JsonObject:
    """Python whose input and logs are full of awkward characters."""
    return _python(rng, [_logs("\n".join(UNICODE_SAMPLES))], f"print({rng.choice(UNICODE_SAMPLES)!r})")


def _hit(rng: random.Random, *, content: bool = False, attributes: JsonObject | None = None) -> JsonObject:
    hit: JsonObject = {
        "file_id": make_id(rng, "file-"),
        "file_name": rng.choice(FILE_NAMES),
        "score": rng.random(),
    }
    if attributes is not None:
        hit["attributes"] = attributes
    if content:
        hit["content"] = [{"type": "text", "text": rng.choice(PASSAGES)} for _ in range(rng.randint(1, 2))]
    return hit


def _search(rng: random.Random, results: list[JsonObject]) -> JsonObject:
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.5}
    return _call(rng, "file_search", {"ranking_options": ranking, "results": results})


def make_search_content(rng: random.Random) -> JsonObject:
    """A file search whose results carry their text (sent only when asked for)."""
    return _search(rng, [_hit(rng, content=True, attributes={}) for _ in range(rng.randint(1, 5))])


def make_search_attributes(rng: random.Random) -> JsonObject:
    """A file search whose results carry attributes."""
    attributes: JsonObject = {"department": "legal", "year": 2026, "approved": True}
    return _search(rng, [_hit(rng, attributes=attributes) for _ in range(rng.randint(1, 3))])


def make_search_duplicate(rng: random.Random) -> JsonObject:
    """A file search that found the same file twice with the same score."""
    hit = _hit(rng, content=True, attributes={})
    return _search(rng, [hit, dict(hit)])


def make_search_bare(rng: random.Random) -> JsonObject:
    """A file search without ranking options, its results with neither content nor attributes."""
    return _call(rng, "file_search", {"results": [_hit(rng) for _ in range(rng.randint(1, 4))]})


def make_search_nothing(rng: random.Random) -> JsonObject:
    """A file search that found nothing."""
    return _search(rng, [])


def make_search_empty_object(rng: random.Random) -> JsonObject:
    """A file search as an empty object."""
    return _call(rng, "file_search", {})


def make_search_empty_array(rng: random.Random) -> JsonObject:
    """A file search as an empty array, which is what some servers send."""
    return _call(rng, "file_search", [])


def _function_arguments(rng: random.Random, name: str) -> JsonObject:
    order = f"ORD-{rng.randrange(10_000, 99_999)}"
    choices: dict[str, JsonObject] = {
        "get_order_status": {"order_id": order},
        "lookup_customer": {"email": f"customer{rng.randrange(900)}@example.com"},
        "create_ticket": {"subject": f"Problem with the {rng.choice(PRODUCTS)}", "order_id": order},
        "send_email": {"to": f"customer{rng.randrange(900)}@example.com", "template": "shipping_delay"},
        "search_flights": {"from": rng.choice(CITIES), "to": rng.choice(CITIES), "day": "2026-07-14"},
        "book_hotel": {"city": rng.choice(CITIES), "nights": rng.randint(1, 9)},
        "run_sql": {"query": "select region, sum(revenue) from orders group by region"},
        "get_exchange_rate": {"base": "EUR", "quote": rng.choice(["USD", "JPY", "GBP"])},
    }
    return choices[name]


_FUNCTION_OUTPUTS: Final[Mapping[str, str]] = {
    "get_order_status": '{"status": "shipped", "carrier": "DHL", "eta_days": 2}',
    "lookup_customer": '{"customer_id": 8812, "tier": "gold", "since": "2019-04-02"}',
    "create_ticket": '{"ticket_id": "T-40721", "queue": "hardware"}',
    "send_email": '{"accepted": true}',
    "search_flights": '{"flights": [{"no": "TP 441", "price_eur": 182.4}, {"no": "AF 1024", "price_eur": 201}]}',
    "book_hotel": '{"confirmation": "H-55120", "total_eur": 642.00}',
    "run_sql": '{"columns": ["region", "revenue"], "rows": [["EMEA", 812344.1], ["AMER", 640021.55]]}',
    "get_exchange_rate": "1.0842",
}
_FUNCTION_ERRORS: Final = (
    '{"error": "timeout after 10 s"}',
    '{"error": {"code": "not_found", "message": "No such order"}}',
    '{"error": "permission denied for table orders"}',
    "Error: upstream returned 503",
)


def make_function(rng: random.Random, name: str, *, failing: bool = False) -> JsonObject:
    """A call of the named function, answered by the user's own program."""
    arguments = json.dumps(_function_arguments(rng, name))
    output = rng.choice(_FUNCTION_ERRORS) if failing else _FUNCTION_OUTPUTS[name]
    return _call(rng, "function", {"name": name, "arguments": arguments, "output": output})


def make_retry(rng: random.Random, call: JsonObject, *, heals: bool) -> JsonObject:
    """The same function called again with the same arguments; the output is good when it `heals`."""
    function = dict(call["function"])
    if heals:
        function["output"] = _FUNCTION_OUTPUTS[function["name"]]
    return _call(rng, "function", function)


def make_function_truncated(rng: random.Random) -> JsonObject:
    """A function call whose arguments were cut off and are no JSON."""
    function = {"name": "create_ticket", "arguments": '{"subject": "Tent pole bro', "output": "null"}
    return _call(rng, "function", function)


def make_function_null(rng: random.Random) -> JsonObject:
    """A function call without an answer: output null."""
    return _call(rng, "function", {"name": "send_email", "arguments": "{}", "output": None})


def make_function_unanswered(rng: random.Random) -> JsonObject:
    """A function call without an answer: no output key."""
    return _call(rng, "function", {"name": "get_exchange_rate", "arguments": '{"base":"EUR"}'})


def make_function_unicode(rng: random.Random) -> JsonObject:
    """A function call with awkward characters in arguments and output."""
    arguments = json.dumps({"subject": rng.choice(UNICODE_SAMPLES)}, ensure_ascii=False)
    output = "\n".join(UNICODE_SAMPLES)
    return _call(rng, "function", {"name": "create_ticket", "arguments": arguments, "output": output})


def is_failed_function(call: JsonObject) -> bool:
    """Whether this is a function call whose output is one of the error texts."""
    return call["type"] == "function" and call["function"].get("output") in _FUNCTION_ERRORS


CODE_AND_SEARCH_CALLS: Final[Mapping[str, Callable[[random.Random], JsonObject]]] = {
    "code_interpreter/logs": make_code_logs,
    "code_interpreter/image": make_code_image,
    "code_interpreter/mixed": make_code_mixed,
    "code_interpreter/silent": make_code_silent,
    "code_interpreter/error": make_code_error,
    "code_interpreter/unicode": make_code_unicode,
    "file_search/content": make_search_content,
    "file_search/attributes": make_search_attributes,
    "file_search/duplicate": make_search_duplicate,
    "file_search/bare": make_search_bare,
    "file_search/nothing": make_search_nothing,
    "file_search/empty_object": make_search_empty_object,
    "file_search/empty_array": make_search_empty_array,
    "function/truncated": make_function_truncated,
    "function/null": make_function_null,
    "function/unanswered": make_function_unanswered,
    "function/unicode": make_function_unicode,
}


def make_question(rng: random.Random) -> str:
    """A search phrase, now and then with awkward characters."""
    return rng.choice(UNICODE_SAMPLES if rng.random() < 0.03 else QUESTIONS)
