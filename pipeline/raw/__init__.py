"""Raw parts: pages exactly as received, on disk or in a bucket, immutable.

In: finished walks. Out: Parquet parts that appear whole or not at all, and what was pruned of them.
Never knows: frames, tables, the warehouse.
"""
