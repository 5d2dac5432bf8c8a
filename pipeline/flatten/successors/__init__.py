"""Responses and turns to rows of the same tables as runs: each is a run with one step, which has its calls.

In: landed walks whose certificate names their protocol. Out: runs, steps, calls, and the walks over these steps.
A new type of item is a row of the tables in `pipeline.protocol.item_types`; others keep all they have in `payload`.
"""
