"""Pages of finished walks to typed Polars frames, one for each table; pure, nothing is lost.

In: raw parts and bills as received. Out: frames with declared types, rejects with reason and place, flattened parts
beside raw ones.
Never knows: the network, DuckDB's connections, prices.
"""
