"""Work on a data folder as a whole: bringing shards together, removing threads for good.

In: data folders, thread ids. Out: folders where something came in or is gone everywhere.
Never knows: servers.
"""
