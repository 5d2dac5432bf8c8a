"""The warehouse's tables as Delta tables in a folder or a bucket.

In: raw parts. Out: one Delta version for each batch, read in one state; a part counts once.
Never knows: servers, the command line.
"""
