"""Responses and turns to rows of the same tables as runs: each is a run with one step, which has its calls.

In: landed walks whose certificate names their protocol. Out: runs, steps, calls, and the walks over these steps.
A new type of item is a row of the table in `kinds`; one that is not there keeps all it has in `payload`.
"""
