#!/usr/bin/env bash
# litellm 1.110.2, genai-prices 0.2.3 (Python 3.11).
# Expected: two snapshots of one fine-tuned model with the same prices for input and output price
# cached input alike, and below fresh input.
# Seen: in litellm's table ft:gpt-4o-2024-08-06 has cache_read_input_token_cost 1.875e-06, and
# ft:gpt-4o-2024-11-20 has the same number under cache_creation_input_token_cost instead; so its
# cached tokens cost the full 3.75 dollars a million. genai-prices has no cached price for either
# and says 3.75 for both.
# Who meets it: budgets of fine-tuned models with long prompts: the cost changes twofold with the
# snapshot, or with the library.
# The price table inside the package is used (LITELLM_LOCAL_MODEL_COST_MAP), so nothing is
# fetched.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq 'litellm==1.110.2' 'genai-prices==0.2.3'
LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/python - <<'PY'
import sys

import litellm
from genai_prices import Usage, calc_price

MILLION = 1_000_000
FIELDS = ["input_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost"]


def by_litellm(model, cached):
    usage = litellm.Usage(
        prompt_tokens=MILLION,
        completion_tokens=0,
        total_tokens=MILLION,
        prompt_tokens_details={"cached_tokens": cached},
    )
    answer = litellm.ModelResponse(model=model, usage=usage)
    return litellm.completion_cost(answer, model=model, custom_llm_provider="openai")


def by_genai_prices(model, cached):
    usage = Usage(input_tokens=MILLION, cache_read_tokens=cached, output_tokens=0)
    return float(calc_price(usage, model, provider_id="openai").total_price)


found = {}
for model in ("ft:gpt-4o-2024-08-06", "ft:gpt-4o-2024-11-20"):
    print(model, {field: litellm.model_cost[model].get(field) for field in FIELDS})
    for library, price in (("litellm", by_litellm), ("genai-prices", by_genai_prices)):
        found[model, library] = (round(price(model, 0), 6), round(price(model, MILLION), 6))
        print(f"  {library:13} a million tokens fresh, cached: {found[model, library]}")
if found != {
    ("ft:gpt-4o-2024-08-06", "litellm"): (3.75, 1.875),
    ("ft:gpt-4o-2024-08-06", "genai-prices"): (3.75, 3.75),
    ("ft:gpt-4o-2024-11-20", "litellm"): (3.75, 3.75),
    ("ft:gpt-4o-2024-11-20", "genai-prices"): (3.75, 3.75),
}:
    sys.exit("changed")
PY
