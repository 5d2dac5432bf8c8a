"""Flags, environment, `.env` and `pipeline.toml` to one value each, with where it came from.

In: what a person gave, wherever. Out: settings of one invocation, a client ready to be opened.
Never knows: what a verb does with them.
"""
