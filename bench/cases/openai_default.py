"""openai-python as `AsyncOpenAI()` comes: its own HTTP client, otherwise as in `openai_python`."""

from bench.cases.openai_python import run_case

if __name__ == "__main__":
    run_case()
