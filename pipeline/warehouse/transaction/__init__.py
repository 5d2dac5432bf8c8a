"""What a load does inside its transaction, statement by statement.

In: frames named `new_TABLE` beside the tables. Out: rows by owner, steps of archives merged, bills and
seals, and the coverage that follows.
Never knows: files, locks, who loads and why.
"""
