"""The verb `sync`: from its request to its outcome.

In: settings, threads named. Out: everything fetched, landed and loaded, and how it went.
Never knows: options and their spelling.
"""
