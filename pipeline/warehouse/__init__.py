"""Frames into DuckDB, what follows from them, and what is in it.

In: flattened parts. Out: tables by owner in one transaction, seals, costs of ended runs, checks.
Never knows: servers, credentials, what a person typed.
"""
